"""Door: what today has cost so far, as `levqor costs today` says it."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["costs", "today", *sys.argv[1:]]))
