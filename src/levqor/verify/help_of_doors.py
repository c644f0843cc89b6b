"""Runs Python doors with `--help`, one after another in this one process, and says a line of JSON for each."""

import contextlib
import io
import json
import runpy
import sys


def help_of(door: str) -> tuple[int, str]:
    """Exit code and standard output of a door, run as the file that it is."""
    said = io.StringIO()
    sys.argv = [door, "--help"]
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(door, run_name="__main__")
    except SystemExit as end:
        return (end.code if isinstance(end.code, int) else int(end.code is not None)), said.getvalue()
    return 0, said.getvalue()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        code, text = help_of(path)
        sys.stdout.write(json.dumps({"door": path, "code": code, "said": text}) + "\n")
