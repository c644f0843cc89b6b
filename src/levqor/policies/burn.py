"""Error budgets and multi-window burn rates (spec W6; Google SRE workbook, chapter 5, and Sloth's window catalogue)."""

from dataclasses import dataclass
from datetime import timedelta

BUDGET_PERIOD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Alerts while both windows burn the budget at `factor` times the sustainable rate or faster; the short one ends it soon."""

    severity: str
    factor: float
    long: timedelta
    short: timedelta


BURN_RULES = (
    BurnRule("page", 14.4, timedelta(hours=1), timedelta(minutes=5)),
    BurnRule("page", 6.0, timedelta(hours=6), timedelta(minutes=30)),
    BurnRule("ticket", 3.0, timedelta(days=1), timedelta(hours=2)),
    BurnRule("ticket", 1.0, timedelta(days=3), timedelta(hours=6)),
)


def burn_rate(total: int, bad: int, allowed: float) -> float | None:
    """How many times faster than sustainable the budget is used; None without an event."""
    return None if total == 0 else bad / total / allowed


def budget_left(total: int, bad: int, allowed: float) -> float | None:
    """The share of the period's budget that is left (1: untouched, below 0: overdrawn); None without an event."""
    return None if total == 0 else 1 - bad / total / allowed


def burns(rule: BurnRule, long: float | None, short: float | None) -> bool:
    """Do both windows exceed the rule's factor?"""
    return long is not None and short is not None and long > rule.factor and short > rule.factor
