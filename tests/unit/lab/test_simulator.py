"""The simulated pool: its bill, its queue and its misses, by hand (spec A12, L)."""

import math
import random

import pytest
from tests.unit.lab.ticking import Plan, Witness

from levqor.lab.pool import Pool
from levqor.lab.simulator import Case, play
from levqor.lab.ticks import Tick
from levqor.lab.traces import find_trace
from levqor.lab.workload import CLIP_LOAD, LONGEST_BIN_S, Workload, bin_rates, given_workload, make_workload

LENGTH_S = 100.0
CASE = Case(max_workers=4, startup_s=2.0, slo_s=5.0, tick_s=5.0)
BILLED_S = LENGTH_S + CASE.slo_s


def jobs(*pairs: tuple[float, float]) -> Workload:
    return given_workload("by hand", list(pairs), LENGTH_S)


def test_one_worker_is_paid_for_the_whole_play() -> None:
    run = play(jobs((1.0, 3.0)), Plan(), CASE)
    assert (run.paid_s, run.begun, run.missed, run.actions) == (BILLED_S, 1, 0, 0)


def test_a_worker_is_paid_from_its_start_and_works_only_after_its_start_up() -> None:
    witness = Witness(Plan((5.0, 2)))
    run = play(jobs((5.5, 20.0), (5.6, 1.0), (5.7, 1.0)), witness, CASE)
    assert run.paid_s == BILLED_S + (BILLED_S - 5.0)
    second = witness.ticks[1]
    assert (second.workers, second.starting, second.target, second.started, second.depth) == (2, 0, 2, 3, 0)
    slow = Witness(Plan((5.0, 2)))
    play(jobs((5.5, 20.0), (5.6, 1.0), (5.7, 1.0)), slow, Case(startup_s=7.0))
    assert (slow.ticks[1].workers, slow.ticks[1].starting, slow.ticks[1].depth) == (1, 1, 2)
    assert slow.ticks[1].oldest_wait_s == pytest.approx(4.4)
    assert (slow.ticks[2].workers, slow.ticks[2].starting, slow.ticks[2].depth) == (2, 0, 0)


def test_an_idle_worker_goes_at_once_and_one_that_starts_goes_first() -> None:
    assert play(jobs(), Plan((5.0, 2), (15.0, 1)), CASE).paid_s == BILLED_S + 10.0
    witness = Witness(Plan((5.0, 3), (10.0, 2)))
    run = play(jobs((5.5, 60.0)), witness, Case(startup_s=30.0))
    assert run.paid_s == BILLED_S + (BILLED_S - 5.0) + 5.0
    assert (witness.ticks[2].workers, witness.ticks[2].starting, witness.ticks[2].draining) == (1, 1, 0)


def test_a_removed_busy_worker_ends_its_job_and_is_paid_until_then() -> None:
    witness = Witness(Plan((5.0, 2), (15.0, 1)))
    run = play(jobs((7.5, 30.0), (7.6, 30.0)), witness, CASE)
    assert run.paid_s in (pytest.approx(BILLED_S + 32.5), pytest.approx(BILLED_S + 32.6))
    draining = [tick.draining for tick in witness.ticks if 15.0 < tick.t <= 40.0]
    assert draining == [1, 1, 1, 1, 0]
    assert run.begun == 2


def test_no_bill_is_longer_than_the_play() -> None:
    run = play(jobs((7.5, 1000.0), (7.6, 1000.0)), Plan((5.0, 2), (15.0, 1)), CASE)
    assert run.paid_s == pytest.approx(BILLED_S + BILLED_S - 5.0)


@pytest.mark.parametrize(("arrival", "missed"), [(1.0, 0), (0.99, 1)], ids=["waits the SLO", "waits longer"])
def test_a_job_is_missed_when_it_waits_longer_than_the_objective(arrival: float, missed: int) -> None:
    assert play(jobs((0.0, 6.0), (arrival, 1.0)), Plan(), CASE).missed == missed


def test_a_job_that_never_begins_is_missed() -> None:
    run = play(jobs((0.0, 1000.0), (99.9, 1.0)), Plan(), CASE)
    assert (run.jobs, run.begun, run.missed, run.miss, run.is_passed) == (2, 1, 1, 0.5, False)


def test_one_percent_passes_and_more_does_not() -> None:
    late = [(0.0, 20.0), (0.1, 0.001)]
    good = [(30.0 + number / 2, 0.001) for number in range(98)]
    assert play(jobs(*late, *good), Plan(), CASE).is_passed
    assert not play(jobs(*late, *good[:97]), Plan(), CASE).is_passed


