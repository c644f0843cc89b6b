"""Verbs that act: what they send, what they say, and that a dry run sends nothing (spec L1, L2)."""

from typing import Any

import pytest
from tests.fake_service import FakeService, decision
from tests.unit.cli.conftest import Run

from levqor.cli import output
from levqor.cli.fleet import parse_count
from levqor.domain.errors import UsageError

FLAGS = {"state": "ok", "error": None, "flags": {"WORKER_COUNT": {"value": 2}, "AUTOSCALE_ENABLED": {"value": False}}}


@pytest.fixture(autouse=True)
def routes(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    scaled = {"before": 2, "target": 3, "hold_id": 5, "owner": "ada", "remaining_s": 3600.0}
    hold = {"id": 6, "kind": "person", "owner": "ada", "why": "deploy", "remaining_s": None}
    service.routes |= {
        ("POST", "/ops/scale"): (200, scaled),
        ("DELETE", "/ops/scale"): (200, {"ended": 1, "target": 3}),
        ("POST", "/ops/holds"): (200, {"id": 6, "owner": "ada", "why": "deploy", "remaining_s": 7200.0}),
        ("GET", "/ops/holds"): (200, {"holds": [hold], "paused": []}),
        ("DELETE", "/ops/holds"): (200, {"ended": 1}),
        ("DELETE", "/ops/holds/6"): (200, {"ended": 1}),
        ("POST", "/ops/queues/*"): (200, {"queue": "mail/high", "paused": True}),
        ("POST", "/ops/workers/restart"): (200, {"asked": 1, "workers": ["w1"]}),
        ("GET", "/ops/flags"): (200, FLAGS),
        ("PUT", "/ops/flags/AUTOSCALE_ENABLED"): (200, {"name": "AUTOSCALE_ENABLED", "before": False, "value": True}),
        ("POST", "/ops/autoscale/apply"): (200, {**decision("scale_up", 2, 3, applied=True), "workers_before": 2, "workers_after": 3}),
        ("GET", "/ops/autoscale/dryrun"): (200, decision("scale_up", 2, 3, mode="observe", applied=None)),
    }


@pytest.mark.parametrize(
    ("arguments", "asked", "body"),
    [
        (("scale", "3", "--for", "1h", "--why", "sale"), "POST /ops/scale", {"count": 3, "why": "sale", "for_s": 3600.0}),
        (("scale", "+1"), "POST /ops/scale", {"delta": 1, "why": "set by hand", "for_s": None}),
        (("scale", "-1"), "POST /ops/scale", {"delta": -1, "why": "set by hand", "for_s": None}),
        (("scale", "auto"), "DELETE /ops/scale", None),
        (("hold", "2h", "--why", "deploy"), "POST /ops/holds", {"why": "deploy", "for_s": 7200.0}),
        (("hold",), "POST /ops/holds", {"why": "held by hand", "for_s": None}),
        (("release",), "DELETE /ops/holds", None),
        (("release", "6"), "DELETE /ops/holds/6", None),
        (("pause", "mail/high"), "POST /ops/queues/mail%2Fhigh/pause", {"why": "paused by hand"}),
        (("resume", "mail/high"), "POST /ops/queues/mail%2Fhigh/resume", {}),
        (("restart", "w1"), "POST /ops/workers/restart", {"worker": "w1"}),
        (("restart",), "POST /ops/workers/restart", {}),
        (("flags", "set", "autoscale_enabled", "on"), "PUT /ops/flags/AUTOSCALE_ENABLED", {"value": True}),
        (("autoscale", "apply"), "POST /ops/autoscale/apply", {"dry_run": False}),
    ],
)
def test_each_verb_asks_for_exactly_one_act(run: Run, service: FakeService, arguments: tuple[str, ...], asked: str, body: Any) -> None:
    said = run(*arguments, "--url", service.url)
    assert (said.code, said.err) == (0, "")
    assert said.out.strip()
    assert service.acts() == [asked]
    assert service.asked[-1].body == body


@pytest.mark.parametrize(
    "arguments",
    [
        ("scale", "3"),
        ("scale", "+1"),
        ("scale", "auto"),
        ("hold", "2h"),
        ("release",),
        ("pause", "default"),
        ("resume", "default"),
        ("restart",),
        ("restart", "w1"),
        ("flags", "set", "WORKER_COUNT", "3"),
    ],
)
def test_a_dry_run_acts_on_nothing(run: Run, service: FakeService, arguments: tuple[str, ...]) -> None:
    said = run(*arguments, "--dry-run", "--json", "--url", service.url)
    assert said.code == 0
    assert said.json["dry_run"] is True
    assert said.json["schema"] == 1
    assert service.acts() == []


@pytest.mark.parametrize("arguments", [("scale", "5"), ("scale", "0"), ("scale", "+3")])
def test_a_dry_run_knows_the_bounds(run: Run, service: FakeService, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, "--dry-run", "--url", service.url).code == 2


def test_a_manual_count_names_its_owner_and_its_end(run: Run, service: FakeService) -> None:
    """L2: a manual count is a hold with owner and expiry."""
    said = run("scale", "3", "--url", service.url)
    assert said.out == "target 2 -> 3, held for 1 h by ada; `levqor scale auto` ends it\n"


@pytest.mark.parametrize("text", ["", "three", "+", "--1", "1.5", "+-1", "1001", "99999", "²", "nan"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "wish"), [("0", {"count": 0}), ("1000", {"count": 1000}), ("+0", {"delta": 0}), ("-2", {"delta": -2}), ("AUTO", None)]
)
def test_counts_are_read(text: str, wish: dict[str, int] | None) -> None:
    assert parse_count(text) == wish


@pytest.mark.parametrize("arguments", [("scale", "3", "--wyh", "x"), ("scale",), ("hold", "soon"), ("scale", "3", "--for", "1w")])
def test_a_slip_of_the_fingers_is_usage(run: Run, service: FakeService, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, "--url", service.url).code == 2
    assert service.acts() == []


def test_with_a_terminal_a_restart_of_all_is_asked_for(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert run("restart", "--url", service.url).code == 0
    assert service.acts() == []
    assert run("restart", "--yes", "--url", service.url).code == 0
    assert service.acts() == ["POST /ops/workers/restart"]


def test_flags_are_printed_one_a_line(run: Run, service: FakeService) -> None:
    assert run("flags", "get", "--url", service.url).out == "WORKER_COUNT=2\nAUTOSCALE_ENABLED=false\n"
    assert run("flags", "get", "worker-count", "--url", service.url).out == "2\n"
    assert run("flags", "get", "--json", "--url", service.url).json["values"] == {"WORKER_COUNT": 2, "AUTOSCALE_ENABLED": False}


def test_a_broken_flags_file_is_told_beside_the_values(run: Run, service: FakeService) -> None:
    """F1: the error is shown."""
    service.routes["GET", "/ops/flags"] = (200, {**FLAGS, "state": "broken", "error": "line 2: not JSON"})
    assert "line 2: not JSON" in run("flags", "get", "--url", service.url).err


@pytest.mark.parametrize(("name", "value", "code"), [("NO_SUCH", "true", 1), ("WORKER_COUNT", "many", 2), ("WORKER_COUNT", "-1", 2)])
def test_a_wrong_flag_changes_nothing(run: Run, service: FakeService, name: str, value: str, code: int) -> None:
    assert run("flags", "set", name, "--url", service.url, "--", value).code == code
    assert service.acts() == []


def test_what_if_values_travel_as_they_are_named(run: Run, service: FakeService) -> None:
    """A6."""
    said = run("autoscale", "dryrun", "--queue-depth", "11", "--p95-ms", "151", "--calm-for-s", "600", "--url", service.url)
    assert service.asked[-1].query == {"queue_depth": "11.0", "p95_ms": "151.0", "calm_for_s": "600.0"}
    assert said.out.startswith("step up 2 -> 3: neither pressed nor calm\n")
    assert "mode: observe" in said.out


def test_apply_says_what_came_of_it(run: Run, service: FakeService) -> None:
    assert "applied: workers 2 -> 3" in run("autoscale", "apply", "--url", service.url).out
    refused = {**decision("scale_up", 2, 3), "applied": False, "why_not": "AUTOSCALE_ENABLED is off"}
    service.routes["POST", "/ops/autoscale/apply"] = (200, refused)
    said = run("autoscale", "apply", "--url", service.url)
    assert said.code == 0
    assert "not applied: AUTOSCALE_ENABLED is off" in said.out
    assert "would step up 2 -> 3" in said.out
