"""Door: the scaling decision now, changing nothing, as `levqor autoscale dryrun` prints it."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["autoscale", "dryrun", *sys.argv[1:]]))
