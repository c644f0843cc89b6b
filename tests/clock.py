"""A clock that a test moves by hand; wall and monotonic time move apart when the wall clock jumps."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Implements `levqor.ports.Clock`."""

    def __init__(self, start: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes: both hands move."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock: only that hand moves."""
        self._now += timedelta(seconds=seconds)
