"""The flags file, as people and crashes leave it (spec F1, F3); the table of cases is in tests/integration/store/test_flags.py."""

import json
from pathlib import Path

import pytest
from tests.drills.stack import Stack
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]


def flags_of(stack: Stack) -> Path:
    return stack.folder / "config" / "flags.json"


def edit(stack: Stack, **values: object) -> None:
    """As an editor saves: the whole file anew."""
    path = flags_of(stack)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


def state(stack: Stack) -> tuple[str, str]:
    status = stack.get("/status")
    return status["flags"]["state"], status["mode"]


BROKEN = {
    "not JSON": "{ AUTOSCALE_ENABLED: yes }",
    "half-written": '{"WORKER_COUNT": 3, "AUTOSC',
    "empty": "",
    "of a wrong type": '{"WORKER_COUNT": "three"}',
    "out of bounds": '{"WORKER_COUNT": 99}',
    "a truth value for a number": '{"WORKER_COUNT": true}',
}


def test_edits_breaks_and_losses_of_the_file(stack: Stack) -> None:
    path = flags_of(stack)
    assert json.loads(path.read_text(encoding="utf-8"))["WORKER_COUNT"] == 2

    edit(stack, WORKER_COUNT=3, AUTOSCALE_ENABLED=True, their_own_key="stays")
    eventually(lambda: stack.is_settled(3), 30, what="the fleet to follow the file")
    assert state(stack) == ("ok", "act")
    assert stack.get("/status")["holds"] == [], "a count in the file is no hold"
    assert ("flags file", "flag WORKER_COUNT") in stack.sql("SELECT actor, what FROM audit")
    assert json.loads(path.read_text(encoding="utf-8"))["their_own_key"] == "stays"

    for what, text in BROKEN.items():
        path.write_text(text, encoding="utf-8")
        eventually(lambda: state(stack) == ("broken", "held"), what=f"the hold of a file that is {what}")
        assert stack.get("/status")["flags"]["error"]
        apply = stack.order("POST", "/ops/autoscale/apply", {}).json
        assert (apply["applied"], apply["target"]) == (False, 3)
        assert "flags file" in apply["why_not"]
        assert path.read_text(encoding="utf-8") == text, "it is left for a person to mend"
    assert stack.is_settled(3)

    path.unlink()
    eventually(lambda: path.exists() and json.loads(path.read_text(encoding="utf-8"))["WORKER_COUNT"] == 3, what="the file anew")
    eventually(lambda: state(stack) == ("ok", "act"), what="the end of the hold")


def test_off_beats_on(stack: Stack) -> None:
    """Spec F3: the file says off while the API says on; off within a tick, without a restart."""
    web = stack.child("web")
    assert stack.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200
    eventually(lambda: json.loads(flags_of(stack).read_text(encoding="utf-8"))["AUTOSCALE_ENABLED"] is True, what="the export")
    edit(stack, AUTOSCALE_ENABLED=False)
    assert stack.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200
    eventually(lambda: state(stack) == ("ok", "observe"), what="the mode")
    assert stack.get("/ops/flags").get("http_status") in (None, 401)
    assert stack.order("GET", "/ops/flags").json["flags"]["AUTOSCALE_ENABLED"]["value"] is False
    assert stack.child("web") == web
