"""Did the last step help? (spec A12): a step that P95 alone asked for is watched for two minutes before P95 may ask alone again."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from levqor.policies.quiet import credited_s

WATCH_S = 120.0
"""A step that P95 alone asked for has this long to improve P95 (s of counted time)."""

IMPROVED_TO = 0.9
"""P95 has improved once it is at most this share of what it was before the step: less is within its noise."""


class P95State(StrEnum):
    """Where P95's own steps stand."""

    NONE = "none"
    WATCHING = "watching"
    DID_NOT_HELP = "did_not_help"


@dataclass(frozen=True, slots=True)
class P95Sample:
    """P95 as it may be judged at one tick."""

    value_ms: float | None
    """None: unknown, no traffic, or too few requests for it to have a vote."""
    is_calm: bool
    """Calm as the step down means it (spec A3): below SCALE_DOWN_P95_MS, or no traffic."""


@dataclass(frozen=True, slots=True)
class P95Step:
    """What is remembered of the last step that P95 alone asked for. Persisted: a successor goes on from it and credits no gap."""

    state: P95State = P95State.NONE
    before_ms: float | None = None
    """P95 when the step was taken."""
    after_ms: float | None = None
    """P95 when it was judged not to have helped."""
    watched_s: float = 0.0

    @property
    def is_blocking(self) -> bool:
        """May P95 alone ask for no step now?"""
        return self.state is not P95State.NONE

    def stepped(self, before_ms: float) -> "P95Step":
        """A step that P95 alone asked for was taken just now."""
        return P95Step(P95State.WATCHING, before_ms)

    def after(self, sample: P95Sample, *, elapsed_s: float, tick_s: float, up_p95_ms: float) -> "P95Step":
        """The memory after one more sample, `elapsed_s` after the one before.

        A calm P95 clears everything. An improvement clears a step that is watched, at any time within the two minutes;
        when they are over it is enough that P95 no longer asks. A P95 that nobody can judge is waited for.
        """
        if self.state is P95State.NONE or sample.is_calm:
            return P95Step()
        if self.state is P95State.DID_NOT_HELP:
            return self
        watched_s = min(WATCH_S, self.watched_s + credited_s(elapsed_s, tick_s))
        if sample.value_ms is not None and self.before_ms is not None:
            if sample.value_ms <= IMPROVED_TO * self.before_ms:
                return P95Step()
            if watched_s >= WATCH_S:
                is_quiet = sample.value_ms <= up_p95_ms
                return P95Step() if is_quiet else P95Step(P95State.DID_NOT_HELP, self.before_ms, sample.value_ms, watched_s)
        return P95Step(self.state, self.before_ms, self.after_ms, watched_s)

    @property
    def text(self) -> str:
        """Why P95 alone asks for no step now, and what to do about it."""
        if self.state is P95State.WATCHING:
            left = f"{WATCH_S - self.watched_s:.0f} s left to judge it" if self.watched_s < WATCH_S else "too few requests to judge it yet"
            return f"P95 was {_ms(self.before_ms)} when it asked for the last step: {left}"
        return (
            f"the last step did not help: P95 was {_ms(self.before_ms)} before it and {_ms(self.after_ms)} two minutes later, so requests "
            "do not wait for workers; look at slow routes, the database and the machine's load"
        )

    def as_dict(self) -> dict[str, Any]:
        return {"state": self.state.value, "before_ms": self.before_ms, "after_ms": self.after_ms, "watched_s": self.watched_s}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "P95Step":
        """From `as_dict`; an empty one remembers nothing."""
        if not data:
            return cls()
        return cls(P95State(data["state"]), data["before_ms"], data["after_ms"], data["watched_s"])


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} ms"
