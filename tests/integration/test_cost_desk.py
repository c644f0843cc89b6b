"""Forecast, today and budget over both databases: what is cached, what drops it, what is said of sources that are behind (spec C)."""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.integration.spending import Money

from levqor.domain.costs import CostRules
from levqor.domain.errors import DatabaseDown
from levqor.domain.spending import Category
from levqor.monitors.budget_alerts import BudgetAlerts
from levqor.monitors.cost_watch import CostWatch, CostWatchParts
from levqor.monitors.costs import CostDesk
from levqor.store.database import Database
from levqor.store.forecasts import StoredForecast, newest_forecast, promises, purge_forecasts, put_forecast
from levqor.store.leases import Lease
from levqor.store.outbox import list_alerts
from levqor.store.spend_sources import mark_failed, mark_synced
from levqor.store.usage import add_usage

OPENAI = frozenset({"openai"})
STRIPE = frozenset({"stripe"})


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


class TestForecast:
    def test_without_history_it_is_a_number_and_says_that_it_knows_nothing(self, database: Database) -> None:
        """C2: no history."""
        answer = Money(database).desk.forecast()
        assert answer["forecast_next_30d"] == 0.0
        assert (answer["confidence_low"], answer["confidence_high"], answer["low_data"]) == (None, None, True)
        assert answer["guard_forecast_next_30d"] is None
        assert answer["coverage_so_far"] == {"share": None, "count": 0, "level": 0.8}

    def test_what_came_today_alone_is_named_and_in_no_figure(self, database: Database) -> None:
        """A4, C2: a single bill of today is no rate."""
        money = Money(database)
        money.add("44.99")
        answer = money.desk.forecast()
        assert (answer["guard_forecast_next_30d"], answer["unknown"]) == (None, ["servers"])
        assert money.desk.gauges()["forecast_30d"] is None
        assert money.forecast_signal().state == "not_configured"

    def test_after_one_day_it_is_the_run_rate(self, database: Database) -> None:
        """C2: one day."""
        money = Money(database)
        money.add("3.00", days_ago=1)
        answer = money.desk.forecast()
        assert answer["forecast_next_30d"] == 90.0
        assert answer["low_data"]
        assert answer["confidence_low"] < 90 < answer["confidence_high"]

    def test_it_is_of_cost_alone_and_revenue_stands_apart(self, database: Database) -> None:
        """C2: fees, infra, AI and workers are cost; charges are revenue."""
        money = Money(database)
        money.add_days("10", 40)
        money.add_days("100", 40, category=Category.REVENUE, item="charges", source="stripe")
        money.add_days("3", 40, category=Category.FEES, item="fees", source="stripe")
        money.add_days("2", 40, category=Category.AI, item="gpt", source="openai")
        answer = money.desk.forecast()
        assert answer["forecast_next_30d"] == pytest.approx(450.0)
        assert answer["guard_forecast_next_30d"] == pytest.approx(360.0), "fees grow with sales: the brake leaves them out"
        parts = {name: part["forecast"] for name, part in answer["breakdown"].items()}
        assert parts == pytest.approx(
            {
                "stripe_charges": 3000,
                "stripe_fees": 90,
                "infra": 300,
                "openai": 60,
                "total_cost": 450,
                "margin": 2550,
                "workers": None,
            }
        )
        assert [len(answer["daily"]), answer["daily"][0]["day"]] == [30, money.today.isoformat()]
        assert sum(day["cost"] for day in answer["daily"]) == pytest.approx(450.0, abs=0.01)

    def test_constants_carry_no_error(self, database: Database) -> None:
        """C3: fixed costs are known."""
        money = Money(database, constants={"redis": Decimal(31), "vercel": Decimal(62)})
        answer = money.desk.forecast()
        redis = answer["breakdown"]["infra"]["lines"]["redis"]
        assert redis["is_fixed"]
        assert (redis["forecast"], redis["low"], redis["high"], redis["error"]) == (30.0, 30.0, 30.0, 0.0), "30 of March's 31 days"
        assert answer["breakdown"]["infra"]["forecast"] == 90.0

    def test_linear_is_exactly_twenty_percent_off(self, database: Database) -> None:
        """C3."""
        money = Money(database, method="linear", constants={"redis": Decimal(31)})
        money.add_days("10", 40)
        answer = money.desk.forecast()
        assert answer["method"] == "linear"
        assert answer["confidence_low"] == pytest.approx(0.8 * answer["forecast_next_30d"], abs=1e-3)
        assert answer["confidence_high"] == pytest.approx(1.2 * answer["forecast_next_30d"], abs=1e-3)

    def test_odd_histories_answer_with_numbers(self, database: Database) -> None:
        """C2: zeros, negative days, one huge outlier, a gap of two weeks: no NaN, and the interval holds the forecast."""
        odd = {
            "aaa": ["0"] * 40,
            "bbb": ["-3"] * 40,
            "ccc": ["5"] * 20 + ["100000"] + ["5"] * 20,
            "ddd": ["4", "-4"],
            "eee": ["6"] * 20 + ["0"] * 14 + ["6"] * 20,
        }
        for currency, amounts in odd.items():  # one book, each history in a currency of its own
            money = Money(database, daily_limit=Decimal(50), currency=currency)
            money.write([money.entry(amount, days_ago=n, currency=currency, key=f"{currency}{n}") for n, amount in enumerate(amounts, 1)])
            answer = money.desk.forecast(refresh=True)
            assert all(math.isfinite(number) for number in numbers(answer)), currency
            json.dumps(answer, allow_nan=False)
            assert answer["confidence_low"] <= answer["forecast_next_30d"] <= answer["confidence_high"], currency

    def test_other_currencies_are_named_and_not_counted(self, database: Database) -> None:
        money = Money(database)
        money.add_days("1", 30)
        money.add("500", currency="eur", days_ago=2)
        answer = money.desk.forecast()
        assert answer["forecast_next_30d"] == pytest.approx(30.0)
        assert answer["other_currencies"] == {"eur": {"infra": 500.0}}

    def test_the_day_above_the_limit_and_the_end_of_the_budget_are_named(self, database: Database) -> None:
        money = Money(database, daily_limit=Decimal(10))
        money.add_days("12", 40)
        answer = money.desk.forecast()
        assert answer["limit"] == 10.0
        assert answer["limit_breach_date"] == money.today.isoformat()
        budget = answer["budget"]
        assert budget["amount"] == 310.0
        assert budget["used_up_on"] is not None
        assert budget["used_up_on"] >= budget["used_up_on_earliest"]

    def test_no_limit_no_dates(self, database: Database) -> None:
        money = Money(database)
        money.add_days("12", 40)
        answer = money.desk.forecast()
        assert (answer["limit"], answer["limit_breach_date"], answer["budget"]) == (None, None, None)

    def test_coverage_is_what_past_forecasts_held(self, database: Database) -> None:
        """C2: only those whose 30 days are over."""
        money = Money(database)
        money.add_days("10", 60)
        with database.write() as connection:
            for days_ago, low, high in ((40, 250.0, 350.0), (35, 1.0, 2.0), (20, 1.0, 2.0)):
                made = money.clock.now() - timedelta(days=days_ago)
                data = {"confidence_low": low, "confidence_high": high, "forecast_next_30d": 300.0, "basis": ""}
                put_forecast(connection, StoredForecast(made.date(), made, 1, data), "auto")
        assert money.desk.forecast()["coverage_so_far"] == {"share": 0.5, "count": 2, "level": 0.8}


