"""`python -m coldstream.console`: the console process, as the supervisor starts it."""

import sys

from ..wiring import run_console

if __name__ == "__main__":
    sys.exit(run_console())
