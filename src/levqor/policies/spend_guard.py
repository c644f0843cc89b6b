"""The spend guard (spec A4): may money allow a step up?"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from levqor.domain.signals import Signal

SPEND_SHARE = Decimal("0.9")
"""Spend of the last 24 h at or above this share of the daily limit freezes steps up."""

FORECAST_SHARE = Decimal("0.8")
"""A forecast day above this share of the daily limit freezes steps up."""

FORECAST_DAYS = 30
HOURS_PER_DAY = 24


class Spend(StrEnum):
    """What the guard says."""

    ALLOWED = "allowed"
    FROZEN = "frozen"
    UNKNOWN = "unknown"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True)
class SpendVerdict:
    """The guard's word with the figures it read; shares are of the limit, and None is not known."""

    spend: Spend
    text: str
    limit: Decimal | None = None
    spent: Decimal | None = None
    """In the last 24 h."""
    forecast_day: Decimal | None = None
    """A thirtieth of the 30-day forecast."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "spend": self.spend.value,
            "text": self.text,
            "limit": _rounded(self.limit),
            "spent_24h": _rounded(self.spent),
            "spent_share": self._share(self.spent),
            "forecast_day": _rounded(self.forecast_day),
            "forecast_share": self._share(self.forecast_day),
        }

    def _share(self, money: Decimal | None) -> float | None:
        return None if money is None or self.limit is None else _rounded(money / self.limit)


def guard_spend(spent: Signal, forecast: Signal, limit: Decimal | None) -> SpendVerdict:
    """Judge guarded spend of the last 24 h and the guarded 30-day forecast against the daily limit.

    Both sides of each boundary: spend freezes at exactly 0.9 of the limit, the forecast only above 0.8 of it.
    """
    money = _exact(spent)
    month = _exact(forecast)
    day = None if month is None else month / FORECAST_DAYS
    if limit is None:
        return SpendVerdict(Spend.NOT_CONFIGURED, "no DAILY_SPEND_LIMIT set", None, money, day)
    spend, text = _judge(spent, forecast, limit)
    return SpendVerdict(spend, text, limit, money, day)


def _judge(spent: Signal, forecast: Signal, limit: Decimal) -> tuple[Spend, str]:
    money, month = _exact(spent), _exact(forecast)
    if money is not None and is_spent(money, limit):
        return Spend.FROZEN, f"spent {money:.2f} in 24 h, {money / limit:.0%} of {limit:.2f}; frozen from 90 %{_aside(spent)}"
    if month is not None and month > FORECAST_SHARE * limit * FORECAST_DAYS:
        day = month / FORECAST_DAYS
        return Spend.FROZEN, f"forecast {day:.2f} a day, {day / limit:.0%} of {limit:.2f}; frozen above 80 %{_aside(forecast)}"
    if spent.is_unknown:
        return Spend.UNKNOWN, f"spend of the last 24 h is unknown: {spent.detail}"
    return Spend.ALLOWED, f"spent {money or Decimal(0):.2f} of {limit:.2f} in 24 h{_aside(spent) if spent.is_value else ''}"


def _aside(signal: Signal) -> str:
    """What a reader must know of the figure: that it is stale, or rests on few days."""
    return f" ({signal.detail})" if signal.detail else ""


def is_spent(money: Decimal, limit: Decimal) -> bool:
    """Does spend of 24 h forbid a step up by itself, whatever else may come to it?"""
    return money >= SPEND_SHARE * limit


def step_price(hourly_cost: Decimal, limit: Decimal | None, workers: int = 1) -> str:
    """What so many more workers cost, in a sentence; empty where no price is set."""
    if not hourly_cost:
        return ""
    hour = hourly_cost * workers
    day = hour * HOURS_PER_DAY
    share = "" if limit is None else f", {day / limit:.0%} of the limit of {limit:.2f}"
    more = "one more worker costs" if workers == 1 else f"{workers} more workers cost"
    return f"{more} {_money(hour)} an hour, {_money(day)} a day{share}"


def _money(amount: Decimal) -> str:
    """Two places, and more only where two would not tell it."""
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount.normalize():f}"


def _exact(signal: Signal) -> Decimal | None:
    # str() first: 44.99 as a binary float is not the 44.99 that somebody typed.
    return None if signal.value is None else Decimal(str(signal.value))


def _rounded(value: Decimal | None) -> float | None:
    return None if value is None else round(float(value), 4)
