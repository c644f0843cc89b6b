"""Service level objectives: is one check met, breached or unknown, and do three breaches in a row call recovery (spec W1, W2)?"""

from dataclasses import dataclass
from enum import StrEnum

from levqor.policies.evidence import SIGNIFICANCE, p_value

CALLS_AFTER = 3
"""Breaches in a row that call recovery."""

CALLS_WITHIN_S = 600.0
"""The first and the last of them lie at most this far apart ..."""

JITTER_S = 60.0
"""... give or take a timer that is late: checks at 0, 5 and 10 minutes count."""


class Standing(StrEnum):
    """What one check found."""

    MET = "met"
    BREACHED = "breached"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Objective:
    """A promised level: at most `allowed` (0..1, exclusive) of all events are bad. `what` names the bad ones."""

    name: str
    allowed: float
    what: str


@dataclass(frozen=True, slots=True)
class Count:
    """What a window held for one objective: `bad` of `total`. None: unknown, and `problem` says why."""

    total: int | None
    bad: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One objective in one window."""

    state: Standing
    p_value: float | None
    why: str


def judge(count: Count, objective: Objective, *, is_literal: bool = False) -> Judgement:
    """Judge a window. Breached needs evidence: a violation that is significant (exact binomial) or, if `is_literal`, any.

    No events is met. The objective is strict: exactly the allowed share is a violation of `< allowed`.
    """
    if count.total is None or count.bad is None:
        return Judgement(Standing.UNKNOWN, None, count.problem or "not measured")
    if count.total == 0:
        return Judgement(Standing.MET, None, "nothing happened")
    share = count.bad / count.total
    said = f"{count.bad} of {count.total} {objective.what} ({share:.2%}, objective below {objective.allowed:.2%})"
    chance = p_value(count.bad, count.total, objective.allowed)
    if share < objective.allowed:
        return Judgement(Standing.MET, chance, said)
    if is_literal:
        return Judgement(Standing.BREACHED, chance, f"{said}; compared literally")
    if chance < SIGNIFICANCE:
        return Judgement(
            Standing.BREACHED, chance, f"{said}; a service inside its objective shows this once in {1 / max(chance, 1e-300):.0f} windows"
        )
    return Judgement(Standing.MET, chance, f"{said}; too little evidence: p = {chance:.3g}, a breach needs p < {SIGNIFICANCE:g}")


def together(judgements: list[Judgement]) -> Standing:
    """One check over several objectives: breached if any is, else unknown if any is, else met."""
    states = {judgement.state for judgement in judgements}
    for state in (Standing.BREACHED, Standing.UNKNOWN):
        if state in states:
            return state
    return Standing.MET


@dataclass(frozen=True, slots=True)
class Streak:
    """Ages (s) of the breaches in a row, the oldest first. Persisted as numbers: a gap without a leader ages nothing."""

    ages_s: tuple[float, ...] = ()

    def aged(self, elapsed_s: float) -> "Streak":
        """As time passes, breaches that are too old to call recovery fall out."""
        older = (age + max(0.0, elapsed_s) for age in self.ages_s)
        return Streak(tuple(age for age in older if age <= CALLS_WITHIN_S + JITTER_S))

    def after(self, state: Standing) -> "Streak":
        """The streak after one more check: met resets it, unknown neither counts nor resets."""
        if state is Standing.MET:
            return Streak()
        return Streak((*self.ages_s, 0.0)) if state is Standing.BREACHED else self

    @property
    def calls(self) -> bool:
        """Do the last three call recovery?"""
        return len(self.ages_s) >= CALLS_AFTER and self.ages_s[-CALLS_AFTER] - self.ages_s[-1] <= CALLS_WITHIN_S + JITTER_S
