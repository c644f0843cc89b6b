"""Keeps one command: `python -m levqor.keeper GRACE_S COMMAND...` ends it when time is up, or when whoever began the keeper is gone.

A process that is killed cannot end its children. The keeper can for it: its standard input is a pipe whose other end dies
with the one who began it. What the command prints is read to its end, so it never waits for a reader, and its last part is
handed on with the exit code, as one JSON object on standard output.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO

KEPT_BYTES = 10_000
"""More than is shown, so that secrets are taken out before the cut is made; even all escaped it fits into a pipe that nobody reads yet."""
MOMENT_S = 3.0
"""From SIGTERM to SIGKILL."""
READ_WITHIN_S = 1.0
"""What is still in the pipe after the end; longer means that a process outside the group holds it open."""


class Tail:
    """The last bytes that a stream gave."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while piece := os.read(self._stream.fileno(), 65_536):
            self._kept = (self._kept + piece)[-KEPT_BYTES:]

    def text(self) -> str:
        self._thread.join(READ_WITHIN_S)
        text = self._kept.decode("utf-8", "replace")
        return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)


def keep(command: Sequence[str], grace_s: float, over: threading.Event) -> dict[str, object]:
    """Run the command until it ends, `over` is set or time is up; how it ended."""
    child = subprocess.Popen(
        list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    assert child.stdout is not None  # noqa: S101 (a pipe was asked for)
    tail = Tail(child.stdout)
    threading.Thread(target=_until_ended, args=(child, over), daemon=True).start()
    timed_out = not over.wait(grace_s)
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        _signal_group(child.pid, signal.SIGCONT)
        try:
            child.wait(MOMENT_S)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()
    _signal_group(child.pid, signal.SIGKILL)  # whatever it left behind
    return {"exit_code": child.returncode, "timed_out": timed_out, "output": tail.text()}


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left; on macOS a group of the dead alone is not permitted


def _until_ended(child: "subprocess.Popen[bytes]", over: threading.Event) -> None:
    child.wait()
    over.set()


def _until_alone(over: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1_024):
        pass
    over.set()


def main(arguments: Sequence[str]) -> int:
    """Keep the command that the arguments name."""
    grace_s, *command = arguments
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    threading.Thread(target=_until_alone, args=(over,), daemon=True).start()
    ended = keep(command, float(grace_s), over)
    try:
        sys.stdout.write(json.dumps(ended))
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody is there to be told
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
