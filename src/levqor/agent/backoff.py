"""When a dead child may start again: at once, until deaths in a window say that it is crash looping (spec P3)."""

from dataclasses import dataclass

WINDOW_S = 600.0
"""Deaths are remembered, and reported, for this long."""

LOOP_WINDOW_S = 60.0
"""So many deaths within this span are a crash loop, and as long without a death ends it."""

LOOP_DEATHS = 5
"""Deaths within `LOOP_WINDOW_S` that make a crash loop."""

LONGEST_DELAY_S = 30.0
"""A crash looping child is tried again at least this often."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Deaths on the monotonic clock, oldest first; `level` counts those that came since the crash loop began, it included."""

    deaths: tuple[float, ...] = ()
    level: int = 0

    def after_death(self, now: float) -> "Backoff":
        """The state once a child died at `now`."""
        deaths = (*(at for at in self.deaths if now - at < WINDOW_S), now)
        if self.is_crash_looping(now):
            return Backoff(deaths, self.level + 1)
        recent = sum(now - at < LOOP_WINDOW_S for at in deaths)
        return Backoff(deaths, int(recent >= LOOP_DEATHS))

    @property
    def delay_s(self) -> float:
        """How long after the last death the next start waits."""
        if self.level == 0:
            return 0.0
        # The exponent is bounded too: a loop of days must not build a number of a thousand digits.
        return min(LONGEST_DELAY_S, 2.0 ** min(self.level - 1, 10))

    def may_start(self, now: float) -> bool:
        return not self.deaths or now - self.deaths[-1] >= self.delay_s

    def is_crash_looping(self, now: float) -> bool:
        return self.level > 0 and now - self.deaths[-1] < LOOP_WINDOW_S

    def deaths_10m(self, now: float) -> int:
        return sum(now - at < WINDOW_S for at in self.deaths)
