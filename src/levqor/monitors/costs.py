"""What the API and the command line ask about money. Answers are JSON-able (spec C)."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from levqor.domain.costs import CostRules
from levqor.domain.spending import Category, day_start
from levqor.monitors.budget_alerts import COSTS
from levqor.monitors.cost_sources import billing_state, configured_sources, describe_sources, source_views
from levqor.monitors.forecasting import Forecasts
from levqor.monitors.ledger_desk import LedgerDesk
from levqor.monitors.spend_signals import SpendSignals
from levqor.policies.budgets import budget_of
from levqor.policies.cost_days import days_by_category
from levqor.policies.spend_guard import guard_spend
from levqor.ports import Clock
from levqor.store.budgets import told_percents
from levqor.store.database import Database
from levqor.store.forecasts import newest_forecast
from levqor.store.ledger import daily_totals, other_currencies, spend_between

INSIDE = ("basis", "source_errors")
"""Keys of a kept forecast that are not shown as they are."""
PLACES = 4

Answer = dict[str, Any]
"""A JSON-able answer."""


class CostDesk:
    """One per process; thread-safe. Every method raises DatabaseDown."""

    def __init__(self, rules: CostRules, database: Database, clock: Clock) -> None:
        self.rules, self._database, self._clock = rules, database, clock
        self.forecasts = Forecasts(rules, database, clock)
        self.signals = SpendSignals(rules)
        self._books = LedgerDesk(database, clock, sorted(configured_sources(rules)))

    def forecast(self, refresh: bool = False) -> Answer:
        """What the next 30 days are expected to cost: the kept forecast while it is good, a new one if not or if asked for."""
        kept = None if refresh else self.forecasts.current()
        return self._told(kept or self.forecasts.renew(even_if_good=refresh))

    def forecast_by(self, method: str) -> Answer:
        """By another method than the installation's; it is kept nowhere."""
        return self._told(self.forecasts.make(method))

    def _told(self, kept: Mapping[str, Any]) -> Answer:
        """With the sources as they are now, however old the forecast is."""
        with self._database.read() as connection:
            sources = describe_sources(connection, self._clock.now(), self.rules, kept["source_errors"])
        return {**{name: value for name, value in kept.items() if name not in INSIDE}, "sources": sources}

    def today(self) -> Answer:
        """What this UTC day has cost and brought so far, the brake's figures, and the budget."""
        now = self._clock.now()
        with self._database.read() as connection:
            begin = day_start(now.astimezone(UTC).date()) - timedelta(microseconds=1)
            by_category = self._so_far(connection, begin, now)
            spent, forecast = self.signals.spend(connection, now), self.signals.forecast(connection, now)
            return {
                "day": now.astimezone(UTC).date().isoformat(),
                "currency": self.rules.currency,
                "cost": _number(sum((by_category[category] for category in COSTS), Decimal(0))),
                "guarded_today": _number(sum((by_category[category] for category in self.rules.guard_categories), Decimal(0))),
                "revenue": _number(by_category[Category.REVENUE]),
                "by_category": {category.value: _number(amount) for category, amount in by_category.items()},
                "spend_last_24h": spent.as_dict(),
                "forecast_next_30d": forecast.as_dict(),
                "guard": {
                    **guard_spend(spent, forecast, self.rules.daily_limit).as_dict(),
                    "categories": sorted(self.rules.guard_categories),
                },
                "budget": self._budget(connection, now),
                "other_currencies": _others(other_currencies(connection, begin, now, self.rules.currency)),
                "sources": describe_sources(connection, now, self.rules, {}),
                "unknown": self._unread(connection, now),
                "measured_at": now.isoformat(),
            }

    def daily(self, days: int) -> Answer:
        """Each category's sums of the last `days` UTC days, the oldest first; the last is today so far. None: not known."""
        now = self._clock.now()
        today = now.astimezone(UTC).date()
        wanted = [today - timedelta(days=n) for n in reversed(range(days))]
        with self._database.read() as connection:
            totals = daily_totals(connection, wanted[0], today, self.rules.currency)
            told_until = self.forecasts.told_until(connection, now, today)
            so_far = self._so_far(connection, day_start(today) - timedelta(microseconds=1), now)
        found = days_by_category(totals, wanted, told_until)
        for category, sums in found.items():
            if sums[-1] is not None:
                sums[-1] = so_far[category]
        return {
            "currency": self.rules.currency,
            "days": [day.isoformat() for day in wanted],
            "categories": {
                category.value: [None if amount is None else _number(amount) for amount in sums] for category, sums in found.items()
            },
            "measured_at": now.isoformat(),
        }

    def _so_far(self, connection: Connection, begin: datetime, now: datetime) -> dict[Category, Decimal]:
        return {category: spend_between(connection, begin, now, [category], self.rules.currency) for category in Category}

    def _budget(self, connection: Connection, now: datetime) -> Answer | None:
        """All costs of the period so far; None without a limit."""
        if self.rules.daily_limit is None:
            return None
        budget = budget_of(now.astimezone(UTC).date(), self.rules.budget_period, self.rules.daily_limit)
        spent = spend_between(connection, budget.start, now, COSTS, self.rules.currency)
        return {
            "period": self.rules.budget_period,
            "key": budget.key,
            "amount": _number(budget.amount),
            "spent": _number(spent),
            "percent": round(float(spent / budget.amount * 100), 2),
            "alerts": list(self.rules.budget_percents),
            "told": sorted(told_percents(connection, budget.key)),
        }

    def _unread(self, connection: Connection, now: datetime) -> list[str]:
        """Sources that never told anything: what they cost is in no figure."""
        return sorted(name for name, view in source_views(connection, now, self.rules).items() if view.read_at is None)

    def billing_health(self) -> Answer:
        """Can billing be read: `ok`, `not_configured` or `down` (spec E3)."""
        with self._database.read() as connection:
            return billing_state(connection, self._clock.now(), self.rules)

    def ledger(self, since: datetime | None, until: datetime | None, source: str | None, category: Category | None, limit: int) -> Answer:
        """Entries in [since, until), the newest first, and the sums of all that are meant."""
        return self._books.ledger(since, until, source, category, limit)

    def gauges(self) -> dict[str, float | None]:
        """For `/metrics`; None is not known."""
        now = self._clock.now()
        today = now.astimezone(UTC).date()
        with self._database.read() as connection:
            kept = newest_forecast(connection, today)
            begin = day_start(today) - timedelta(microseconds=1)
            cost = None if self._unread(connection, now) else spend_between(connection, begin, now, COSTS, self.rules.currency)
        known = kept is not None and kept.data["confidence_low"] is not None
        return {
            "forecast_30d": kept.data["forecast_next_30d"] if kept is not None and known else None,
            "today": None if cost is None else _number(cost),
        }


def _number(amount: Decimal) -> float:
    return round(float(amount), PLACES) + 0.0


def _others(sums: Mapping[str, Mapping[Category, Decimal]]) -> dict[str, dict[str, float]]:
    return {currency: {category.value: _number(amount) for category, amount in found.items()} for currency, found in sums.items()}
