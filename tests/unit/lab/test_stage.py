"""What a drill sees of its stage: unknown is not nothing, and files outlive the service."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.conftest import free_port

from levqor.host import SystemClock
from levqor.lab.drill import Drill, Found, perform
from levqor.lab.receiver import Receiver
from levqor.lab.stage import Stage
from levqor.lab.verdicts import Promise


def no_child(*_: object) -> None:
    raise AssertionError("no child is begun here")


class Scripted(Stage):
    """Answers from a table instead of a service."""

    answers: dict[str, dict[str, Any]]

    def get(self, path: str) -> dict[str, Any] | None:
        return self.answers.get(path)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scripted]:
    with Receiver(ManualClock()) as receiver:
        made = Scripted("http://127.0.0.1:1", {}, tmp_path, SystemClock(), receiver, no_child, free_port(), 0)
        made.answers = {}
        yield made


def test_a_service_that_does_not_answer_is_unknown_and_refuses_jobs(stage: Stage) -> None:
    bare = Stage(f"http://127.0.0.1:{free_port()}", {}, stage.folder, SystemClock(), stage.receiver, no_child, free_port(), 0)
    assert bare.get("/status") is None
    assert bare.workers() is None
    assert bare.serving() == frozenset()
    assert not bare.is_ready()
    assert bare.submit() is None
    assert (bare.refused, bare.accepted) == (1, {})


def test_only_idle_and_busy_workers_serve(stage: Scripted) -> None:
    states = {1: "idle", 2: "busy", 3: "starting", 4: "draining", 5: "lost"}
    stage.answers["/ops/queue_health"] = {"workers": [{"pid": pid, "state": state} for pid, state in states.items()]}
    assert stage.serving() == {1, 2}


def test_actions_are_applied_steps_and_recoveries(stage: Scripted) -> None:
    step = {"action": "scale_up", "current": 1, "target": 2}
    stage.answers |= {
        "/ops/autoscale/decisions?limit=200": {"decisions": [{**step, "applied": False}, {"decision": step, "applied": True}]},
        "/ops/incidents": {"incidents": [{"id": 7}]},
        "/ops/incidents/7": {
            "id": 7,
            "recoveries": [{"id": 3, "actor": "watchdog", "verified": None, "steps": [{"name": "restart_workers", "status": "done"}]}],
        },
    }
    assert stage.actions() == ["scale_up 1 -> 2", "recovery 3 by watchdog: restart_workers done; verified: not yet"]


def test_refusals_are_read_from_the_incident_log(stage: Scripted) -> None:
    assert stage.refusals() == []
    (stage.folder / "logs").mkdir()
    lines = [{"ok": True}, {"refused": "cooldown"}, {"refused": "disarmed"}]
    (stage.folder / "logs" / "incidents.log").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert stage.refusals() == ["cooldown", "disarmed"]


def test_waiting_answers_when_or_that_it_was_in_vain(stage: Stage) -> None:
    looks = iter([False, True])
    assert stage.until(lambda: next(looks), 5.0, 0.001) is not None
    assert stage.until(lambda: False, 0.01, 0.001) is None
    assert stage.find(lambda: "found", 0.0) == "found"


def test_a_verdict_holds_what_the_run_found_and_what_was_done_and_told(stage: Scripted) -> None:
    verdict = perform("x", Drill("a fault", lambda _: Found((Promise("it holds", True),), detect_s=1.0)), stage)
    assert (verdict.drill, verdict.fault, verdict.is_kept, verdict.detect_s) == ("x", "a fault", True, 1.0)
    assert (verdict.actions, verdict.alerts) == ((), ())
