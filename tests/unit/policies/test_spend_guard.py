"""The brake on both sides of its boundaries, its figures and the price of a step (spec A4)."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from levqor.domain.decisions import Action, Code, Decision
from levqor.domain.fleet import FleetKind, FleetState
from levqor.domain.signals import Signal, Signals
from levqor.monitors.records import replay, to_record
from levqor.policies.scaling import Context, ScalingRules, decide
from levqor.policies.spend_guard import Spend, guard_spend, is_spent, step_price

LIMIT = Decimal(50)
PRICED = ScalingRules(daily_spend_limit=LIMIT, worker_hourly_cost=Decimal("0.10"))
NO_FORECAST = Signal.not_configured("no cost has been seen yet")
PRESSED = Signals(
    p95_ms=Signal.no_traffic(),
    requests=Signal.of(0),
    slow_requests=Signal.of(0),
    queue_depth=Signal.of(11),
    spend_last_24h=Signal.of(0),
    forecast_next_30d=NO_FORECAST,
)
CONTEXT = Context(FleetState(name="default", kind=FleetKind.AGENT, queues=("default",), target=2, running=2), PRICED)


def decision(rules: ScalingRules = PRICED, **signals: Signal) -> Decision:
    return decide(replace(PRESSED, **signals), replace(CONTEXT, rules=rules))


@pytest.mark.parametrize(
    ("spent", "forecast", "word"),
    [
        pytest.param(Signal.of(44.99), NO_FORECAST, Spend.ALLOWED, id="44.99 of 50"),
        pytest.param(Signal.of(45.00), NO_FORECAST, Spend.FROZEN, id="45.00 of 50"),
        pytest.param(Signal.of(0), Signal.of(1_200.0), Spend.ALLOWED, id="a forecast day of exactly 0.8"),
        pytest.param(Signal.of(0), Signal.of(1_200.0001), Spend.FROZEN, id="just above 0.8"),
        pytest.param(Signal.unknown("openai"), NO_FORECAST, Spend.UNKNOWN, id="spend was never known"),
        pytest.param(Signal.unknown("openai"), Signal.of(1_500.0), Spend.FROZEN, id="a known forecast freezes though spend is unknown"),
        pytest.param(
            Signal.not_configured("nothing"), NO_FORECAST, Spend.ALLOWED, id="what is not configured adds nothing and blocks nothing"
        ),
        pytest.param(Signal.of(1), Signal.unknown("none yet"), Spend.ALLOWED, id="no forecast yet blocks nothing"),
    ],
)
def test_what_the_guard_says(spent: Signal, forecast: Signal, word: Spend) -> None:
    """A4."""
    assert guard_spend(spent, forecast, LIMIT).spend is word


def test_stale_figures_are_used_and_said_to_be_stale() -> None:
    """A4, C6."""
    verdict = guard_spend(Signal.of(45, 7_200, "openai is stale, its last figures are used: 503"), NO_FORECAST, LIMIT)
    assert verdict.spend is Spend.FROZEN
    assert "openai is stale" in verdict.text


def test_a_forecast_of_few_days_says_so_where_it_freezes() -> None:
    """A4: the reason is checked against what it rests on."""
    verdict = guard_spend(Signal.of(0), Signal.of(1_500, 60, "little history"), LIMIT)
    assert verdict.text == "forecast 50.00 a day, 100% of 50.00; frozen above 80 % (little history)"


def test_the_answer_shows_the_figures() -> None:
    """A4: the figures of the guarded categories, and no NaN."""
    guard = decision(spend_last_24h=Signal.of(44.99), forecast_next_30d=Signal.of(1_200.0)).as_dict()["guard"]
    assert guard == {
        "spend": "allowed",
        "text": "spent 44.99 of 50.00 in 24 h",
        "limit": 50.0,
        "spent_24h": 44.99,
        "spent_share": 0.8998,
        "forecast_day": 40.0,
        "forecast_share": 0.8,
        "categories": ["workers", "infra", "ai"],
        "step_per_hour": 0.1,
        "step_per_day": 2.4,
    }


def test_without_a_limit_the_figures_are_there_and_the_shares_are_not() -> None:
    guard = decision(ScalingRules()).as_dict()["guard"]
    assert (guard["spend"], guard["limit"], guard["spent_share"], guard["spent_24h"]) == ("not_configured", None, None, 0.0)
    assert (guard["step_per_hour"], guard["step_per_day"]) == (None, None)


def test_a_step_up_has_a_price_and_the_reason_says_it() -> None:
    """A4."""
    answer = decision()
    assert answer.action is Action.SCALE_UP
    [price] = [reason for reason in answer.reasons if reason.code is Code.STEP_PRICE]
    assert price.text == "one more worker costs 0.10 an hour, 2.40 a day, 5% of the limit of 50.00"
    assert not price.votes


def test_no_price_no_sentence() -> None:
    assert step_price(Decimal(0), LIMIT) == ""
    assert all(reason.code is not Code.STEP_PRICE for reason in decision(ScalingRules()).reasons)


def test_a_price_below_a_cent_is_told_in_full() -> None:
    assert step_price(Decimal("0.0052"), None) == "one more worker costs 0.0052 an hour, 0.1248 a day"


@pytest.mark.parametrize(("money", "spent"), [("44.999999", False), ("45", True), ("45.01", True)])
def test_what_is_enough_to_freeze_by_itself(money: str, spent: bool) -> None:
    assert is_spent(Decimal(money), LIMIT) is spent


def test_a_record_replays_with_its_guard() -> None:
    """A11."""
    signals = replace(PRESSED, spend_last_24h=Signal.of(45, 3.0, "stale"), forecast_next_30d=Signal.of(900, 60.0))
    rules = replace(PRICED, guard_categories=("workers", "fees"))
    before = decide(signals, replace(CONTEXT, rules=rules))
    record: dict[str, Any] = json.loads(json.dumps(to_record(signals, replace(CONTEXT, rules=rules), before), allow_nan=False))
    assert "guard" not in record["decision"], "it follows from the rest, and a record is kept for every tick"
    assert replay(record) == before


def test_a_record_from_before_the_price_replays_as_it_was_decided() -> None:
    """A11."""
    signals = replace(PRESSED, forecast_next_30d=NO_FORECAST)
    old = replace(CONTEXT, rules=ScalingRules(daily_spend_limit=LIMIT))
    record = json.loads(json.dumps(to_record(signals, old, decide(signals, old))))
    for name in ("worker_hourly_cost", "guard_categories"):
        del record["context"]["rules"][name]
    assert replay(record).as_dict()["reasons"] == record["decision"]["reasons"]
