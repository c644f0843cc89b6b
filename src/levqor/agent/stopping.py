"""Signals that end an agent: the first asks, a second one insists."""

import signal
from types import FrameType

from levqor.ports import Clock

SAME_WISH_S = 0.3
"""Ctrl-C reaches a whole foreground group, and a wrapper may pass it on: signals that close together are one."""


class StopSignals:
    """Counts SIGTERM and SIGINT. The handler only notes the time: anything that locks could meet itself there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked_at: list[float] = []

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        # A closed terminal ends nobody; children inherit this, and an RQ worker would die of it at once.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def ignore(self) -> None:
        """All is ended: who still insists shall not turn a clean exit code into a killed one."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_at.append(self._clock.monotonic())

    @property
    def asked(self) -> bool:
        return bool(self._asked_at)

    @property
    def insisted(self) -> bool:
        return len(self._asked_at) > 1 and self._asked_at[-1] - self._asked_at[0] >= SAME_WISH_S