class TestCache:
    def made_at(self, money: Money) -> str:
        return str(money.desk.forecast()["computed_at"])

    def test_it_is_kept_for_a_day(self, database: Database) -> None:
        """C2: cached 24 h."""
        money = Money(database)
        money.add("1", days_ago=1)
        first = self.made_at(money)
        money.clock.advance(86_399)
        assert self.made_at(money) == first
        money.clock.advance(1)
        assert self.made_at(money) != first

    def test_a_ledger_write_drops_it(self, database: Database) -> None:
        """C2."""
        money = Money(database)
        money.add("1", days_ago=1)
        first = money.desk.forecast()
        money.clock.advance(1)
        money.add("2", days_ago=2)
        assert "ledger's last change" in money.forecast_signal().detail, "the tick goes on with the last one and says so"
        second = money.desk.forecast()
        assert second["computed_at"] != first["computed_at"]
        assert second["forecast_next_30d"] == 45.0
        assert money.forecast_signal().detail == "little history"

    def test_worker_hours_do_not(self, database: Database) -> None:
        """C2: they change with every minute."""
        money = Money(database, hourly_cost=Decimal(1))
        money.add("1", days_ago=1)
        first = self.made_at(money)
        for _ in range(3):
            money.clock.advance(60)
            with database.write() as connection:
                add_usage(connection, money.clock.now(), "default", 3_600, Decimal(1))
        assert self.made_at(money) == first

    def test_a_refresh_makes_it_anew(self, database: Database) -> None:
        money = Money(database)
        first = self.made_at(money)
        money.clock.advance(1)
        assert money.desk.forecast(refresh=True)["computed_at"] != first
        assert self.made_at(money) != first

    def test_other_settings_do_too_and_another_process_sees_it(self, database: Database) -> None:
        money = Money(database)
        money.add_days("10", 10)
        money.desk.forecast()
        other = CostDesk(CostRules(guard_categories=frozenset({Category.AI})), database, money.clock)
        with database.read() as connection:
            assert other.signals.forecast(connection, money.clock.now()).detail == "made for other settings"
        assert other.forecast()["guard_forecast_next_30d"] is None

    def test_a_clock_that_was_set_back_drops_it(self, database: Database) -> None:
        """P1: nobody knows the age of what was made in the future."""
        money = Money(database)
        first = self.made_at(money)
        money.clock.jump(-3_600)
        assert self.made_at(money) != first

    def test_a_question_by_another_method_is_kept_nowhere(self, database: Database) -> None:
        money = Money(database)
        money.add_days("10", 40)
        first = money.desk.forecast()
        money.clock.advance(1)
        assert money.desk.forecast_by("linear")["method"] == "linear"
        assert money.desk.forecast()["computed_at"] == first["computed_at"]

    def test_processes_that_make_the_days_first_one_at_once_do_not_get_in_each_others_way(self, database: Database) -> None:
        money = Money(database)
        money.add_days("10", 40)
        desks = [CostDesk(money.rules, database, money.clock) for _ in range(4)]
        with ThreadPoolExecutor(len(desks)) as pool:
            answers = list(pool.map(lambda desk: desk.forecast(refresh=True)["forecast_next_30d"], desks))
        assert answers == [300.0] * len(desks)
        assert money.forecast_signal().detail == ""

    def test_one_a_day_is_kept_and_old_ones_go(self, database: Database) -> None:
        money = Money(database)
        money.add("1", days_ago=1)
        for _ in range(3):
            money.desk.forecast(refresh=True)
            money.clock.advance(43_200)
        with database.write() as connection:
            kept = promises(connection, money.today - timedelta(days=9), money.today)
            assert len(kept) == 2
            purge_forecasts(connection, money.clock.now() + timedelta(days=500))
            assert newest_forecast(connection, money.today) is None


