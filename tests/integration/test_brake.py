"""The brake on what is written: ledger entries in, decisions out (spec A4), and all of it on a running stack."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.running import Installation
from tests.integration.spending import Money
from tests.integration.test_autopilot import Plane
from tests.waiting import eventually

from levqor.domain.spending import Category
from levqor.monitors.reading import Reader
from levqor.policies.scaling import Context, decide
from levqor.store.database import Database
from levqor.store.usage import add_usage

LIMIT = Decimal(50)


class Braked:
    """A plane whose reader reads the ledger, under pressure, with a limit of 50 a day."""

    def __init__(self, database: Database, store_url: str, folder: Path, **rules: Any) -> None:
        self.plane = Plane(database, store_url, folder)
        self.money = Money(database, daily_limit=LIMIT, **rules)
        self.money.clock = self.plane.clock
        old = self.plane.reader
        self.reader = Reader(
            old.scope, self.plane.engine, old._telemetry, self.plane.fleet, database, self.plane.clock, self.money.desk.signals
        )
        self.plane.heard()

    def decide(self) -> dict[str, Any]:
        reading = self.reader.read()
        pressed = replace(reading.signals, queue_depth=replace(reading.signals.queue_depth, value=11.0))
        fleet = replace(reading.fleet, starting=0, running=2, room=None)
        rules = replace(self.plane.rules, daily_spend_limit=LIMIT, worker_hourly_cost=self.money.rules.hourly_cost)
        return decide(pressed, Context(fleet, rules)).as_dict()


@pytest.fixture
def braked(database: Database, store_url: str, tmp_path: Path) -> Braked:
    return Braked(database, store_url, tmp_path)


def test_spend_just_below_and_at_nine_tenths(braked: Braked) -> None:
    """A4: 44.99 and 45.00 of 50."""
    braked.money.add("44.99")
    assert braked.decide()["action"] == "scale_up"
    braked.money.add("0.01")
    answer = braked.decide()
    assert answer["action"] == "freeze"
    assert (answer["guard"]["spent_24h"], answer["guard"]["spent_share"], answer["guard"]["limit"]) == (45.0, 0.9, 50.0)


def test_the_forecast_at_eight_tenths_and_just_above(braked: Braked) -> None:
    """A4: 40.00 a day of 50 is 0.8; 40.01 is more."""
    braked.money.add_days("40", 40, item="base")
    braked.money.clock.advance(2 * 86_400)  # so that the last 24 h are free of it
    braked.money.add_days("40", 2, item="base")
    braked.money.desk.forecast()
    answer = braked.decide()
    assert answer["guard"]["forecast_day"] == 40.0
    assert answer["action"] == "scale_up"
    braked.money.add_days("0.01", 42, item="base")
    braked.money.desk.forecast()
    answer = braked.decide()
    assert answer["action"] == "freeze"
    assert answer["reasons"][0]["text"].startswith("forecast 40.01 a day")


def test_revenue_and_fees_never_freeze(braked: Braked) -> None:
    """A4: they grow with sales."""
    for category in (Category.REVENUE, Category.FEES):
        braked.money.add("100000", category=category, item=category.value, source="stripe")
        braked.money.add_days("100000", 30, category=category, item=category.value, source="stripe")
    braked.money.desk.forecast()
    assert braked.decide()["action"] == "scale_up"


def test_what_is_not_configured_adds_nothing_and_blocks_nothing(braked: Braked) -> None:
    """A4."""
    answer = braked.decide()
    assert answer["action"] == "scale_up"
    assert answer["inputs"]["spend_last_24h"]["state"] == "not_configured"


def test_spend_of_a_source_that_was_never_read_allows_no_step_up(database: Database, store_url: str, tmp_path: Path) -> None:
    """A4: none ever."""
    braked = Braked(database, store_url, tmp_path, sources=frozenset({"openai"}))
    answer = braked.decide()
    assert (answer["action"], answer["reasons"][0]["code"]) == ("hold", "spend_unknown")


def test_worker_hours_and_the_ledger_are_one_spend(database: Database, store_url: str, tmp_path: Path) -> None:
    """S1, C1."""
    braked = Braked(database, store_url, tmp_path, hourly_cost=Decimal(1))
    with database.write() as connection:
        add_usage(connection, braked.plane.clock.now(), "default", 40 * 3_600, Decimal(1))
    braked.money.add("4.99")
    assert braked.decide()["action"] == "scale_up"
    braked.money.add("0.01")
    assert braked.decide()["action"] == "freeze"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "stack", LEVQOR_DAILY_SPEND_LIMIT="50")
    yield installation.up()
    installation.stop()
    installation.clean_up()


class Books:
    """`levqor costs ...` beside a running stack, and what the stack says of it."""

    def __init__(self, stack: Installation) -> None:
        self.stack = stack

    def costs(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "levqor.cli", "costs", *words, "--json"]
        environment = {**self.stack.environment, "LEVQOR_DATA": str(self.stack.data), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, env=environment, cwd=self.stack.folder, capture_output=True, text=True, timeout=30, check=True)
        return dict(json.loads(done.stdout))

    def add(self, amount: str) -> None:
        self.costs("add", "--source", "infra", f"--amount={amount}", "--currency", "usd")

    def add_each_day(self, amount: str) -> None:
        today = datetime.now(UTC).date()
        rows = [f"{today - timedelta(days=n)},{amount},{amount} {n}" for n in range(1, 41)]
        path = self.stack.folder / "costs.csv"
        path.write_text("\n".join(["day,amount,key", *rows]) + "\n", encoding="utf-8")
        assert self.costs("import", str(path), "--source", "infra")["changed"] == 40

    def pressed(self) -> dict[str, Any]:
        """The decision under pressure, once the leader's forecast is of the ledger as it is."""

        def settled() -> bool:
            inputs = self.stack.get("/ops/autoscale/dryrun")["inputs"]
            forecast = inputs["forecast_next_30d"]
            return forecast["state"] != "unknown" and not forecast["detail"].startswith(("from before", "made for"))

        eventually(settled, within_s=30, what="the leader's forecast")
        return self.stack.get("/ops/autoscale/dryrun?queue_depth=11")


