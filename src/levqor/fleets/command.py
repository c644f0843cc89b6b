"""An operator's own command: run without a shell, with a bounded time and output, and without Levqor's secrets."""

import fcntl
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from levqor.ports import Clock
from levqor.settings import foreign_environment

OUTPUT_MAX_BYTES = 1_000_000
SHOWN_CHARS = 300
TAIL_BYTES = 4 * SHOWN_CHARS
FIRST_LOOK_S, LATER_LOOK_S = 0.005, 0.05
GONE_WITHIN_S = 2.0
"""A killed process is gone at once, unless the kernel holds it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: what it printed, and what went wrong, or None."""

    output: str
    problem: str | None


class Running:
    """One command on its way. Its output goes to a nameless file, so that nothing that it leaves behind is ever hit by a closed pipe."""

    def __init__(self, argv: Sequence[str], timeout_s: float, clock: Clock, *, is_act: bool) -> None:
        """Begin it. Of an act's output the end is enough; a list is whole or nothing. Raises OSError where it cannot be run."""
        self._clock, self._timeout_s, self._deadline = clock, timeout_s, clock.monotonic() + timeout_s
        self._is_act = is_act
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the command's end)
        fcntl.fcntl(self._output, fcntl.F_SETFL, fcntl.fcntl(self._output, fcntl.F_GETFL) | os.O_APPEND)
        self._ended: Ended | None = None
        try:
            self._process = subprocess.Popen(
                list(argv),
                env=foreign_environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError):
            self._output.close()
            raise

    def ended(self) -> Ended | None:
        """How it ended; None while it goes on. One that takes too long, or a list that is too long, is ended here."""
        if self._ended is None:
            self._ended = self._look()
        return self._ended

    def wait(self, stop: threading.Event) -> Ended:
        """Until it has ended; ended once `stop` is set."""
        pause_s = FIRST_LOOK_S
        while (ended := self.ended()) is None:
            if stop.wait(pause_s):
                return self.end("had not ended when Levqor stopped")
            pause_s = min(LATER_LOOK_S, 2 * pause_s)
        return ended

    def end(self, why: str) -> Ended:
        """End the command, and whatever it began in its session; one of another user, as by sudo, is left."""
        if self._ended is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(GONE_WITHIN_S)
            except (PermissionError, subprocess.TimeoutExpired):
                self._ended = self._close(f"{why} and could not be ended")
                self.leave()
            else:
                self._ended = self._close(f"{why} and was ended")
        return self._ended

    def leave(self) -> None:
        """Wait for it no more: it goes on by itself."""
        self._output.close()
        self._process.returncode = 0  # so that its being forgotten is no fault

    def _look(self) -> Ended | None:
        code = self._process.poll()
        size = os.fstat(self._output.fileno()).st_size
        if size > OUTPUT_MAX_BYTES and not self._is_act:
            why = f"printed more than {OUTPUT_MAX_BYTES // 1_000_000} MB"
            return self.end(why) if code is None else self._close(why)
        if size > OUTPUT_MAX_BYTES:
            self._cut(size)
        if code is not None:
            return self._close(None if code == 0 else _told(code))
        if self._clock.monotonic() >= self._deadline:
            return self.end(f"did not end within {self._timeout_s:.0f} s")
        return None

    def _cut(self, size: int) -> None:
        """Keep the last words alone; what it prints next is appended to them."""
        file = self._output.fileno()
        tail = os.pread(file, TAIL_BYTES, size - TAIL_BYTES)
        os.ftruncate(file, 0)
        os.write(file, tail)

    def _close(self, problem: str | None) -> Ended:
        with self._output as file:
            file.seek(0)
            output = file.read(OUTPUT_MAX_BYTES).decode("utf-8", "replace")
        return Ended(output, problem)


def run(argv: Sequence[str], timeout_s: float, clock: Clock, stop: threading.Event, *, is_act: bool) -> Ended:
    """Run it and wait for its end; one that cannot be run has ended with that problem."""
    try:
        running = Running(argv, timeout_s, clock, is_act=is_act)
    except (OSError, ValueError) as error:
        return Ended("", cannot_run(error))
    return running.wait(stop)


def cannot_run(error: OSError | ValueError) -> str:
    return f"cannot be run: {getattr(error, 'strerror', None) or type(error).__name__}"


def last_words(output: str) -> str:
    """The last line that says something, bounded."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return "".join(letter if letter.isprintable() else "?" for letter in lines[-1][-SHOWN_CHARS:]) if lines else ""


def _told(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
