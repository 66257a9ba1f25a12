"""`python -m coldstream.platform.worker FD`: started by a broker, with one end of a socket pair."""

import sys

from .process import main

if len(sys.argv) != 2 or not sys.argv[1].isdigit():
    sys.exit("the cold worker is started by a broker, which hands it a socket; it is of no use alone")
main(int(sys.argv[1]))