def test_every_job_that_came_in_comes_out_once_whatever_the_policy() -> None:
    class Restless:
        dice = random.Random(7)

        def decide(self, tick: Tick) -> int:
            assert tick.workers + tick.starting == tick.target
            assert 0 <= (tick.busy or 0) <= tick.workers
            return self.dice.randint(-1, 9)

    dice = random.Random(3)
    at, pairs = 0.0, []
    while at < 2000.0:
        at += dice.expovariate(1.2)
        pairs.append((at, dice.lognormvariate(-0.32, 0.8)))
    witness = Witness(Restless())
    run = play(given_workload("restless", pairs, at + 60.0), witness, CASE)
    assert run.begun == run.jobs == len(pairs)
    assert sum(tick.arrivals or 0 for tick in witness.ticks) == sum(tick.started or 0 for tick in witness.ticks) == len(pairs)
    came = began = 0
    for tick in witness.ticks:
        came, began = came + (tick.arrivals or 0), began + (tick.started or 0)
        assert tick.depth == came - began
    assert run.paid_s >= sum(service for _, service in pairs)


def test_actions_are_ticks_that_changed_the_target_within_its_limits() -> None:
    run = play(jobs(), Plan((5.0, 0), (10.0, 9), (15.0, 99), (20.0, 1)), CASE)
    assert run.actions == 2
    assert run.actions_per_hour == pytest.approx(2 * 3600 / BILLED_S)


def test_the_tick_tells_the_waits_and_lengths_of_the_last_minute() -> None:
    witness = Witness(Plan())
    play(jobs((0.0, 4.0), (1.0, 2.0), (50.0, 9.0)), witness, CASE)
    at = {tick.t: tick for tick in witness.ticks}
    assert (at[5.0].mean_service_s, at[5.0].p95_wait_s) == (4.0, 3.0)
    assert (at[5.0].busy, at[5.0].utilisation) == (1, 1.0)
    assert at[10.0].mean_service_s == 3.0
    assert at[70.0].mean_service_s == 9.0, "the first two ended more than a minute ago"
    assert at[70.0].p95_wait_s == 0.0
    quiet = Witness(Plan())
    play(jobs(), quiet, CASE)
    assert (quiet.ticks[0].mean_service_s, quiet.ticks[0].p95_wait_s, quiet.ticks[0].oldest_wait_s) == (None, None, 0.0)


def test_p95_is_that_of_all_waits_sorted() -> None:
    dice = random.Random(5)
    pairs = [(number * 0.8, dice.lognormvariate(-0.32, 0.8)) for number in range(60)]
    pool = Pool(given_workload("p95", pairs, 60.0), 1, 0.0, 5.0)
    pool.advance(45.0)
    starts, free = [], 0.0
    for arrival, service in pairs:
        start = max(arrival, free)
        free = start + service
        if start < 45.0:
            starts.append(start - arrival)
    assert pool.p95_wait_s() == pytest.approx(sorted(starts)[math.ceil(0.95 * len(starts)) - 1])


def test_the_same_seed_draws_the_same_jobs_and_another_one_others() -> None:
    trace = find_trace("azure_llm_conv")
    first, again, other = (make_workload(trace, 4, seed, hours=0.2) for seed in (1, 1, 2))
    assert first == again
    assert first.arrivals != other.arrivals
    assert first.arrivals[:-1] == sorted(first.arrivals[:-1])
    assert first.arrivals[-1] == math.inf


def test_the_typical_peak_needs_four_fifths_of_the_fleet_and_no_bin_more_than_it_can_do() -> None:
    trace = find_trace("tweets_crm")
    rates = bin_rates(trace, 8)
    assert sorted(rates)[round(0.99 * (len(rates) - 1))] == pytest.approx(6.4, rel=0.02)
    assert max(rates) == pytest.approx(CLIP_LOAD * 8)
    workload = make_workload(trace, 8, 1)
    per_bin = [0] * len(rates)
    for arrival in workload.arrivals[:-1]:
        per_bin[int(arrival // LONGEST_BIN_S)] += 1
    assert max(per_bin) <= CLIP_LOAD * 8 * LONGEST_BIN_S
    assert workload.length_s == len(rates) * LONGEST_BIN_S, "a 5-minute bin is played as a minute"
    assert workload.work_s / workload.jobs == pytest.approx(1.0, rel=0.01)
