"""Drills that break Levqor's own processes: workers and the store are killed, the store hangs."""

import signal

from levqor.domain.errors import ConditionNotMet
from levqor.lab.drill import BACK_WITHIN_S, WORKERS, Found, nothing_automatic, same_workers, worst
from levqor.lab.stage import Stage
from levqor.lab.verdicts import Promise, no_job_doubled, no_job_lost, nothing_of, within

ROUNDS = 2
STORE_KILLS = 3
OUTAGE_S = 20.0


def kill_worker(stage: Stage) -> Found:
    """The worker's parent alone, all its processes, the job's process alone: each more than once, each in a job."""
    for _ in range(20):
        stage.submit(seconds=1.5)
    detect, recover, kills = [], [], 0
    for kill, ends_worker in ((stage.kill, True), (stage.kill_family, True), (stage.kill, False)) * ROUNDS:
        worker, job = _strike_place(stage)
        at = stage.clock.monotonic()
        kill(worker if ends_worker else job)
        kills += 1
        if ends_worker:
            stage.until(lambda worker=worker: worker not in stage.serving(), BACK_WITHIN_S)  # type: ignore[misc]
            detect.append(stage.clock.monotonic() - at)
            is_whole = stage.until(lambda: len(stage.serving()) == WORKERS, BACK_WITHIN_S) is not None
            recover.append(stage.clock.monotonic() - at if is_whole else None)
        else:
            stage.until(lambda job=job: job not in stage.testimony().running_processes(), BACK_WITHIN_S)  # type: ignore[misc]
    jobs = stage.wait_for_jobs()
    attempts = sorted({str(status.get("attempts")) for status in stage.ended_statuses()})
    promises = (
        no_job_lost(jobs),
        no_job_doubled(jobs),
        Promise("no run is cut but by a kill", jobs.cut <= kills, f"{jobs.cut} of {kills} kills"),
        Promise("a lost worker uses up no attempt", attempts == ["1"], f"attempts: {', '.join(attempts)}"),
        within("each time the fleet is whole again", worst(recover), BACK_WITHIN_S),
        *nothing_automatic(stage),
    )
    return Found(promises, jobs, worst(detect), worst(recover))


def _strike_place(stage: Stage) -> tuple[int, int]:
    """Process ids of a worker that has just begun a job of the witness's, and of that job. Raises ConditionNotMet where none comes up."""
    words = {job_id: word for word, job_id in stage.accepted.items()}
    known = stage.testimony().under_way()

    def look() -> tuple[int, int] | None:
        seen = stage.testimony()
        # A job that has just begun: one that is about to end may have done its work when the kill comes, and would do it again.
        running = seen.under_way() - known
        for worker in stage.workers() or []:
            word = words.get(worker["job_id"] or "", "")
            if word in running:
                return worker["pid"], seen.processes[word]
        return None

    place = stage.find(look, BACK_WITHIN_S)
    if place is None:
        raise ConditionNotMet("no worker took a job that could be cut")
    return place


def kill_store(stage: Stage) -> Found:
    """The embedded store dies again and again while jobs come and run."""
    detect, recover, again = [], [], []
    with stage.stream(4.0, 0.2):
        stage.pause(3.0)
        workers = stage.serving()
        for _ in range(STORE_KILLS):
            killed, at = _store_of(stage), stage.clock.monotonic()
            stage.kill(killed)
            detect.append(stage.until(lambda killed=killed: stage.store_pid() not in (None, killed), BACK_WITHIN_S, 0.05))  # type: ignore[misc]
            is_back = stage.until(stage.is_ready, BACK_WITHIN_S)
            recover.append(None if is_back is None else stage.clock.monotonic() - at)
            before = len(stage.accepted)
            again.append(stage.until(lambda before=before: len(stage.accepted) >= before + 8, BACK_WITHIN_S))  # type: ignore[misc]
    jobs = stage.wait_for_jobs()
    promises = (
        within("each time the store is back by itself and the service ready", worst(recover), BACK_WITHIN_S),
        within("each time jobs are taken again", worst(again), BACK_WITHIN_S),
        no_job_lost(jobs),
        no_job_doubled(jobs),
        same_workers(stage, workers),
        *nothing_automatic(stage),
    )
    return Found(promises, jobs, worst(detect), worst(recover))


def _store_of(stage: Stage) -> int:
    pid = stage.store_pid()
    if pid is None:
        raise ConditionNotMet("no store answers that could be disturbed")
    return pid


def broker_out(stage: Stage) -> Found:
    """The store hangs for a while: it accepts connections and answers nobody."""
    with stage.stream(2.0, 0.2):
        stage.pause(4.0)
        workers, target, stopped = stage.serving(), stage.target(), _store_of(stage)
    for _ in range(6):
        stage.submit(seconds=3.0)
    stage.until(lambda: len(stage.testimony().under_way()) == WORKERS, BACK_WITHIN_S)
    begin = stage.clock.monotonic()
    stage.kill(stopped, signal.SIGSTOP)
    try:
        detect = stage.until(lambda: not stage.is_ready(), OUTAGE_S)
        stage.until(lambda: stage.clock.monotonic() - begin >= OUTAGE_S, OUTAGE_S + 1)
    finally:
        stage.kill(stopped, signal.SIGCONT)
    recover = stage.until(stage.is_ready, BACK_WITHIN_S)
    with stage.stream(2.0, 0.2):
        stage.pause(3.0)
    jobs = stage.wait_for_jobs()
    stage.until(lambda: stage.opened_alerts(), BACK_WITHIN_S)
    stage.until(lambda: not stage.open_episodes(), 30.0, 0.5)
    opened = stage.opened_alerts()
    promises = (
        Promise("the outage is seen", detect is not None),
        within("all is well again", recover, BACK_WITHIN_S),
        no_job_lost(jobs),
        no_job_doubled(jobs),
        same_workers(stage, workers),
        Promise("nothing steps down: the target stays", stage.target() == target, f"{target} -> {stage.target()}"),
        Promise("one alert is told", len(opened) == 1, "; ".join(opened)),
        Promise("every episode is closed at the end", not stage.open_episodes(), "; ".join(stage.open_episodes())),
        nothing_of("no recovery begins", stage.actions()),
    )
    return Found(promises, jobs, detect, recover)
