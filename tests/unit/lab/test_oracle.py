"""The oracle: feasible, never dearer than the full fleet, and right where the answer is known (spec A12)."""

import pytest
from tests.unit.lab.ticking import Plan

from levqor.lab.baselines.fixed import FullFleet
from levqor.lab.oracle import latest_begins, oracle
from levqor.lab.score import Contest, Score
from levqor.lab.simulator import Case, Run, play, play_length_s
from levqor.lab.traces import find_trace
from levqor.lab.workload import given_workload, make_workload

CASES = [Case(), Case(startup_s=30.0), Case(startup_s=30.0, slo_s=30.0), Case(max_workers=20), Case(min_workers=2)]


@pytest.mark.parametrize("case", CASES, ids=["max 4", "slow start", "slow start, patient", "max 20", "at least two"])
def test_the_oracle_passes_and_pays_no_more_than_the_full_fleet_and_no_less_than_the_work(case: Case) -> None:
    workload = make_workload(find_trace("azure_llm_conv"), case.max_workers, 1, hours=1.6 / case.max_workers)
    found, full = oracle(workload, case), play(workload, FullFleet(), case)
    assert found.is_passed
    assert found.paid_s <= full.paid_s + case.tick_s * case.max_workers
    assert found.paid_s >= max(workload.work_s, case.min_workers * play_length_s(workload, case)) * 0.999
    assert oracle(workload, case) == found


def test_a_burst_that_one_worker_serves_in_time_starts_no_other() -> None:
    case = Case()
    workload = given_workload("small burst", [(10.0, 1.0)] * 5, 100.0)
    assert oracle(workload, case).paid_s == play_length_s(workload, case)


def test_a_worker_is_ready_at_the_last_moment_and_gone_after_its_job() -> None:
    case = Case()
    workload = given_workload("two long jobs", [(10.0, 20.0), (10.0, 20.0)], 100.0)
    found = oracle(workload, case)
    assert found.paid_s == pytest.approx(play_length_s(workload, case) + 2.0 + 20.0), "started at 13, ready at 15, gone at 35"
    assert found.missed == 0


def test_the_latest_begin_leaves_the_full_fleet_time_for_the_jobs_after_it() -> None:
    case = Case(max_workers=2)
    workload = given_workload("a crowd", [(0.0, 4.0)] * 4 + [(3.0, 4.0)] * 2, 50.0)
    assert latest_begins(workload, case) == [0.0, 0.0, 4.0, 4.0, 8.0, 8.0]


def test_no_schedule_saves_a_workload_that_is_too_much() -> None:
    workload = given_workload("too much", [(1.0, 50.0)] * 20, 100.0)
    found = oracle(workload, Case())
    assert not found.is_passed
    assert found.paid_s == pytest.approx(4 * 105.0), "the full fleet stands in"


def test_the_score_is_the_ratio_and_a_fifth_more_for_each_percent_missed_beyond_the_first() -> None:
    def score(missed: int, paid_s: float) -> Score:
        return Score(Run(1000, 1000, missed, paid_s, 7, 3600.0), 100.0)

    assert score(10, 150.0).score == 1.5
    assert score(10, 150.0).is_passed
    assert score(20, 150.0).score == pytest.approx(1.5 * 1.2)
    assert not score(11, 150.0).is_passed
    assert score(0, 80.0).score == 1.0, "cheaper than the oracle is no merit"
    assert score(0, 80.0).ratio == 0.8
    assert score(0, 80.0).actions_per_hour == 7.0


def test_a_contest_scores_a_policy_beside_its_oracle() -> None:
    workload = given_workload("two long jobs", [(10.0, 20.0), (10.0, 20.0)], 100.0)
    contest = Contest(workload, Case())
    assert contest.score(Plan((5.0, 2))).ratio == pytest.approx((105.0 + 100.0) / 127.0)
