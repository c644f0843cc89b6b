"""The command line: `levqor VERB`."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point; an installation of the client alone has no command line, and is told how to get it."""
    try:
        from levqor.cli.app import main as run
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"levqor: {missing.name} is not installed; the command line needs `pip install 'levqor[server]'`\n")
        return 2
    return run(arguments)
