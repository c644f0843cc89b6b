"""Arrivals and job lengths by differences between looks at the broker (spec A12, S3): never negative, unknown before there are two."""

from dataclasses import replace

import pytest

from levqor.domain.fleet import QueueState, Worker, WorkerState
from levqor.domain.signals import SignalState
from levqor.monitors.job_flow import RATE_TO_S, Flow, JobFlow

ANNA = Worker("anna", "here", 1, WorkerState.IDLE, queues=("default",), ended_jobs=1_000, worked_s=2_000.0)
BEN = replace(ANNA, name="ben", ended_jobs=0, worked_s=0.0)


def queue(depth: int, running: int = 0, name: str = "default") -> QueueState:
    return QueueState(name, depth, None, running, 0, 0)


def worked(worker: Worker, jobs: int, seconds: float = 0.0) -> Worker:
    return replace(worker, ended_jobs=(worker.ended_jobs or 0) + jobs, worked_s=(worker.worked_s or 0.0) + seconds)


def after(*looks: tuple[float, list[QueueState], list[Worker]]) -> Flow:
    """What is known after the last of these looks."""
    flow = JobFlow()
    return [flow.see(at, queues, workers) for at, queues, workers in looks][-1]


def test_the_first_look_knows_no_rate_and_the_workers_own_mean() -> None:
    """S3: unknown until two readings; a mean job length is told by the counts since the workers began."""
    flow = after((0, [queue(3)], [ANNA]))
    assert flow.arrival_rate().state is SignalState.UNKNOWN
    assert flow.mean_service_s().value == 2.0


@pytest.mark.parametrize(
    ("first", "second", "came"),
    [
        pytest.param((queue(0), ANNA), (queue(10), ANNA), 10, id="they wait"),
        pytest.param((queue(10), ANNA), (queue(0, running=2), worked(ANNA, 8)), 0, id="only worked off"),
        pytest.param((queue(10), ANNA), (queue(10), worked(ANNA, 8)), 8, id="as many came as ended"),
        pytest.param((queue(10), ANNA), (queue(0), ANNA), 0, id="taken out by hand: nobody came, and never fewer than nobody"),
    ],
)
def test_arrivals_are_what_the_system_grew_by_and_what_ended(
    first: tuple[QueueState, Worker], second: tuple[QueueState, Worker], came: int
) -> None:
    flow = after((0, [first[0]], [first[1]]), (10, [second[0]], [second[1]]))
    assert flow.arrival_rate().value == came / 10


@pytest.mark.parametrize(
    ("at", "state"),
    [(4.9, SignalState.UNKNOWN), (5, SignalState.VALUE), (RATE_TO_S, SignalState.VALUE), (RATE_TO_S + 1, SignalState.UNKNOWN)],
)
def test_a_rate_needs_a_look_that_is_neither_too_young_nor_too_old(at: float, state: SignalState) -> None:
    """S3."""
    assert after((0, [queue(0)], [ANNA]), (at, [queue(9)], [ANNA])).arrival_rate().state is state


def test_a_rate_is_that_of_the_last_quarter_of_a_minute() -> None:
    looks = [(float(at), [queue(0)], [worked(ANNA, 10 * min(at, 20))]) for at in range(0, 41, 2)]
    assert after(*looks[:11]).arrival_rate().value == pytest.approx(10)
    assert after(*looks).arrival_rate().value == 0


def test_a_worker_that_left_makes_nothing_negative_and_a_new_one_counts_from_zero() -> None:
    flow = JobFlow()
    flow.see(0, [queue(0)], [ANNA, worked(BEN, 50, 100.0)])
    assert flow.see(10, [queue(0)], [ANNA]).arrival_rate().value == 0
    seen = flow.see(20, [queue(0)], [ANNA, replace(worked(BEN, 20, 8.0), name="cem")])
    assert seen.arrival_rate().value == 1.0, "twenty jobs in the twenty seconds since the look before the window"
    assert seen.mean_service_s().value == pytest.approx(0.4)


