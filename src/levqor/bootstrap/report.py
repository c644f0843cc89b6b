"""The advice report, for a command that needs no running service."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from levqor.alerts.letters.render import render
from levqor.bootstrap.database import database_alone
from levqor.domain.advice import Advice, Proposed
from levqor.domain.summary import Pages
from levqor.host import SystemClock
from levqor.lab.advice import advise
from levqor.lab.own_rules import Threshold, Wait
from levqor.lab.simulator import Case
from levqor.lab.ticks import Policy
from levqor.monitors.reports import proposed_steps
from levqor.policies.advice_page import AdvicePage, compose_advice
from levqor.settings import Configuration
from levqor.store.flags import DEFAULT_FLEET
from levqor.store.work import list_work

TICK_S = 5.0
"""The rules are played at ticks of this length, or of TICK_S where that is longer: a week takes a few seconds."""


def advice_of(configuration: Configuration, since_s: float) -> Advice:
    """What each rule would have made of the last `since_s` seconds. Raises DatabaseDown, SchemaError, ConditionNotMet."""
    settings = configuration.settings
    until = SystemClock().now()
    since = until - timedelta(seconds=since_s)
    with database_alone(settings) as database, database.read() as connection:
        minutes = list_work(connection, DEFAULT_FLEET, since, until)
        proposed: tuple[list[Proposed], int] = proposed_steps(connection, since)
    tick_s = max(settings.tick_s, TICK_S)
    case = Case(settings.workers_max, settings.worker_start_s, settings.wait_slo_s, tick_s, settings.workers_min)
    # What the money would have said then is not recorded: the rules are played without the spend guard.
    dials = replace(settings.rules, name="threshold", daily_spend_limit=None)
    rules: dict[str, Callable[[], Policy]] = {"threshold": lambda: Threshold(tick_s, dials), "wait": Wait}
    hourly_cost = float(settings.worker_hourly_cost) or None
    return advise(minutes, case, rules, settings.scale_rule, proposed, hourly_cost)


def pages_of(configuration: Configuration, advice: Advice) -> tuple[AdvicePage, Pages]:
    """The report as text and as HTML, its times in SUMMARY_TZ."""
    page = compose_advice(advice, ZoneInfo(configuration.settings.summary_tz))
    return page, render(page)
