"""Evidence, streaks and burn rates on both sides of each boundary (spec W1, W2, W2b, W6)."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.monitors.slo_watchdog import FORGOTTEN, LATE, ended_windows
from levqor.policies.burn import BURN_RULES, budget_left, burn_rate, burns
from levqor.policies.evidence import p_value
from levqor.policies.slo import Count, Judgement, Objective, Standing, Streak, judge, together

ERRORS = Objective("errors", 0.005, "requests failed")
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@given(st.integers(1, 80), st.data(), st.sampled_from(["1/200", "1/100", "1/1000", "1/5", "1/2"]))
def test_the_p_value_is_the_exact_binomial_tail(trials: int, data: st.DataObject, rate: str) -> None:
    events = data.draw(st.integers(0, trials))
    chance = Fraction(rate)
    exact = sum(comb(trials, n) * chance**n * (1 - chance) ** (trials - n) for n in range(events, trials + 1))
    assert p_value(events, trials, float(chance)) == pytest.approx(float(exact), rel=1e-9, abs=1e-290)


@pytest.mark.parametrize(("events", "trials", "rate"), [(-1, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0), (1, 5, 1.0)])
def test_impossible_counts_are_refused(events: int, trials: int, rate: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        p_value(events, trials, rate)


def test_large_windows_are_judged_too() -> None:
    assert p_value(500_000, 100_000_000, 0.005) == pytest.approx(0.5, abs=0.01)
    assert p_value(510_000, 100_000_000, 0.005) < 1e-40


@pytest.mark.parametrize(
    ("total", "bad", "state"),
    [
        pytest.param(0, 0, Standing.MET, id="no requests is met"),
        pytest.param(1000, 4, Standing.MET, id="below"),
        pytest.param(60, 1, Standing.MET, id="above, too little evidence"),
        pytest.param(20, 2, Standing.MET, id="p = 0.0045"),
        pytest.param(20, 3, Standing.BREACHED, id="p = 0.00013"),
        pytest.param(5, 1, Standing.MET, id="one of five"),
        pytest.param(5, 2, Standing.BREACHED, id="two of five"),
    ],
)
def test_a_breach_needs_evidence(total: int, bad: int, state: Standing) -> None:
    """W2b."""
    assert judge(Count(total, bad), ERRORS).state is state


@pytest.mark.parametrize(("bad", "state"), [(4, Standing.MET), (5, Standing.BREACHED)])
def test_the_literal_comparison_is_bare_and_strict(bad: int, state: Standing) -> None:
    """W1: error rate < 0.5 %: exactly 0.5 % is no more below."""
    assert judge(Count(1000, bad), ERRORS, is_literal=True).state is state


def test_what_was_not_measured_is_unknown() -> None:
    found = judge(Count(None, None, "store down"), ERRORS)
    assert (found.state, found.p_value, found.why) == (Standing.UNKNOWN, None, "store down")


def standing(*states: Standing) -> Standing:
    return together([Judgement(state, None, "") for state in states])


def test_one_breached_objective_makes_a_breach_and_one_unknown_hides_no_breach() -> None:
    assert standing(Standing.MET, Standing.BREACHED, Standing.UNKNOWN) is Standing.BREACHED
    assert standing(Standing.MET, Standing.UNKNOWN) is Standing.UNKNOWN
    assert standing(Standing.MET, Standing.MET) is Standing.MET


def after(*checks: tuple[float, Standing]) -> Streak:
    streak = Streak()
    for elapsed, state in checks:
        streak = streak.aged(elapsed).after(state)
    return streak


BAD, GOOD, DARK = Standing.BREACHED, Standing.MET, Standing.UNKNOWN


@pytest.mark.parametrize(
    ("checks", "calls"),
    [
        pytest.param([(0, BAD), (60, BAD), (60, BAD)], True, id="three minutes"),
        pytest.param([(0, BAD), (60, BAD)], False, id="two are not enough"),
        pytest.param([(0, BAD), (300, BAD), (300, BAD)], True, id="0, 5 and 10 minutes"),
        pytest.param([(0, BAD), (304, BAD), (303, BAD)], True, id="the timer jitters"),
        pytest.param([(0, BAD), (400, BAD), (400, BAD)], False, id="spread over more than ten minutes"),
        pytest.param([(0, BAD), (60, BAD), (60, GOOD), (60, BAD)], False, id="met resets"),
        pytest.param([(0, BAD), (60, DARK), (60, BAD), (60, DARK), (60, BAD)], True, id="unknown neither counts nor resets"),
        pytest.param([(0, DARK), (60, DARK), (60, DARK)], False, id="unknown alone calls nobody"),
    ],
)
def test_three_in_a_row_within_ten_minutes_call_recovery(checks: list[tuple[float, Standing]], calls: bool) -> None:
    """W2."""
    assert after(*checks).calls is calls


@given(st.lists(st.tuples(st.floats(0, 400), st.sampled_from(Standing)), max_size=40))
def test_recovery_is_called_only_by_three_breaches_without_a_met_between(checks: list[tuple[float, Standing]]) -> None:
    run = 0
    streak = Streak()
    for elapsed, state in checks:
        streak = streak.aged(elapsed).after(state)
        run = 0 if state is GOOD else run + (state is BAD)
        assert run >= 3 or not streak.calls


def test_windows_are_disjoint_and_judged_once() -> None:
    """W1, W2: rolling windows would count one bad minute several times."""
    now = AT + LATE
    assert ended_windows(None, now, MINUTE) == [AT - MINUTE]
    assert ended_windows(AT, now, MINUTE) == []
    assert ended_windows(AT - 3 * MINUTE, now, MINUTE) == [AT - 3 * MINUTE, AT - 2 * MINUTE, AT - MINUTE]
    assert ended_windows(AT - MINUTE, now - timedelta(seconds=1), MINUTE) == [], "flushes on their way are waited for"


def test_a_series_begins_again_after_a_gap_or_a_clock_that_was_set() -> None:
    """P1."""
    now = AT + LATE
    assert ended_windows(AT - FORGOTTEN - MINUTE, now, MINUTE) == [AT - MINUTE]
    assert ended_windows(AT + timedelta(hours=3), now, MINUTE) == [AT - MINUTE]


def test_burn_rates_and_budgets() -> None:
    """W6: 0.5 % errors allowed; 7.2 % of an hour's requests failing burn 14.4 times too fast."""
    assert burn_rate(1000, 72, 0.005) == pytest.approx(14.4)
    assert burn_rate(0, 0, 0.005) is None
    assert budget_left(1000, 0, 0.005) == 1
    assert budget_left(1000, 10, 0.005) == pytest.approx(-1)
    page = BURN_RULES[0]
    assert burns(page, 14.5, 14.5)
    assert not burns(page, 14.4, 99), "both windows must exceed it"
    assert not burns(page, 99, 14.4)
    assert not burns(page, None, 99), "unknown burns nothing"


@pytest.mark.parametrize(("rule", "share"), list(zip(BURN_RULES, [0.02, 0.05, 0.10, 0.10], strict=True)))
def test_each_rule_spends_the_share_of_the_budget_that_the_workbook_names(rule: object, share: float) -> None:
    assert rule.factor * rule.long / timedelta(days=30) == pytest.approx(share)  # type: ignore[attr-defined]
