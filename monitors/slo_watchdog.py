"""Run one SLO check against the running service and print it: `levqor slo`."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["slo", *sys.argv[1:]]))
