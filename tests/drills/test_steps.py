"""Steps up and down under load: no job is lost, doubled or cut, whoever runs the workers (spec A7, A8; issue: 500 random steps)."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conftest import Valkey
from tests.drills.conftest import begun
from tests.drills.stack import Stack, report
from tests.drills.team import Team
from tests.waiting import eventually

from levqor.agent.journal import Journal

STEPS = int(os.environ.get("LEVQOR_DRILL_STEPS", "0"))
"""0: as many as fit into SPAN_S."""
SPAN_S = 40.0
TEAMS_SPAN_S = 25.0
MOST = 4
SETTINGS = {"DRAIN_GRACE_S": "60", "TICK_S": "0.2", "SCALE_UP_DEPTH": "3"}

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(3_600 if STEPS else 120)]


def serving(stack: Stack) -> int:
    """Workers that live and are not told to drain."""
    entries = Journal(stack.data / "agent.json").read().children
    return sum(entry.role == "worker" and not entry.is_draining and entry.identity.is_alive() for entry in entries)


def step(stack: Stack, dice: random.Random, number: int, serving: Callable[[], int]) -> None:
    """One random step: a count, a difference, or the autopilot's own decision; then the fleet follows."""
    if number % 25 == 24:
        assert stack.order("DELETE", "/ops/scale").status == 200
        answer = stack.order("POST", "/ops/autoscale/apply", {})
    elif dice.random() < 0.3:
        up = stack.target() == 1 or (stack.target() < MOST and dice.random() < 0.5)
        answer = stack.order("POST", "/ops/scale", {"delta": 1 if up else -1, "why": "a drill"})
    else:
        answer = stack.order("POST", "/ops/scale", {"count": dice.randint(1, MOST), "why": "a drill"})
    assert answer.status == 200, answer
    eventually(lambda: serving() == stack.target(), 20, what="the fleet to follow")
    if dice.random() < 0.15:
        eventually(lambda: is_settled(stack, serving), 30, what="all workers of the target, and no others")


def is_settled(stack: Stack, serving: Callable[[], int]) -> bool:
    status = stack.get("/status")
    return serving() == stack.target() == status.get("running") and not status.get("draining")


def play(stack: Stack, submit: Callable[[str, float], object], serving: Callable[[], int], span_s: float) -> None:
    """Random steps while jobs come; then every job must have run once, whole."""
    seed = int(os.environ.get("LEVQOR_DRILL_SEED", "20261122"))
    dice, enough, jobs = random.Random(seed), threading.Event(), stack.names(20_000)
    sent: list[str] = []
    assert stack.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200

    def load() -> None:
        while not enough.wait(0.15):
            job = jobs[len(sent)]
            submit(job, 0.02 + 0.3 * (len(sent) % 7) / 7)
            sent.append(job)

    sender = threading.Thread(target=load)
    sender.start()
    done, targets, began = 0, [stack.target()], time.monotonic()
    try:
        while done < STEPS or (not STEPS and time.monotonic() - began < span_s):
            step(stack, dice, done, serving)
            targets.append(stack.target())
            done += 1
    finally:
        enough.set()
        sender.join(20)
    took_s = time.monotonic() - began
    tally = stack.finish(sent, within_s=300 if STEPS else 40)
    eventually(lambda: is_settled(stack, serving), 30, what="the last step's end")
    moves = sum(a != b for a, b in pairwise(targets))
    counts = {"lost": tally.lost(sent), "doubled": tally.doubled(sent), "cut": tally.cut(sent)}
    report(f"seed {seed}: {done} steps ({moves} moves) in {took_s:.0f} s, {len(sent)} jobs on {len(tally.workers)} workers, {counts}")
    assert counts == {"lost": [], "doubled": [], "cut": []}
    assert len(tally.workers) > MOST, "jobs ran on more workers than ever lived at once: the fleet moved"
    assert moves > done / 3


@pytest.mark.parametrize("stack", [SETTINGS], indirect=True)
def test_random_steps_under_load_lose_double_and_cut_no_job(stack: Stack) -> None:
    play(stack, stack.submit_witness, lambda: serving(stack), SPAN_S)


@contextmanager
def beside(team: Team, folder: Path) -> Iterator[Stack]:
    """A Levqor beside the team; afterwards the team's workers are ended as the team would."""
    with begun(folder, *team.up_words(), **{**SETTINGS, **team.settings()}) as stack:
        try:
            yield stack
        finally:
            eventually(lambda: team.end(stack), 30, what="the end of the team's workers")


@pytest.mark.parametrize("kind", ["slots", "agent"])
def test_random_steps_of_a_teams_own_workers_lose_double_and_cut_no_job(kind: str, tmp_path: Path, valkey: Valkey) -> None:
    """`rq worker`s in systemd-like slots, and as `-- rq worker high default` under the agent: Levqor's class is nowhere."""
    team = Team(tmp_path / "team", kind, valkey.url)
    with beside(team, tmp_path / "stack") as stack:
        play(stack, lambda job, seconds: team.enqueue(stack.witness_log, job, seconds), lambda: team.serving(stack), TEAMS_SPAN_S)