class TestSources:
    def test_a_source_that_is_down_is_named_and_its_last_figures_are_used(self, database: Database) -> None:
        """C6: never silently zero."""
        money = Money(database, sources=OPENAI)
        money.add_days("6", 30, category=Category.AI, item="gpt", source="openai")
        with database.write() as connection:
            mark_synced(connection, money.clock.now(), "openai")
        assert money.desk.forecast()["sources"]["openai"]["status"] == "ok"
        money.clock.advance(4 * 86_400)
        with database.write() as connection:
            mark_failed(connection, money.clock.now(), "openai", "503")
        answer = money.desk.forecast()
        assert (answer["sources"]["openai"]["status"], answer["sources"]["openai"]["is_stale"]) == ("down", True)
        assert answer["sources"]["openai"]["problem"] == "503"
        assert answer["breakdown"]["openai"]["forecast"] == pytest.approx(180.0), "four silent days are unknown, not zero"
        spend = money.spend()
        assert spend.value == pytest.approx(6.0), "a day that was not told of costs as much as the last one"
        assert "openai is stale" in spend.detail
        assert spend.age_s == 4 * 86_400

    def test_a_source_that_was_never_read_makes_spend_unknown(self, database: Database) -> None:
        """A4, C6."""
        money = Money(database, sources=OPENAI, daily_limit=Decimal(50))
        money.add("10")
        assert money.spend().is_unknown
        assert "openai has never been read" in money.spend().detail
        assert money.desk.forecast()["unknown"] == ["ai", "servers"]
        assert money.desk.today()["unknown"] == ["openai"]
        assert money.desk.gauges()["today"] is None
        money.add("35")
        assert money.spend().value == 45.0, "what is known is enough to freeze"

    def test_a_source_of_fees_alone_says_nothing_about_guarded_spend(self, database: Database) -> None:
        """A4: revenue and fees never freeze."""
        money = Money(database, sources=STRIPE, daily_limit=Decimal(50))
        money.add("1000", category=Category.FEES, item="fees", source="stripe")
        money.add("9000", category=Category.REVENUE, item="charges", source="stripe")
        money.add("1")
        assert money.spend().value == 1.0
        assert Money(database, sources=STRIPE, guard_categories=frozenset({Category.FEES})).spend().is_unknown

    def test_nothing_that_costs_is_not_configured_and_not_zero(self, database: Database) -> None:
        """S3."""
        money = Money(database)
        assert money.spend().state == "not_configured"
        money.add("0.01", at=money.clock.now() - timedelta(days=3))
        assert money.spend().value == 0.0
        assert Money(database, hourly_cost=Decimal(1)).spend().value == 0.0

    def test_billing_health(self, database: Database) -> None:
        """E3."""
        assert Money(database).desk.billing_health()["status"] == "not_configured"
        money = Money(database, sources=STRIPE)
        assert money.desk.billing_health()["status"] == "down"
        with database.write() as connection:
            mark_synced(connection, money.clock.now(), "stripe")
        assert money.desk.billing_health()["status"] == "ok"
        money.clock.advance(3 * 3_600 + 1)
        assert money.desk.billing_health()["status"] == "down"
        with database.write() as connection:
            mark_failed(connection, money.clock.now(), "stripe", "wrong key")
        assert money.desk.billing_health()["detail"] == "wrong key"


