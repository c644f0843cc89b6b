"""Drills on an attached app: it is sick until a reload heals it, sick for good, or well."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from levqor.domain.errors import ConditionNotMet
from levqor.lab.drill import Found, nothing_automatic, same_workers, told_once
from levqor.lab.load import Answer, SteadyLoad, sick_until
from levqor.lab.stage import Stage
from levqor.lab.verdicts import Promise, exactly, no_job_doubled, no_job_lost, within

LOAD_PER_S = 20.0
SLOW_MS = 200.0
SETTLED_S = 12.0
QUIET_S = 60.0
CALLED_WITHIN_S = 50.0
VERIFIED_WITHIN_S = 45.0
CLOSED_WITHIN_S = 30.0
HOPELESS_WITHIN_S = 110.0


def errors(stage: Stage) -> Found:
    """A fifth of the app's answers fails until a reload heals it."""
    return _sick_app(stage, lambda answer: answer.is_failed, error_share=0.2)


def slow(stage: Stage) -> Found:
    """Every answer of the app takes longer than the objective until a reload heals it."""
    return _sick_app(stage, lambda answer: answer.ms >= SLOW_MS, extra_ms=300.0)


def _sick_app(stage: Stage, is_bad: Callable[[Answer], bool], **fault: float) -> Found:
    """Watchdog, recovery and its check, on an app whose load outside says when it was sick."""
    if not stage.begin_app():
        raise ConditionNotMet("the sample app does not answer")
    stage.submit(seconds=0.2)
    with SteadyLoad(f"{stage.app_url}/work", LOAD_PER_S, stage.clock) as load, stage.stream(1.0, 0.2):
        stage.pause(SETTLED_S)
        at = stage.clock.monotonic()
        stage.switch_fault(**fault)
        detect = stage.until(stage.incidents, CALLED_WITHIN_S, 0.3)
        stage.until(lambda: any(recovery["verified"] for recovery in stage.recoveries()), VERIFIED_WITHIN_S, 0.5)
        healed = sick_until(load.answers, is_bad)
        is_closed = stage.until(lambda: all(incident["closed_at"] for incident in stage.incidents()), CLOSED_WITHIN_S, 0.5) is not None
        last = sick_until(load.answers, is_bad)
    jobs = stage.wait_for_jobs()
    incidents, recoveries = stage.incidents(), stage.recoveries()
    recover = None if last is None or not recoveries else last - at
    promises = (
        within("the watchdog calls", detect, CALLED_WITHIN_S),
        exactly("one incident is opened", len(incidents), 1),
        exactly("one recovery is made", len(recoveries), 1),
        Promise("each of its steps is done, or skipped with a reason", _are_good(recoveries), _steps(recoveries)),
        Promise("it is verified that it helped", [one["verified"] for one in recoveries] == ["helped"]),
        Promise("the app is well afterwards, as the load saw it", healed is not None and healed == last, f"bad for {recover or 0:.1f} s"),
        Promise("the incident is closed", is_closed),
        told_once(stage),
        no_job_lost(jobs),
        no_job_doubled(jobs),
    )
    return Found(promises, jobs, detect, recover)


def crash_loop(stage: Stage) -> Found:
    """Workers die at their start and the app is sick, and nothing that Levqor can do helps."""
    if not stage.begin_app():
        raise ConditionNotMet("the sample app does not answer")
    with SteadyLoad(f"{stage.app_url}/work", LOAD_PER_S, stage.clock):
        stage.pause(SETTLED_S / 2)
        stage.switch_fault(error_share=0.2, is_stuck=True)
        with stage.killing_workers() as killed:
            detect = stage.until(stage.incidents, CALLED_WITHIN_S, 0.3)
            stage.until(lambda: "disarmed" in stage.refusals(), HOPELESS_WITHIN_S, 0.5)
            stage.pause(SETTLED_S / 2)
    incidents, recoveries = stage.incidents(), stage.recoveries()
    escalations = [message.line for message in stage.receiver.arrived if message.kind == "escalation"]
    promises = (
        Promise("workers were killed again and again", len(killed) >= 5, f"{len(killed)}"),
        exactly("one incident is opened", len(incidents), 1),
        Promise("at most 3 recoveries are tried", 1 <= len(recoveries) <= 3, f"{len(recoveries)}"),
        exactly("one escalation is told", len(escalations), 1),
        Promise("automatic recovery is disarmed", "disarmed" in stage.refusals(), ", ".join(sorted(set(stage.refusals())))),
        told_once(stage),
    )
    return Found(promises, detect_s=detect)


def quiet(stage: Stage) -> Found:
    """A healthy app, and jobs that come in small bursts: noise, and no cause for anything."""
    if not stage.begin_app():
        raise ConditionNotMet("the sample app does not answer")
    stage.switch_fault(error_share=0.001)
    workers = stage.serving()
    with SteadyLoad(f"{stage.app_url}/work", LOAD_PER_S, stage.clock) as load:
        begin = stage.clock.monotonic()
        while stage.clock.monotonic() - begin < QUIET_S:
            for _ in range(6):
                stage.submit(seconds=0.4)
            stage.pause(4.0)
        failed, sent = load.failed_since(begin)
    jobs = stage.wait_for_jobs()
    requests = (stage.get("/status") or {}).get("signals", {}).get("request_rate", {}).get("value")
    promises = (
        no_job_lost(jobs),
        no_job_doubled(jobs),
        Promise("the app's requests are measured", bool(requests and requests > LOAD_PER_S / 2), f"{requests or 0:.1f} a second"),
        Promise("the app was healthy, as the load saw it", sent > 0 and failed / sent < 0.005, f"{failed} of {sent} failed"),
        same_workers(stage, workers),
        *nothing_automatic(stage),
    )
    return Found(promises, jobs)


def _are_good(recoveries: Iterable[Mapping[str, Any]]) -> bool:
    return all(step["status"] in ("done", "skipped") for recovery in recoveries for step in recovery["steps"])


def _steps(recoveries: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{step['name']} {step['status']}: {step['detail']}" for recovery in recoveries for step in recovery["steps"])
