"""The spend guard (spec A4): may money allow a step up?"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from levqor.domain.signals import Signal, SignalState

SPEND_SHARE = Decimal("0.9")
"""Spend of the last 24 h at or above this share of the daily limit freezes steps up."""

FORECAST_SHARE = Decimal("0.8")
"""A forecast day above this share of the daily limit freezes steps up."""

FORECAST_DAYS = 30


class Spend(StrEnum):
    """What the guard says."""

    ALLOWED = "allowed"
    FROZEN = "frozen"
    UNKNOWN = "unknown"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True)
class SpendVerdict:
    """The guard's word with the figures it read."""

    spend: Spend
    text: str


def guard_spend(spent: Signal, forecast: Signal, limit: Decimal | None) -> SpendVerdict:
    """Judge guarded spend of the last 24 h and the guarded 30-day forecast against the daily limit.

    Both sides of each boundary: spend freezes at exactly 0.9 of the limit, the forecast only above 0.8 of it.
    """
    if limit is None:
        return SpendVerdict(Spend.NOT_CONFIGURED, "no DAILY_SPEND_LIMIT set")
    if spent.value is not None:
        # str() first: 44.99 as a binary float is not the 44.99 that somebody typed.
        money = Decimal(str(spent.value))
        if money >= SPEND_SHARE * limit:
            return SpendVerdict(Spend.FROZEN, f"spent {money:.2f} in 24 h, {money / limit:.0%} of {limit:.2f}; frozen from 90 %")
    if forecast.value is not None:
        day = Decimal(str(forecast.value)) / FORECAST_DAYS
        if day > FORECAST_SHARE * limit:
            return SpendVerdict(Spend.FROZEN, f"forecast {day:.2f} a day, {day / limit:.0%} of {limit:.2f}; frozen above 80 %")
    if spent.state is SignalState.UNKNOWN:
        return SpendVerdict(Spend.UNKNOWN, f"spend of the last 24 h is unknown: {spent.detail}")
    figure = "0.00" if spent.value is None else f"{spent.value:.2f}"
    return SpendVerdict(Spend.ALLOWED, f"spent {figure} of {limit:.2f} in 24 h")
