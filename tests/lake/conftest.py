"""Lakes need DuckDB 1.5 (see tests/servers.py); on 2.0 their tests are not collected."""

from __future__ import annotations

from tests.servers import HAS_LAKES

collect_ignore_glob = [] if HAS_LAKES else ["test_*.py"]
