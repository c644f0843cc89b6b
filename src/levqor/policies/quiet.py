"""The quiet timer (spec A3, P1): how long has it been calm without a break?"""

from dataclasses import dataclass


def credited_s(elapsed_s: float, tick_s: float) -> float:
    """What a timer is credited for a sample `elapsed_s` after the one before.

    A tick that did not happen adds nothing: at most one tick is credited (half a tick more for jitter).
    """
    return max(0.0, elapsed_s if elapsed_s <= 1.5 * tick_s else tick_s)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Seconds of calm accrued so far. Persisted as a number: a successor goes on from it and credits no gap."""

    accrued_s: float = 0.0

    def after(self, *, is_calm: bool, elapsed_s: float, tick_s: float) -> "Quiet":
        """The timer after one more sample, `elapsed_s` after the one before.

        A sample that is not calm starts it again.
        """
        return Quiet(self.accrued_s + credited_s(elapsed_s, tick_s)) if is_calm else Quiet(0.0)
