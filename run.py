"""Door: run everything, as `levqor up` does."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["up", *sys.argv[1:]]))
