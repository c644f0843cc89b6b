"""kill -9 of each part: it comes back, no accepted job is lost, target and timers are as they were (spec E1, P1, P7)."""

import http.client
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.drills.conftest import begun
from tests.drills.stack import Stack, kill, report
from tests.waiting import eventually

from levqor.store.telemetry import SILENT_S

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

WORKERS = 3
JOBS = 500
JOB_S = 0.02


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all kills: what the one before broke would be found by the next."""
    with begun(tmp_path_factory.mktemp("kills") / "stack", DRAIN_GRACE_S="10") as stack:
        assert stack.order("PUT", "/ops/flags/WORKER_COUNT", {"value": WORKERS}).status == 200
        eventually(lambda: stack.is_settled(WORKERS), 30, what="three workers")
        yield stack


def kill_control_plane(stack: Stack) -> None:
    web = stack.child("web")
    kill(web)
    eventually(lambda: not web.is_alive() and stack.child("web") != web and stack.is_ready(), 20, what="the next control plane")


def kill_agent(stack: Stack) -> None:
    """The next `levqor up` in the same folder goes on with what lives."""
    before = stack.worker_pids()
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait(10)
    stack.up()
    assert before <= stack.worker_pids(), "workers of a killed agent are adopted"


def kill_store(stack: Stack) -> None:
    store = stack.child("store")
    kill(store)
    eventually(lambda: not store.is_alive() and stack.child("store") != store and stack.is_ready(), 20, what="the next store")


def kill_worker(stack: Stack) -> None:
    _kill_worker_in_a_job(stack, lambda pid: os.kill(pid, signal.SIGKILL))


def kill_worker_group(stack: Stack) -> None:
    _kill_worker_in_a_job(stack, lambda pid: os.killpg(pid, signal.SIGKILL))


def _kill_worker_in_a_job(stack: Stack, end: Callable[[int], None]) -> None:
    """The job is seen to run before, and to finish afterwards, in another worker."""
    job = stack.accept("anchor", 1.0)
    eventually(lambda: job in stack.seen().runners, 30, every_s=0.02, what="the start of the job that is cut")
    pid = stack.seen().runners[job]
    assert not stack.seen().ends[job]
    end(pid)
    tally = stack.finish([job])
    assert (tally.starts[job], tally.ends[job], tally.runners[job] != pid) == (2, 1, True)


VICTIMS = {
    "control_plane": kill_control_plane,
    "worker": kill_worker,
    "worker_and_its_group": kill_worker_group,
    "store": kill_store,
    "agent": kill_agent,
}


@pytest.mark.parametrize(("victim", "watched_s"), [("control_plane", SILENT_S + 3), ("agent", 4)])
def test_the_quiet_timer_and_the_target_survive(running: Stack, victim: str, watched_s: float) -> None:
    """Spec P1: a successor goes on from the time accrued, and the dead process's silence is nobody's unknown."""
    before = eventually(lambda: running.calm_s() >= 3 and running.calm_s(), 90, what="some calm")
    last, term = running.ticks(), running.term()
    VICTIMS[victim](running)
    # Long enough for a process that is silent to leave its share of the requests unknown; a dead one is not waited for.
    eventually(lambda: running.calm_s() >= before + watched_s, 40, what="the timer to go on")
    accrued = running.sql("SELECT json_extract(record, '$.context.calm_s') FROM decisions ORDER BY id LIMIT -1 OFFSET ?", last)
    assert min(calm_s for (calm_s,) in accrued) >= before - 0.01  # a record rounds
    assert running.term() > term
    assert (running.target(), running.steps()) == (WORKERS, [])


def test_of_500_accepted_jobs_500_finish_whatever_is_killed_meanwhile(running: Stack) -> None:
    accepted: dict[str, str] = {}
    enough = threading.Event()

    def submit() -> None:
        while len(accepted) < JOBS and not enough.wait(0.01):
            (name,) = running.names(1)
            try:
                accepted[name] = running.submit_witness(name, JOB_S)
            except (OSError, http.client.HTTPException):
                continue  # not accepted: nobody promised anything

    sender = threading.Thread(target=submit)
    sender.start()
    try:
        for at, strike in enumerate(VICTIMS.values(), 1):
            eventually(lambda at=at: len(accepted) >= at * JOBS // 10, 60, what="more jobs")  # type: ignore[misc]
            strike(running)
        eventually(lambda: len(accepted) == JOBS, 60, what="the acceptance of all jobs")
    finally:
        enough.set()
        sender.join(20)
    tally = running.finish(accepted, within_s=90)
    eventually(lambda: {running.status_of(job_id) for job_id in accepted.values()} == {"succeeded"}, 30, every_s=1, what="every status")
    report(
        f"{len(accepted)} accepted, {len(tally.lost(accepted))} lost, {len(tally.doubled(accepted))} twice, {len(tally.workers)} workers"
    )
    assert running.target() == WORKERS
    eventually(lambda: running.is_settled(WORKERS), 30, what="three workers again")
