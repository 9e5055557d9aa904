"""`python -m duckfeat`: the command line, where the `duckfeat` command is not on the path."""

import sys

from duckfeat.cli import main

sys.exit(main())
