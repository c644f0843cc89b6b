"""A policy of your own, in any language: a program that gets a tick a line and answers `{"target": n}` a line."""

import json
import os
import selectors
import shlex
import subprocess
from types import TracebackType
from typing import IO, Any, Self, cast

from levqor.domain.errors import UsageError
from levqor.lab.ticks import Tick

ANSWER_WITHIN_S = 30.0
LONGEST_ANSWER = 10_000
MOST_WORKERS = 1_000_000


def tick_line(tick: Tick) -> str:
    """A tick as its line."""
    return json.dumps({name: getattr(tick, name) for name in Tick.__slots__})


class CommandPolicy:
    """One run of a program; used as a context, which ends it."""

    def __init__(self, command: str) -> None:
        try:
            self._program = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        except (OSError, ValueError, IndexError) as error:
            raise UsageError(f"--command: {getattr(error, 'strerror', None) or error}") from error
        self._ticks, self._answers = cast(IO[bytes], self._program.stdin), cast(IO[bytes], self._program.stdout)
        self._read = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._selector.close()
        self._program.kill()
        self._program.wait()
        self._answers.close()
        self._ticks.close()

    def decide(self, tick: Tick) -> int:
        """The program's answer. Raises UsageError where there is none or it is no target."""
        try:
            self._ticks.write(f"{tick_line(tick)}\n".encode())
        except BrokenPipeError:
            raise UsageError(f"--command: the program ended before the line of t={tick.t:g}") from None
        return _target(self._line(tick), tick)

    def _line(self, tick: Tick) -> str:
        while b"\n" not in self._read and len(self._read) < LONGEST_ANSWER:
            if not self._selector.select(ANSWER_WITHIN_S):
                raise UsageError(f"--command: no answer to t={tick.t:g} within {ANSWER_WITHIN_S:g} s; does the program flush each line?")
            more = os.read(self._answers.fileno(), LONGEST_ANSWER)
            if not more:
                raise UsageError(f"--command: the program ended without an answer to t={tick.t:g}")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode(errors="replace")


def _target(line: str, tick: Tick) -> int:
    try:
        answer: Any = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    target = answer.get("target") if isinstance(answer, dict) else None
    if isinstance(target, bool) or not isinstance(target, int) or not 0 <= target <= MOST_WORKERS:
        raise UsageError(f'--command: expected {{"target": n}} for t={tick.t:g}, got {line.strip()[:80]!r}')
    return target
