"""Door: the recovery that would run now, changing nothing, as `levqor recover --dry-run` prints it."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["recover", "--dry-run", *sys.argv[1:]]))
