"""What a summary says of figures: both sides of each boundary, and unknown said as unknown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levqor.domain.summary import Period, SummaryKind, Tone
from levqor.domain.summary_facts import (
    BackupSeen,
    BudgetSeen,
    DeadSeen,
    DecisionsSeen,
    ForecastSeen,
    IncidentSeen,
    Missing,
    MoneySeen,
    ScheduleSeen,
    ServiceSeen,
    VerificationSeen,
)
from levqor.policies import summary_sections as sections
from levqor.policies.sparkline import BLOCKS, GAP, sparkline
from levqor.policies.summary import SUBJECT_LENGTH, Gathered, compose
from levqor.policies.summary_words import age, availability, change, told
from levqor.policies.verdict import Facts

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = Period(SummaryKind.DAILY, NOW, UTC)
WEEK = Period(SummaryKind.WEEKLY, NOW, UTC)
SERVICE = ServiceSeen(1_000, 120.0, 0.001, 1.0, 1_440, 1_440, (), (1.0,), (1.0,))
FORECAST = ForecastSeen(300.0, 250.0, 350.0, low_data=False, above_limit_on=None, budget_key=None, budget_used_up_on=None)
MONEY = MoneySeen("usd", Decimal("5.00"), Decimal(4), (("infra", Decimal(5)),), Decimal(0), Decimal(10), "spent 5", False, FORECAST)
NOTHING = Missing("not yet", is_unknown=False)
CALM = Gathered(Facts(target=2, running=2, depth=0.0), SERVICE, (), (), NOTHING, MONEY, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False)))
def test_a_sparkline_has_a_character_for_each_value_and_a_dot_for_each_unknown(values: list[float | None]) -> None:
    drawn = sparkline(values)
    if all(value is None for value in values):
        assert drawn == ""
    else:
        assert [character == GAP for character in drawn] == [value is None for value in values]
        assert set(drawn) <= {*BLOCKS, GAP}


def test_a_sparkline_begins_at_zero() -> None:
    assert sparkline([0, 1, 50, 99, 100, None]) == "▁▁▅██·"
    assert sparkline([0, 0]) == "▁▁"


@given(st.text(), st.integers(min_value=1, max_value=300))
def test_foreign_words_are_one_printable_line_of_bounded_length(text: str, most: int) -> None:
    said = told(text, most)
    assert said.isprintable()
    assert len(said) <= most


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [(12, 10, "+20 % from then"), (10, 10, "the same as then"), (5, 0, "+5 from then"), (0, 4, "-100 % from then"), (3, None, "")],
)
def test_a_change_is_said_where_there_is_something_to_compare_with(now: float, before: float | None, said: str) -> None:
    assert change(now, before, "then") == said


@pytest.mark.parametrize(("share", "said"), [(1.0, "100 %"), (0.9999999, "99.999 %"), (0.9991, "99.910 %"), (None, "unknown")])
def test_availability_is_never_rounded_up_to_all(share: float | None, said: str) -> None:
    assert availability(share) == said


@pytest.mark.parametrize(("hours", "said"), [(-3, "0 min ago"), (0.5, "30 min ago"), (1, "1 h ago"), (47, "47 h ago"), (48, "2 days ago")])
def test_an_age_is_said_in_its_unit(hours: float, said: str) -> None:
    assert age(NOW - timedelta(hours=hours), NOW) == said


@pytest.mark.parametrize(
    ("left", "burns", "tone"),
    [
        (None, (), Tone.PLAIN),
        (0.25, (), Tone.PLAIN),
        (0.249, (), Tone.WATCH),
        (0.0, (), Tone.WATCH),
        (-0.01, (), Tone.ACT),
        (0.9, ("burning 14.4 times too fast",), Tone.ACT),
    ],
)
def test_an_error_budget_asks_for_more_the_less_is_left(left: float | None, burns: tuple[str, ...], tone: Tone) -> None:
    section = sections.service(SERVICE, [BudgetSeen("errors", "error rate < 0.5%", left, burns)], DAY)
    assert section.lines[1].tone is tone


@pytest.mark.parametrize(("minutes", "tone"), [(1_368, Tone.PLAIN), (1_367, Tone.UNKNOWN)])
def test_a_part_that_was_measured_is_not_told_as_the_whole(minutes: int, tone: Tone) -> None:
    section = sections.service(replace(SERVICE, minutes=minutes), (), DAY)
    assert section.lines[0].tone is tone


def test_no_requests_is_not_unknown() -> None:
    quiet = replace(SERVICE, requests=0, p99_ms=None, error_rate=None)
    section = sections.service(quiet, [BudgetSeen("latency", "P99 < 200 ms", None)], DAY)
    assert (section.lines[1].value, section.lines[1].tone) == ("no requests", Tone.PLAIN)


@pytest.mark.parametrize(
    ("hours", "verified", "tone"),
    [(50, True, Tone.PLAIN), (50.1, True, Tone.WATCH), (1, None, Tone.PLAIN), (1, False, Tone.ACT)],
)
def test_a_backup_is_late_after_two_days_and_bad_once_it_is_not_whole(hours: float, verified: bool | None, tone: Tone) -> None:
    backup = BackupSeen(NOW - timedelta(hours=hours), 10, verified)
    passed = VerificationSeen(NOW, "integrity", "passed", ())
    assert [line.tone for line in sections.copies(backup, passed, DAY).lines] == [tone, Tone.PLAIN]


@pytest.mark.parametrize(("mode", "label"), [("observe", "Would have done"), ("advice", "Would have done"), ("act", "Held back")])
def test_observing_says_what_it_would_have_done(mode: str, label: str) -> None:
    seen = DecisionsSeen(mode, ups=0, downs=0, wanted_ups=3, wanted_downs=1, freezes=0, latest=())
    assert [(line.label, line.value) for line in sections.decisions(seen, DAY).lines[:2]] == [
        ("Steps", "0 up, 0 down"),
        (label, "3 up, 1 down"),
    ]


def test_more_incidents_than_are_shown_are_counted() -> None:
    one = IncidentSeen(1, "cause", False, False, NOW, NOW, ())
    shown = sections.incidents([one] * 10, DAY).lines
    assert (len(shown), shown[-1].value) == (9, "2 more")
    assert sections.incidents([], DAY).lines[0].value == "none"


def test_dead_letters_that_nobody_reads_are_unknown() -> None:
    assert sections.dead(DeadSeen(None, "no autopilot", 0, ())).lines[0].tone is Tone.UNKNOWN
    assert sections.dead(DeadSeen(0, "", 0, ())).lines[0].value == "0"
    assert sections.schedule(ScheduleSeen(1, ()), DAY).lines[0].value == "1 run done"


def test_spend_says_limit_forecast_and_when_it_is_broken() -> None:
    breaking = replace(FORECAST, above_limit_on="2026-03-20", budget_key="2026-03", budget_used_up_on="2026-03-25")
    told_of = {line.label: line.value for line in sections.spend(replace(MONEY, forecast=breaking), WEEK).lines}
    assert told_of["Spent in 7 days"] == "5.00 usd"
    assert told_of["Above the limit on"] == "2026-03-20"
    assert told_of["Budget used up on"] == "2026-03-25"
    unknown = sections.spend(replace(MONEY, limit=None, forecast=replace(FORECAST, total=0.0, low=None)), DAY).lines
    assert [(line.label, line.value) for line in unknown[1:]] == [("Limit a day", "not set up"), ("Next 30 days", "unknown")]


@pytest.mark.parametrize(
    ("changed", "subject"),
    [
        ({}, "Healthy · 5.00 usd, 50 % of the limit · Levqor daily 2026-03-02"),
        ({"money": replace(MONEY, limit=None)}, "Healthy · 1,000 requests, P99 120 ms · Levqor daily 2026-03-02"),
        ({"money": NOTHING, "service": Missing("no minute")}, "Healthy · requests unknown · Levqor daily 2026-03-02"),
        ({"verdict": Facts(pages=("x" * 400,))}, None),
        ({"verdict": Facts(pages=("all down\r\nBcc: eve@example.com",))}, None),
    ],
)
def test_the_subject_carries_verdict_and_key_figure(changed: dict[str, object], subject: str | None) -> None:
    made = compose(replace(CALM, **changed), DAY).subject  # type: ignore[arg-type]
    assert subject is None or made == subject
    assert made.endswith("· Levqor daily 2026-03-02")
    assert made.isprintable()
    assert len(made) <= SUBJECT_LENGTH