def test_today_counts_what_has_come_since_midnight(database: Database) -> None:
    money = Money(database, daily_limit=Decimal(50))
    money.add("3")
    money.add("24", days_ago=0)  # spread over the day, of which half has passed
    money.add("100", at=money.clock.now() - timedelta(hours=13))
    answer = money.desk.today()
    money.add("5", category=Category.FEES, item="fees", source="stripe")
    assert (answer["cost"], answer["guarded_today"], answer["by_category"]["infra"]) == (15.0, 15.0, 15.0)
    assert (money.desk.today()["cost"], money.desk.today()["guarded_today"]) == (20.0, 15.0)
    assert answer["guard"]["spent_24h"] == 115.0
    assert answer["guard"]["spend"] == "frozen"
    assert answer["budget"]["spent"] == 15.0, "the other day was another month's"
    assert money.desk.gauges() == {"forecast_30d": None, "today": 20.0}
    assert money.desk.forecast()["forecast_next_30d"] == 3000.0
    assert money.desk.gauges()["forecast_30d"] == 3000.0


def leader(database: Database, clock: ManualClock, name: str, rules: CostRules) -> BudgetAlerts:
    lease = Lease(database, clock, name, is_dead=lambda _holder: True)
    lease.attempt()
    return BudgetAlerts(rules, database, lease, clock)


def told(database: Database) -> list[str]:
    with database.read() as connection:
        return [row["title"] for row in list_alerts(connection, 50)][::-1]


