"""Door: who stays, as `levqor retention show` prints it."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["retention", "show", *sys.argv[1:]]))