def test_a_worker_that_was_only_not_seen_brings_no_flood() -> None:
    """Its counts of hours are no arrivals of now."""
    flow = JobFlow()
    flow.see(0, [queue(0)], [BEN])
    assert flow.see(10, [queue(0)], [BEN, ANNA]).arrival_rate().value == 0
    assert flow.see(12, [queue(0)], [BEN, worked(ANNA, 6, 2.0)]).arrival_rate().value == 0.5


def test_a_worker_of_the_same_name_that_began_anew_counts_from_zero() -> None:
    assert after((0, [queue(0)], [ANNA]), (10, [queue(0)], [replace(ANNA, ended_jobs=5, worked_s=1.0)])).arrival_rate().value == 0.5


def test_a_look_that_comes_after_a_younger_one_brings_no_flood() -> None:
    """The autopilot and a page look at the same time: the counts of whoever is late are old, not a new worker's."""
    dora = replace(ANNA, started_at=1_000.0)
    flow = JobFlow()
    flow.see(0, [queue(0)], [dora])
    flow.see(10, [queue(0)], [worked(dora, 10, 5.0)])
    assert flow.see(10, [queue(0)], [worked(dora, 9, 4.5)]).arrival_rate().value == 1.0
    assert flow.see(10, [queue(0)], [worked(dora, 10, 5.0)]).arrival_rate().value == 1.0


def test_a_worker_that_began_anew_under_its_old_name_is_told_by_its_birth() -> None:
    dora = replace(ANNA, started_at=1_000.0)
    reborn = replace(ANNA, started_at=2_000.0, ended_jobs=5, worked_s=1.0)
    assert after((0, [queue(0)], [dora]), (10, [queue(0)], [reborn])).arrival_rate().value == 0.5


def test_a_job_that_ends_between_the_two_questions_is_counted_once() -> None:
    """Queues are read before workers: it was still running there, and has ended here."""
    looks = [(0.0, [queue(0, running=1)], [ANNA]), (10.0, [queue(0, running=1)], [worked(ANNA, 1)]), (14.0, [queue(0)], [worked(ANNA, 1)])]
    flow = after(*looks, (15.0, [queue(0)], [worked(ANNA, 1)]), (16.0, [queue(0, running=1)], [worked(ANNA, 1)]))
    assert flow.now.arrived == 1


def test_only_workers_of_these_queues_count() -> None:
    other = replace(BEN, queues=("mail",))
    assert after((0, [queue(0)], [ANNA, other]), (10, [queue(0)], [ANNA, worked(other, 9)])).arrival_rate().value == 0


def test_what_came_into_a_paused_queue_is_no_load() -> None:
    flow = after((0, [queue(0), queue(5, name="slow")], [ANNA]), (10, [queue(10), queue(25, name="slow")], [ANNA]))
    assert flow.arrival_rate().value == 3.0
    assert flow.arrival_rate(("slow",)).value == 1.0


def test_nobody_who_ever_worked_is_no_traffic_and_not_zero() -> None:
    """S3."""
    assert after((0, [queue(0)], [BEN])).mean_service_s().state is SignalState.NO_TRAFFIC
    silent = replace(BEN, ended_jobs=None, worked_s=None)
    assert after((0, [queue(0)], [silent]), (9, [queue(0)], [silent])).mean_service_s().state is SignalState.NO_TRAFFIC


def test_the_mean_is_of_the_last_minutes_and_falls_back_to_all_that_is_known() -> None:
    recent = (100.0, [queue(0)], [worked(ANNA, 10, 5.0)])
    assert after((0, [queue(0)], [ANNA]), recent).mean_service_s().value == 0.5
    assert after((0, [queue(0)], [ANNA]), recent, (401.0, *recent[1:])).mean_service_s().value == pytest.approx(2005 / 1010)
