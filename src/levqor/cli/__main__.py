"""`python -m levqor.cli` is `levqor`."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main())
