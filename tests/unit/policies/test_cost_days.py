"""Past days by category: what cost nothing, and what is not known (spec C6)."""

from datetime import date, timedelta
from decimal import Decimal

from levqor.domain.spending import Category
from levqor.policies.cost_days import days_by_category

TODAY = date(2026, 3, 10)
DAYS = [TODAY - timedelta(days=n) for n in (4, 3, 2, 1, 0)]


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_the_lines_of_a_category_are_one_sum() -> None:
    totals = {
        (Category.INFRA, "redis"): {ago(4): Decimal("0.1"), ago(3): Decimal(1)},
        (Category.INFRA, "vercel"): {ago(4): Decimal("0.2")},
        (Category.AI, "gpt"): {ago(4): Decimal(9)},
    }
    found = days_by_category(totals, DAYS, {})
    assert found[Category.INFRA] == [Decimal("0.3"), 1, 0, 0, 0]
    assert found[Category.AI] == [9, 0, 0, 0, 0]


def test_before_its_first_entry_a_category_is_unknown_not_zero() -> None:
    found = days_by_category({(Category.REVENUE, "refunds"): {ago(2): Decimal(-5)}}, DAYS, {})
    assert found[Category.REVENUE] == [None, None, -5, 0, 0]
    assert found[Category.FEES] == [None] * 5


def test_what_a_source_has_yet_to_tell_is_unknown() -> None:
    """C6: never silently zero; what it has told stays, also of a later day."""
    totals = {(Category.AI, "gpt"): {ago(4): Decimal(1), ago(1): Decimal(2)}}
    assert days_by_category(totals, DAYS, {Category.AI: ago(3)})[Category.AI] == [1, 0, None, 2, None]
    assert days_by_category(totals, DAYS, {Category.AI: None})[Category.AI] == [1, None, None, 2, None]
