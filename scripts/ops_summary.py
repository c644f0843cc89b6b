"""Door: how the last day or week went, as `levqor summary` says and mails it (`--type daily|weekly`, `--dry-run`, `--out FILE`)."""

import sys

from levqor.cli import main

if __name__ == "__main__":
    sys.exit(main(["summary", *sys.argv[1:]]))
