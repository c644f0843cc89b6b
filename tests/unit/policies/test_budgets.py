"""Budgets and their percents on both sides of each boundary."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from levqor.policies.budgets import budget_of, reached


def test_a_days_budget_is_the_limit() -> None:
    budget = budget_of(date(2026, 2, 28), "day", Decimal(50))
    assert (budget.key, budget.amount, budget.last_day) == ("2026-02-28", Decimal(50), date(2026, 2, 28))


@pytest.mark.parametrize(("today", "amount"), [(date(2026, 2, 28), 1400), (date(2028, 2, 1), 1450), (date(2026, 12, 31), 1550)])
def test_a_months_budget_is_the_limit_times_its_days(today: date, amount: int) -> None:
    budget = budget_of(today, "month", Decimal(50))
    assert budget.amount == amount
    assert budget.first_day.day == 1
    assert budget.last_day >= today


def test_midnight_of_its_first_day_belongs_to_a_period() -> None:
    """Spans of money are open at their start."""
    assert budget_of(date(2026, 3, 9), "month", Decimal(1)).start < datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spent", "percents"),
    [
        ("24.99", []),
        ("25", [50]),
        ("39.999999999999999999", [50]),
        ("40", [50, 80]),
        ("50", [50, 80, 100]),
        ("-5", []),
    ],
)
def test_a_percent_is_reached_when_it_is_met_exactly(spent: str, percents: list[int]) -> None:
    assert reached(Decimal(spent), Decimal(50), [100, 50, 80]) == percents
