"""Budget alerts: each percent is told once a period, whoever leads (spec C2)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Connection

from levqor.domain.alerts import Severity
from levqor.domain.costs import CostRules
from levqor.domain.spending import Category
from levqor.monitors.cost_sources import source_views
from levqor.policies.budgets import Budget, budget_of, reached
from levqor.ports import Clock
from levqor.store.budgets import claim_percents, told_percents
from levqor.store.database import Database
from levqor.store.leases import Lease
from levqor.store.ledger import spend_between
from levqor.store.outbox import enqueue

COSTS = frozenset(Category) - {Category.REVENUE}
KIND = "budget"


@dataclass(frozen=True, slots=True)
class BudgetAlerts:
    """Counts every cost of the reporting currency, fees too: what is paid is paid, whoever can control it."""

    rules: CostRules
    database: Database
    lease: Lease
    clock: Clock

    def check(self) -> None:
        """Tell the highest percent that is newly reached; lower ones that came with it are taken as told. Raises NotTheLeader."""
        limit = self.rules.daily_limit
        if limit is None:
            return
        now = self.clock.now()
        budget = budget_of(now.astimezone(UTC).date(), self.rules.budget_period, limit)
        with self.database.read() as connection:
            open_percents = set(self.rules.budget_percents) - told_percents(connection, budget.key)
            if not open_percents:
                return
            spent = spend_between(connection, budget.start, now, COSTS, self.rules.currency)
            behind = [name for name, view in source_views(connection, now, self.rules).items() if view.is_behind]
        due = reached(spent, budget.amount, sorted(open_percents))
        if due:
            with self.lease.fenced() as connection:
                self._tell(connection, now, budget, due, spent, behind)

    def _tell(self, connection: Connection, now: datetime, budget: Budget, due: list[int], spent: Decimal, behind: list[str]) -> None:
        mine = claim_percents(connection, now, budget.key, due)
        if not mine:
            return
        percent, currency = max(mine), self.rules.currency
        text = f"{spent:.2f} {currency} of {budget.amount:.2f} are spent in {budget.key} (all costs)."
        if behind:
            text += f" Not all of it is known: {', '.join(behind)} could not be read lately."
        enqueue(
            connection,
            now,
            key=f"budget:{budget.key}:{percent}",
            kind=KIND,
            severity=Severity.TICKET,
            title=f"{percent} % of the budget for {budget.key} is spent",
            text=text,
        )