class TestBudgets:
    def test_each_percent_is_told_once_a_period_whoever_leads(self, database: Database) -> None:
        """C2: two leaders, one after another, one alert."""
        money = Money(database, daily_limit=Decimal(10), budget_period="day")
        first = leader(database, money.clock, "one", money.rules)
        money.add("4.99")
        first.check()
        assert told(database) == []
        money.add("0.01")
        first.check()
        first.check()
        assert told(database) == ["50 % of the budget for 2026-03-01 is spent"]
        second = leader(database, money.clock, "two", money.rules)
        second.check()
        assert len(told(database)) == 1
        money.clock.advance(86_400)
        money.add("5")
        second.lease.attempt()
        second.check()
        assert told(database)[1:] == ["50 % of the budget for 2026-03-02 is spent"]

    def test_a_leap_over_several_is_told_as_the_highest(self, database: Database) -> None:
        money = Money(database, daily_limit=Decimal(10), budget_period="day")
        only = leader(database, money.clock, "one", money.rules)
        money.add("9.50", category=Category.FEES, item="fees", source="stripe")
        only.check()
        money.add("0.50")
        only.check()
        titles = ["90 % of the budget for 2026-03-01 is spent", "100 % of the budget for 2026-03-01 is spent"]
        assert told(database) == titles, "all costs count, fees too"

    def test_a_clock_that_was_set_back_repeats_nothing(self, database: Database) -> None:
        """P1."""
        money = Money(database, daily_limit=Decimal(10), budget_period="month")
        only = leader(database, money.clock, "one", money.rules)
        money.add("160")
        only.check()
        money.clock.jump(-600)
        only.check()
        assert len(told(database)) == 1

    def test_without_a_limit_there_is_no_budget(self, database: Database) -> None:
        money = Money(database)
        money.add("1000000")
        leader(database, money.clock, "one", money.rules).check()
        assert told(database) == []


class TestCostWatch:
    def watch(self, money: Money) -> tuple[CostWatch, Lease]:
        budgets = leader(money.database, money.clock, "one", money.rules)
        return CostWatch(CostWatchParts(money.desk.forecasts, budgets, budgets.lease, money.clock)), budgets.lease

    def test_the_leader_keeps_the_forecast_good(self, database: Database) -> None:
        """C2: a write drops it, and the tick has a new one without anybody asking."""
        money = Money(database, daily_limit=Decimal(100))
        watch, lease = self.watch(money)
        assert money.forecast_signal().is_unknown, "none was ever made"
        for days_ago in (1, 2):
            money.add("20", days_ago=days_ago)
            money.clock.advance(2)
            lease.attempt()
            watch.turn()
            watch.close()
            assert money.forecast_signal().value == 600.0
            assert money.forecast_signal().detail == "little history"
        assert money.desk.forecasts.is_good()

    def test_it_does_nothing_where_it_does_not_lead(self, database: Database) -> None:
        money = Money(database)
        watch, lease = self.watch(money)
        lease.release()
        watch.turn()
        watch.close()
        assert money.forecast_signal().is_unknown

    def test_a_failure_is_outlived(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        money = Money(database, daily_limit=Decimal(10), budget_period="day")
        money.add("10")
        watch, lease = self.watch(money)
        monkeypatch.setattr(money.desk.forecasts, "_make", lambda _method: 1 / 0)
        watch.turn()
        watch.close()
        assert len(told(database)) == 1, "budgets are told although the forecast failed"
        said = "the forecast cannot be made, so the spend guard goes by the last one (ZeroDivisionError); the log has it whole"
        assert watch.causes() == {"money:forecast": ("ticket", said)}, "and somebody hears of it"
        monkeypatch.undo()
        money.clock.advance(60)
        lease.attempt()
        watch.turn()
        watch.close()
        assert money.desk.forecasts.is_good()
        assert watch.causes() == {}

    def test_a_database_that_is_down_is_told_by_its_own_alert_alone(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        money = Money(database)
        watch, _lease = self.watch(money)

        def down(_method: str | None) -> None:
            raise DatabaseDown("gone")

        monkeypatch.setattr(money.desk.forecasts, "_make", down)
        watch.turn()
        watch.close()
        assert watch.causes() == {}
