"""Drill `gone`: Levqor is killed and stays away, and the team's workers and jobs do not notice (spec P7)."""

import sys
from collections.abc import Callable

import psutil

from levqor.domain.errors import ConditionNotMet
from levqor.lab.drill import BACK_WITHIN_S, WORKERS, Found
from levqor.lab.stage import Stage
from levqor.lab.team import Team
from levqor.lab.verdicts import Promise, exactly, no_job_doubled, no_job_lost, nothing_of, within

HOLD = {"why": "a drill", "for_s": 3_600}
CALM_SLACK_S = 25.0
"""What the quiet timer may gain around an outage; the outage itself is no calm that anybody has seen."""


def gone(stage: Stage) -> Found:
    """Everything of Levqor dies by kill -9, with its store; the team's workers are not its children."""
    return _away(stage, lambda: stage.kill_family(stage.up_pid))


def gone_agent(stage: Stage) -> Found:
    """First the control plane dies again and again while the agent lives; then the agent too, and its workers are left alone."""
    team, workers = _team(stage), frozenset[int]()
    with stage.stream(2.0, 0.2):
        workers = _settled(stage, team)
        deadline = stage.clock.monotonic() + stage.outage_s / 2
        while stage.clock.monotonic() < deadline:
            for pid in _control_planes(stage.up_pid):
                stage.kill(pid)
            stage.pause(0.3)
        alone = team.workers()
        stage.until(stage.is_ready, BACK_WITHIN_S)
    text = "no worker is touched while the agent lives without a control plane"
    first = Promise(text, alone == workers, f"{sorted(workers)} -> {sorted(alone)}")

    def kill_agent() -> None:
        others = [child.pid for child in psutil.Process(stage.up_pid).children() if child.pid not in workers]
        for pid in (stage.up_pid, *others):
            stage.kill(pid)

    found = _away(stage, kill_agent)
    return Found((first, *found.promises), found.jobs, found.detect_s, found.recover_s)


def _away(stage: Stage, kill: Callable[[], object]) -> Found:
    team = _team(stage)
    with stage.stream(2.0, 0.2):
        workers = _settled(stage, team)
        stage.post("/ops/holds", HOLD)
        stage.pause(3.0)
        before, calm_before = _facts(stage), _calm_s(stage)
        kill()
        seen = len(stage.testimony().ended)
        stage.pause(stage.outage_s)
        ran_meanwhile = len(stage.testimony().ended) - seen
        away = team.workers()
        at = stage.clock.monotonic()
        child = stage.begin("up-again", [sys.executable, "-m", "levqor.cli", "up", *team.up_words], {})
        stage.up_pid = child.identity.pid
        stage.until(lambda: stage.is_ready() and _facts(stage) == before, 4 * BACK_WITHIN_S)
        recover = stage.clock.monotonic() - at
        stage.pause(5.0)
    jobs = stage.wait_for_jobs()
    after, calm_after = _facts(stage), _calm_s(stage)
    expected = int(2.0 * stage.outage_s / 2)
    promises = (
        Promise("jobs run all the while that Levqor is away", ran_meanwhile >= expected, f"{ran_meanwhile} in {stage.outage_s:.0f} s"),
        Promise("the workers are the same processes while it is away", away == workers, f"{sorted(workers)} -> {sorted(away)}"),
        Promise("and once it is back", team.workers() == workers, f"{sorted(workers)} -> {sorted(team.workers())}"),
        within("it is back and knows the fleet, its target and its hold", recover if after == before else None, 4 * BACK_WITHIN_S),
        no_job_lost(jobs),
        no_job_doubled(jobs),
        exactly("no run is cut", jobs.cut, 0),
        nothing_of("no step is made", stage.steps()),
        Promise(
            "the quiet timer goes on, and counts nothing for the time away",
            calm_before is not None and calm_after is not None and calm_after <= calm_before + CALM_SLACK_S + recover,
            f"{calm_before} s -> {calm_after} s",
        ),
    )
    return Found(promises, jobs, None, recover)


def _team(stage: Stage) -> Team:
    if stage.team is None:
        raise ConditionNotMet("this drill needs a team's own queue")
    return stage.team


def _settled(stage: Stage, team: Team) -> frozenset[int]:
    if stage.until(lambda: len(team.workers()) == WORKERS and stage.testimony().ended, BACK_WITHIN_S) is None:
        raise ConditionNotMet(f"the team's {WORKERS} workers did not come up")
    return team.workers()


def _facts(stage: Stage) -> dict[str, object]:
    """What must be the same before and after."""
    status = stage.get("/status") or {}
    holds = [(hold["kind"], hold["why"]) for hold in status.get("holds") or []]
    return {"target": status.get("target"), "running": status.get("running"), "holds": holds}


def _calm_s(stage: Stage) -> float | None:
    rows = (stage.get("/ops/autoscale/decisions?limit=1&changes=false") or {}).get("decisions") or [{}]
    calm_s = rows[0].get("calm_s")
    return None if calm_s is None else float(calm_s)


def _control_planes(up_pid: int) -> list[int]:
    """The agent's children that serve or decide, known by their command line."""
    found = []
    for child in psutil.Process(up_pid).children():
        try:
            if "levqor.cli" in child.cmdline():
                found.append(child.pid)
        except psutil.Error:
            continue
    return found
