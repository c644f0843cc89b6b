"""Makes the 30-day forecast from the ledger, keeps one a day, and says when the kept one is no longer good (spec C2, C3)."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from levqor.domain.costs import CATEGORIES_OF, CostRules
from levqor.domain.spending import Category, day_start
from levqor.monitors.cost_sources import source_views
from levqor.monitors.forecast_answer import Basis, forecast_answer
from levqor.policies.budgets import budget_of
from levqor.policies.cost_lines import HISTORY_DAYS, ONE_DAY, Totals, cost_between, cost_lines
from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.forecasts import Promise, StoredForecast, newest_forecast, newest_guard_figure, promises, put_forecast
from levqor.store.ledger import daily_totals, last_figures, ledger_revision, other_currencies

GOOD_FOR = timedelta(hours=24)
HORIZON_DAYS = 30

Write = Callable[[], AbstractContextManager[Connection]]
"""Opens a write transaction: the leader's is fenced, a web process's or the command line's is plain."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the database said at one moment."""

    revision: int
    today: date
    totals: Totals
    told_until: Mapping[Category, date | None]
    promises: list[Promise]
    other_currencies: Mapping[str, Mapping[Category, Decimal]]


class Forecasts:
    """One per process; thread-safe. Of several threads that find no good forecast, one makes it."""

    def __init__(self, rules: CostRules, database: Database, clock: Clock) -> None:
        self.rules, self._database, self._clock = rules, database, clock
        self._making = threading.Lock()

    def current(self) -> dict[str, Any] | None:
        """The kept forecast while it is good. Raises DatabaseDown."""
        now = self._clock.now()
        with self._database.read() as connection:
            kept = newest_forecast(connection, _today(now))
            is_good = kept is not None and self._is_good(now, kept.computed_at, kept.revision, kept.data["basis"], connection)
        return kept.data if kept is not None and is_good else None

    def is_good(self) -> bool:
        """Is there a kept forecast that is good? Cheap. Raises DatabaseDown."""
        now = self._clock.now()
        with self._database.read() as connection:
            figure = newest_guard_figure(connection, _today(now))
            return figure is not None and self._is_good(now, figure.computed_at, figure.revision, figure.basis, connection)

    def _is_good(self, now: datetime, computed_at: datetime, revision: int, basis: str, connection: Connection) -> bool:
        is_young = timedelta(0) <= now - computed_at < GOOD_FOR
        return is_young and basis == self.rules.basis and revision == ledger_revision(connection)

    def renew(self, write: Write | None = None, *, even_if_good: bool = True) -> dict[str, Any]:
        """Make the forecast and keep it as its day's. Raises DatabaseDown, NotTheLeader."""
        with self._making:
            if not even_if_good and (kept := self.current()) is not None:
                return kept
            revision, answer = self._make(self.rules.method)
            computed_at = self._clock.now()
            with (write or self._database.write)() as connection:
                put_forecast(connection, StoredForecast(_today(computed_at), computed_at, revision, answer), answer["method"])
        return answer

    def make(self, method: str) -> dict[str, Any]:
        """A forecast by another method, kept nowhere. Raises DatabaseDown."""
        return self._make(method)[1]

    def _make(self, method: str) -> tuple[int, dict[str, Any]]:
        # numpy is loaded here, once there is something to forecast: a process that never forecasts does not pay for it.
        from levqor.policies.forecast import forecast_lines

        now = self._clock.now()
        read = self._read(now)
        lines = cost_lines(read.totals, read.today, self.rules.constants, read.told_until, HORIZON_DAYS)
        found = forecast_lines(lines, read.today, HORIZON_DAYS, method)
        basis = Basis(
            rules=self.rules,
            computed_at=now,
            today=read.today,
            requested=method,
            kept_promises=self._kept_promises(read),
            spent_in_budget=self._spent_in_budget(read),
            other_currencies=read.other_currencies,
        )
        return read.revision, forecast_answer(found, basis)

    def _read(self, now: datetime) -> _Read:
        today = _today(now)
        first = today - HISTORY_DAYS * ONE_DAY
        with self._database.read() as connection:
            # First the revision: what is written meanwhile then makes this forecast old at once, never good by mistake.
            revision = ledger_revision(connection)
            return _Read(
                revision=revision,
                today=today,
                totals=daily_totals(connection, first, today, self.rules.currency),
                told_until=self.told_until(connection, now, today),
                promises=promises(connection, first, today - HORIZON_DAYS * ONE_DAY),
                other_currencies=other_currencies(connection, day_start(today) - HORIZON_DAYS * ONE_DAY, now, self.rules.currency),
            )

    def told_until(self, connection: Connection, now: datetime, today: date) -> dict[Category, date | None]:
        """For the categories of a source that is behind, its last whole day; None where it never told anything."""
        found: dict[Category, date | None] = {}
        for name, view in source_views(connection, now, self.rules).items():
            if view.is_behind:
                figures = last_figures(connection, name, today, self.rules.currency)
                days = [] if view.read_at is None else [_today(view.read_at) - ONE_DAY]
                days += [] if figures is None else [figures.day]
                last = max(days, default=None)
                found |= {category: last for category in CATEGORIES_OF[name]}
        return found

    def _kept_promises(self, read: _Read) -> list[bool]:
        """Of each past forecast whose 30 days are over, whether what came lay in its interval."""
        answers = []
        for promise in read.promises:
            came = float(cost_between(read.totals, promise.day, promise.day + (HORIZON_DAYS - 1) * ONE_DAY))
            answers.append(promise.low <= came <= promise.high)
        return answers

    def _spent_in_budget(self, read: _Read) -> Decimal:
        """What the budget's period has cost up to yesterday: the forecast begins today."""
        if self.rules.daily_limit is None:
            return Decimal(0)
        budget = budget_of(read.today, self.rules.budget_period, self.rules.daily_limit)
        return cost_between(read.totals, budget.first_day, read.today - ONE_DAY)


def _today(now: datetime) -> date:
    return now.astimezone(UTC).date()
