"""Door: what the next 30 days will cost, as `levqor costs forecast` says it (`--persist`, `--method M`, `--json`)."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["costs", "forecast", *sys.argv[1:]]))
