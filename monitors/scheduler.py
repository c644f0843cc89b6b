"""Door: every scheduled job, when it is due and how it went, as `levqor schedule list` prints it."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["schedule", "list", *sys.argv[1:]]))