def test_on_a_running_stack_what_is_added_is_what_dryrun_reads(stack: Installation) -> None:
    """A4, C1, C2, C4: written by `costs add`, renewed within a tick, read over HTTP; both sides of both boundaries."""
    books = Books(stack)
    first = stack.get("/ops/cost/forecast")["computed_at"]
    for amount, spent, action in (("44.99", 44.99, "scale_up"), ("0.01", 45.0, "freeze")):
        books.add(amount)
        eventually(lambda spent=spent: books.pressed()["guard"]["spent_24h"] == spent, what=f"{spent} of 50")  # type: ignore[misc]
        assert books.pressed()["action"] == action
    assert stack.get("/ops/cost/forecast")["computed_at"] != first

    books.add("-45")
    for amount, day, action in (("40", 40.0, "scale_up"), ("0.01", 40.01, "freeze")):
        books.add_each_day(amount)
        eventually(lambda day=day: books.pressed()["guard"]["forecast_day"] == day, within_s=30, what=f"a forecast of {day} a day")  # type: ignore[misc]
        assert books.pressed()["action"] == action

    assert stack.get("/billing/health")["status"] == "not_configured"
    assert stack.get("/ops/cost/forecast?refresh=true")["http_status"] == 401
    assert stack.admin("/ops/cost/forecast?refresh=true")["forecast_next_30d"] == 1200.3
    assert stack.get("/ops/cost/today")["guard"]["spend"] == "frozen"
    books.costs("forecast", "--persist")
    kept = json.loads((stack.data / "last_forecast.json").read_text(encoding="utf-8"))
    assert kept["forecast_next_30d"] == 1200.3
