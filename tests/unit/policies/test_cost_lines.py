"""From the ledger's days to lines that can be forecast: gaps, first days, constants, sources that are behind (spec C2, C6)."""

from datetime import date, timedelta
from decimal import Decimal

from levqor.domain.spending import Category
from levqor.policies.cost_lines import MOST_LINES, THE_REST, cost_between, cost_lines

TODAY = date(2026, 3, 11)
AI = (Category.AI, "gpt")


def days(**amounts: str) -> dict[date, Decimal]:
    """`d1=...`: so many days ago."""
    return {TODAY - timedelta(days=int(name[1:])): Decimal(amount) for name, amount in amounts.items()}


def test_days_without_an_entry_cost_nothing_and_today_is_left_out() -> None:
    [line] = cost_lines({AI: days(d4="1.5", d1="2", d0="99")}, TODAY, {}, {})
    assert (line.first_day, list(line.history)) == (TODAY - timedelta(days=4), [1.5, 0.0, 0.0, 2.0])


def test_a_negative_day_stays_negative() -> None:
    [line] = cost_lines({AI: days(d2="3", d1="-1")}, TODAY, {}, {})
    assert list(line.history) == [3.0, -1.0]


def test_what_began_today_has_no_history_yet() -> None:
    """A4: a single bill of today freezes by what was spent, not as if it came every day."""
    [line] = cost_lines({AI: days(d0="4")}, TODAY, {}, {})
    assert list(line.history) == []


def test_days_that_a_source_has_not_told_of_are_unknown_and_not_zero() -> None:
    """C6."""
    [line] = cost_lines({AI: days(d4="1", d3="2")}, TODAY, {}, {Category.AI: TODAY - timedelta(days=3)})
    assert list(line.history) == [1.0, 2.0, None, None]


def test_a_source_that_never_told_anything_is_a_line_without_history() -> None:
    """C6: named, never silently zero."""
    [line] = cost_lines({}, TODAY, {}, {Category.AI: None})
    assert (line.category, list(line.history)) == ("ai", [])


def test_a_constants_days_to_come_are_known_and_add_up_to_the_month() -> None:
    """C1: what is fixed carries no error."""
    [line] = cost_lines({}, date(2026, 4, 1), {"redis": Decimal("7.50")}, {})
    assert line.is_fixed
    assert len(line.known) == 30
    assert abs(sum(line.known) - 7.5) < 1e-9


def test_an_item_that_is_no_constant_any_more_is_forecast_like_any_other() -> None:
    [line] = cost_lines({(Category.INFRA, "redis"): days(d2="1")}, TODAY, {}, {})
    assert not line.is_fixed


def test_more_lines_than_can_be_forecast_are_pooled_and_nothing_is_lost() -> None:
    """P5."""
    totals = {(Category.INFRA, f"item{n}"): days(d1=str(n + 1)) for n in range(MOST_LINES + 25)}
    lines = cost_lines(totals, TODAY, {}, {})
    assert len(lines) == MOST_LINES + 1
    assert sum(value or 0.0 for line in lines for value in line.history) == sum(range(1, MOST_LINES + 26))
    assert [line.name for line in lines].count(THE_REST) == 1


def test_revenue_is_no_cost() -> None:
    totals = {AI: days(d2="1.10", d1="2.20"), (Category.REVENUE, "charges"): days(d1="500"), (Category.FEES, "fees"): days(d1="0.3")}
    assert cost_between(totals, TODAY - timedelta(days=1), TODAY) == Decimal("2.50")
