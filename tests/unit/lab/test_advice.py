"""The advice report: what really came, played again under each rule (spec A12)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from levqor.domain.advice import FULL, RECORDED, Advice, Proposed
from levqor.domain.errors import ConditionNotMet
from levqor.lab.advice import advise
from levqor.lab.baselines.fixed import FullFleet, OneWorker
from levqor.lab.own_rules import Threshold
from levqor.lab.simulator import Case
from levqor.lab.ticks import Policy
from levqor.policies.advice_page import compose_advice
from levqor.store.work import Work

START = datetime(2026, 3, 2, tzinfo=UTC)
CASE = Case(max_workers=4, startup_s=2.0, slo_s=5.0, tick_s=5.0, min_workers=1)
RULES: dict[str, Callable[[], Policy]] = {"threshold": lambda: Threshold(5.0), "one": OneWorker, "full": FullFleet}


def minute(
    number: int, arrivals: float, workers: float = 2.0, service_s: float | None = 1.0, oldest_s: float | None = 0.5
) -> tuple[datetime, Work]:
    return START + timedelta(minutes=number), Work(60.0, arrivals, workers * 60.0, service_s, oldest_s)


def advice_on(minutes: list[tuple[datetime, Work]], rule: str = "threshold", cost: float | None = None) -> Advice:
    return advise(minutes, CASE, RULES, rule, ([], 0), cost)


class TestPlayedAgain:
    def test_every_side_has_the_same_jobs_and_its_own_bill(self) -> None:
        advice = advice_on([minute(n, 30.0) for n in range(60)])
        assert advice.jobs == 60 * 30
        assert advice.covered_s == 3600.0
        assert [side.name for side in advice.sides] == [RECORDED, "threshold", "one", "full", FULL]
        assert advice.side("one").worker_h == pytest.approx(1.0, abs=0.02)
        assert advice.side(RECORDED).worker_h == pytest.approx(2.0, abs=0.02)
        assert advice.side(FULL).worker_h == pytest.approx(4.0, abs=0.05)
        assert advice.measured.worker_h == pytest.approx(2.0)

    def test_parts_of_jobs_are_carried_on_and_none_is_made_up(self) -> None:
        assert advice_on([minute(n, 0.25) for n in range(40)]).jobs == 10

    def test_the_same_minutes_give_the_same_figures(self) -> None:
        minutes = [minute(n, 40.0) for n in range(30)]
        assert advice_on(minutes) == advice_on(minutes)

    def test_the_workers_that_really_ran_are_followed_minute_by_minute(self) -> None:
        minutes = [minute(n, 10.0, workers=1.0 if n < 30 else 3.0) for n in range(60)]
        advice = advice_on(minutes)
        assert advice.side(RECORDED).worker_h == pytest.approx(2.0, abs=0.05)
        assert (advice.side(RECORDED).steps_up, advice.side(RECORDED).steps_down) == (1, 0)

    def test_more_workers_than_the_maximum_really_ran(self) -> None:
        assert advice_on([minute(n, 10.0, workers=9.0) for n in range(60)]).side(RECORDED).worker_h == pytest.approx(9.0, abs=0.1)


class TestWhatIsNotKnown:
    def test_a_gap_is_left_out_on_every_side(self) -> None:
        advice = advice_on([minute(n, 30.0) for n in (*range(30), *range(90, 120))])
        assert advice.covered_s == 3600.0
        assert advice.until - advice.since == timedelta(minutes=120)
        assert advice.side("one").worker_h == pytest.approx(1.0, abs=0.02)

    @pytest.mark.parametrize("known", [9, 10])
    def test_it_takes_ten_minutes(self, known: int) -> None:
        minutes = [minute(n, 30.0) for n in range(known)]
        if known < 10:
            with pytest.raises(ConditionNotMet, match="ten minutes"):
                advice_on(minutes)
        else:
            assert advice_on(minutes).jobs == 300

    def test_without_any_length_of_a_job_nothing_is_said(self) -> None:
        with pytest.raises(ConditionNotMet, match="length"):
            advice_on([minute(n, 30.0, service_s=None) for n in range(20)])

    def test_a_length_that_is_not_known_is_the_one_before(self) -> None:
        minutes = [minute(n, 60.0, service_s=0.5 if n == 5 else None) for n in range(60)]
        assert advice_on(minutes).mean_service_s == pytest.approx(0.5, rel=0.1)

    def test_waits_that_nobody_measured_are_unknown_and_not_zero(self) -> None:
        measured = advice_on([minute(n, 30.0, oldest_s=None) for n in range(20)]).measured
        assert (measured.p95_wait_s, measured.worst_wait_s, measured.late) == (None, None, None)


class TestMeasured:
    def test_its_p95_counts_each_minute_by_its_arrivals(self) -> None:
        """95 of 100 jobs came in minutes whose oldest wait was at most 1 s: both sides of the boundary."""
        quiet, busy = (minute(n, 9.5, oldest_s=1.0) for n in range(10)), (minute(n, 0.5, oldest_s=30.0) for n in range(10, 20))
        assert advice_on([*quiet, *busy]).measured.p95_wait_s == 1.0
        quiet, busy = (minute(n, 9.4, oldest_s=1.0) for n in range(10)), (minute(n, 0.6, oldest_s=30.0) for n in range(10, 20))
        found = advice_on([*quiet, *busy]).measured
        assert (found.p95_wait_s, found.worst_wait_s) == (30.0, 30.0)
        assert found.late == pytest.approx(0.06)


class TestWhereItWouldHaveBeenWrong:
    def test_a_burst_that_one_worker_cannot_carry_is_named_with_what_really_was(self) -> None:
        minutes = [minute(n, 200.0 if n == 20 else 6.0, workers=4.0, oldest_s=4.0 if n == 20 else 0.1) for n in range(60)]
        (span,) = advice_on(minutes, rule="one").late_spans
        assert span.start >= START + timedelta(minutes=20)
        assert span.late > 100
        assert span.worst_wait_s > 60
        assert (span.was_worst_wait_s, span.was_workers) == (4.0, 4.0)

    def test_where_no_job_would_have_been_late_there_is_none(self) -> None:
        assert advice_on([minute(n, 6.0) for n in range(60)], rule="full").late_spans == ()


class TestInWords:
    def test_it_says_what_would_have_been_saved_and_whether_the_lab_can_be_believed(self) -> None:
        page = compose_advice(
            advice_on([minute(n, 6.0, workers=4.0, service_s=0.2, oldest_s=0.4) for n in range(60)], rule="one", cost=0.5), UTC
        )
        assert page.sentence.startswith("By rule one it would have been 1.0 worker-hours instead of 4.0 (75 % fewer), with a P95 wait of")
        assert "they agree" in page.because[1]
        lines = {line.label: line.value for section in page.sections for line in section.lines}
        assert lines["Money saved"] == "1.50"
        assert lines["Late jobs"] == "none"
        assert page.level == "ok"

    def test_more_late_jobs_for_fewer_hours_ask_to_be_looked_at(self) -> None:
        minutes = [minute(n, 90.0, workers=4.0) for n in range(30)]
        page = compose_advice(advice_on(minutes, rule="one"), UTC)
        assert page.level == "watch"
        assert "4.0 workers" in next(section for section in page.sections if section.title.startswith("Where")).lines[0].note

    def test_a_lab_that_is_far_from_what_was_measured_says_so(self) -> None:
        page = compose_advice(advice_on([minute(n, 6.0, workers=4.0, oldest_s=50.0) for n in range(30)]), UTC)
        assert "with care" in page.because[1]

    def test_what_it_proposed_at_the_time_is_told_with_its_reason(self) -> None:
        steps = [Proposed(START, 2, 3, "depth 14 > 10\x1b[31m")]
        page = compose_advice(advise([minute(n, 6.0) for n in range(30)], CASE, RULES, "threshold", (steps, 5), None), UTC)
        section = page.sections[-1]
        assert [(line.label, line.value) for line in section.lines] == [("Mon 02 Mar 00:00", "2 to 3"), ("Before these", "4 more steps")]
        assert section.lines[0].note == "depth 14 > 10 [31m"
