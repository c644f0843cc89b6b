"""The ledger, its sources, and what is made of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from levqor.bootstrap.database import database_alone
from levqor.domain.costs import CostRules
from levqor.domain.spending import Category
from levqor.host import SystemClock
from levqor.monitors.budget_alerts import BudgetAlerts
from levqor.monitors.cost_sync import CostSync, OwnLines
from levqor.monitors.cost_watch import CostWatch, CostWatchParts
from levqor.monitors.costs import CostDesk
from levqor.monitors.ledger_desk import LedgerDesk
from levqor.ports import Clock, SpendSource
from levqor.settings import Configuration, Settings
from levqor.spend.constants import Constants
from levqor.spend.openai import OpenAi
from levqor.spend.stripe import Stripe
from levqor.store.database import Database
from levqor.store.leases import Lease


def spend_sources(settings: Settings, clock: Clock) -> list[SpendSource]:
    """Every source of spend that is configured; nothing is opened."""
    sources: list[SpendSource] = []
    if settings.stripe_secret_key is not None:
        sources.append(Stripe(settings.stripe_secret_key.get_secret_value(), settings.stripe_api_base, clock=clock))
    if settings.openai_admin_key is not None:
        sources.append(OpenAi(settings.openai_admin_key.get_secret_value(), settings.openai_api_base, clock=clock))
    if settings.cost_constants:
        sources.append(Constants(settings.cost_constants, settings.cost_currency, clock))
    return sources


def own_lines(settings: Settings, clock: Clock) -> OwnLines:
    """The ledger's lines that the leader writes by itself."""
    constants = Constants(settings.cost_constants, settings.cost_currency, clock)
    return OwnLines(constants, settings.cost_currency, is_configured=bool(settings.cost_constants))


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger and what fills it, for a command that needs no running service."""

    desk: LedgerDesk
    sync: CostSync
    costs: CostDesk


@contextmanager
def books_alone(configuration: Configuration) -> Iterator[Books]:
    """The same, opened. Raises DatabaseDown, SchemaError."""
    settings, clock = configuration.settings, SystemClock()
    sources = spend_sources(settings, clock)
    with database_alone(settings) as database:
        ledger_desk = LedgerDesk(database, clock, [source.name for source in sources])
        yield Books(ledger_desk, CostSync(sources, database, clock), cost_desk(settings, database, clock))


def cost_desk(settings: Settings, database: Database, clock: Clock) -> CostDesk:
    """What is known of money; works with no service running."""
    keys = {"stripe": settings.stripe_secret_key, "openai": settings.openai_admin_key}
    rules = CostRules(
        currency=settings.cost_currency,
        method=settings.cost_method,
        guard_categories=frozenset(Category(name) for name in settings.guard_categories),
        daily_limit=settings.daily_spend_limit,
        hourly_cost=settings.worker_hourly_cost,
        constants=settings.cost_constants,
        sources=frozenset(name for name, key in keys.items() if key is not None),
        budget_period=settings.budget_period,
        budget_percents=tuple(settings.budget_alerts),
    )
    return CostDesk(rules, database, clock)


def cost_watch(desk: CostDesk, database: Database, lease: Lease, clock: Clock) -> CostWatch:
    """The leader's work about money beside the tick."""
    return CostWatch(CostWatchParts(desk.forecasts, BudgetAlerts(desk.rules, database, lease, clock), lease, clock))
