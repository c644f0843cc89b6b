"""What the rules remember: a beat of their own, and samples of the last while."""

from collections import deque

SLACK_S = 1e-6


class Beat:
    """A rule that looks every `period_s`, asked more often."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next: float | None = None

    def is_due(self, t: float) -> bool:
        """Is it time? Asks at longer intervals than the beat are all due."""
        if self._next is not None and t < self._next - SLACK_S:
            return False
        self._next = t + self._period_s if self._next is None or t >= self._next + self._period_s else self._next + self._period_s
        return True


class Window:
    """Samples of the last `length_s`; the one that is exactly that old has gone."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, t: float, value: float) -> None:
        """One more sample, at `t` seconds."""
        self._samples.append((t, value))
        while self._samples[0][0] <= t - self._length_s + SLACK_S:
            self._samples.popleft()

    def values(self) -> list[float]:
        return [value for _, value in self._samples]

    def mean(self) -> float:
        return sum(self.values()) / len(self._samples)
