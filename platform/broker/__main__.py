"""`python -m coldstream.platform.broker`"""

import sys

from .main import run

sys.exit(run())
