"""`python -m fp_events.cli` is `fp-events`."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
