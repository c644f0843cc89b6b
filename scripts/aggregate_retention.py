"""Door: count the day that ended, as `levqor retention aggregate` does (`--day`, `--backfill N`)."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["retention", "aggregate", *sys.argv[1:]]))
