"""What the tick reads of money: guarded spend of the last 24 h and the guarded forecast (spec A4, S1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from levqor.domain.costs import CATEGORIES_OF, CostRules, SourceView
from levqor.domain.signals import Signal
from levqor.domain.spending import day_start
from levqor.monitors.cost_sources import source_views
from levqor.policies.spend_guard import is_spent
from levqor.store.forecasts import GuardFigure, newest_guard_figure
from levqor.store.ledger import last_figures, ledger_revision, spend_last_24h

DAY = timedelta(hours=24)
NOTHING_COSTS = "nothing that costs is set: WORKER_HOURLY_COST, COST_CONSTANTS or `levqor costs add`"


@dataclass(frozen=True, slots=True)
class SpendSignals:
    """A few indexed reads; no forecast is made here."""

    rules: CostRules

    def spend(self, connection: Connection, now: datetime) -> Signal:
        """Of the guarded categories alone: revenue never counts, fees only where they are among them."""
        rules = self.rules
        money = spend_last_24h(connection, now, rules.guard_categories, rules.currency)
        behind = {name: view for name, view in source_views(connection, now, rules).items() if view.is_behind and self._guards(name)}
        money += sum((self._last_known(connection, now, name, view) for name, view in behind.items()), Decimal(0))
        # Worker-hours come with many places; a millionth is finer than any price.
        money = round(money, 6)
        never = [name for name, view in behind.items() if view.read_at is None]
        if never:
            return self._without(money, behind, never)
        if not money and not rules.has_price and ledger_revision(connection) == 0:
            return Signal.not_configured(NOTHING_COSTS)
        return Signal.of(float(money), _age_s(now, behind), _stale_text(behind))

    def forecast(self, connection: Connection, now: datetime) -> Signal:
        """The last one that was made; the leader renews it within seconds of what makes it old."""
        figure = newest_guard_figure(connection, now.astimezone(UTC).date())
        if figure is None:
            return Signal.unknown("no forecast has been made yet")
        old = self._old_because(connection, figure)
        if figure.amount is None:
            return Signal.unknown(f"the last one is {old}") if old else Signal.not_configured("no day of cost has been seen yet")
        detail = old or ("little history" if figure.low_data else "")
        return Signal.of(figure.amount, max(0.0, (now - figure.computed_at).total_seconds()), detail)

    def _old_because(self, connection: Connection, figure: GuardFigure) -> str:
        """Empty for a forecast of what is known now."""
        if figure.basis != self.rules.basis:
            return "made for other settings"
        return "" if figure.revision == ledger_revision(connection) else "from before the ledger's last change"

    def _guards(self, source: str) -> bool:
        return bool(CATEGORIES_OF[source] & self.rules.guard_categories)

    def _without(self, money: Decimal, behind: Mapping[str, SourceView], never: list[str]) -> Signal:
        """A source has no figures at all: what the others say is known only if it is enough to freeze."""
        why = "; ".join(f"{name} has never been read: {behind[name].problem}" for name in never)
        limit = self.rules.daily_limit
        return Signal.of(float(money), detail=f"at least; {why}") if limit is not None and is_spent(money, limit) else Signal.unknown(why)

    def _last_known(self, connection: Connection, now: datetime, source: str, view: SourceView) -> Decimal:
        """For the part of the last 24 h that a source has not told of: as much as on its last whole day."""
        if view.read_at is None:
            return Decimal(0)
        figures = last_figures(connection, source, min(view.read_at, now).astimezone(UTC).date(), self.rules.currency)
        if figures is None:
            return Decimal(0)
        a_day = sum((figures.by_category.get(category, Decimal(0)) for category in self.rules.guard_categories), Decimal(0))
        return a_day * _untold(now, view.read_at, figures.day)


def _untold(now: datetime, read_at: datetime, last_day: date) -> Decimal:
    """The share of the last 24 h after a source's last figures (0..1)."""
    told_until = max(read_at, day_start(last_day) + DAY)
    return Decimal(str(min(1.0, max(0.0, (now - told_until) / DAY))))


def _age_s(now: datetime, behind: Mapping[str, SourceView]) -> float:
    return max((max(0.0, (now - view.read_at).total_seconds()) for view in behind.values() if view.read_at is not None), default=0.0)


def _stale_text(behind: Mapping[str, SourceView]) -> str:
    return "; ".join(f"{name} is stale, its last figures are used: {view.problem}" for name, view in behind.items())
