"""The example does the main job on all 336,776 flights: what goes in comes out, and a second run adds nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_main_job_on_all_flights(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "flights.py"), str(tmp_path / "flights.duckdb")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "336,776 rows, 6,352,149 values" in said
    assert "3,048 flights left JFK more than two hours late" in said
    assert "336,776 rows x 19 features: equal in every cell" in said
    assert "dep_delay = 1301, added by " in said
    assert "'Jonh F Kenedy' -> John F Kennedy Intl (JFK, " in said
    assert re.search(r"no row added to any of \d+ tables", said)
    assert "<check: ok, " in said
    [memory] = re.findall(r"the process took ([\d,]+) MiB at most", said)
    assert int(memory.replace(",", "")) < 2048
