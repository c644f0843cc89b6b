"""`deploy`, and what `why`, `status` and a post-mortem tell of deploys and promises (spec L1, A11)."""

import json
from typing import Any

import pytest
from tests.fake_service import FakeService, decision, status
from tests.unit.cli.conftest import Run

from levqor.cli.incidents import say_incident
from levqor.cli.postmortem import post_mortem

MARK = {"id": 3, "at": "2026-03-01T12:00:00+00:00", "sha": "abc123", "note": "search", "actor": "ada"}
PROMISE = {"id": 1, "clear_in_s": 40.0, "waited_s": 32.0, "state": "kept"}


@pytest.fixture(autouse=True)
def routes(service: FakeService) -> None:
    service.routes["POST", "/ops/deploys"] = (200, MARK)


def test_it_marks_the_version_that_came(run: Run, service: FakeService) -> None:
    said = run("deploy", "--sha", "abc123", "--note", "search", "--url", service.url)
    assert (said.code, said.out) == (0, "deploy abc123 marked\n")
    assert service.acts() == ["POST /ops/deploys"]
    assert json.loads(run("deploy", "--sha", "abc123", "--json", "--url", service.url).out)["id"] == 3


def test_a_dry_run_marks_nothing(run: Run, service: FakeService) -> None:
    assert "nothing was done" in run("deploy", "--sha", "abc123", "--dry-run", "--url", service.url).out
    assert service.acts() == []


def test_a_version_must_be_named(run: Run) -> None:
    assert run("deploy").code == 2


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("open", "it has waited for 32 s so far"),
        ("kept", "kept: it was clear after 32 s"),
        ("missed", "missed: it was not clear after 32 s"),
        ("void", "void: nobody could tell"),
    ],
)
def test_why_tells_what_became_of_the_promise_and_what_was_deployed_before(run: Run, service: FakeService, state: str, words: str) -> None:
    told = {**decision("scale_up", 2, 3), "promise": {**PROMISE, "state": state}, "deploys": [MARK]}
    service.routes["GET", "/ops/autoscale/decisions/at"] = (200, told)
    out = run("why", "2026-03-01T12:02:00Z", "--url", service.url).out
    assert f"It promised a clear queue in 40 s; {words}" in out
    assert "Before it: deploy abc123 (search), 2 min before." in out


@pytest.mark.parametrize(
    ("score", "words"),
    [
        pytest.param({"open": 1, "kept": 8, "missed": 2, "void": 3}, "promises 8 of 10 kept", id="void ones are not judged"),
        pytest.param({"open": 1, "kept": 0, "missed": 0, "void": 0}, "promises none was due yet", id="the first one"),
    ],
)
def test_status_scores_the_promises(run: Run, service: FakeService, score: dict[str, int], words: str) -> None:
    service.routes["GET", "/status"] = (200, status(promises=score))
    assert words in run("status", "--url", service.url).out


@pytest.mark.parametrize("score", [None, {"open": 0, "kept": 0, "missed": 0, "void": 0}])
def test_status_without_a_promise_says_nothing_of_them(run: Run, service: FakeService, score: dict[str, int] | None) -> None:
    service.routes["GET", "/status"] = (200, status(promises=score))
    assert "promises" not in run("status", "--url", service.url).out


def incident(**changes: Any) -> dict[str, Any]:
    base = {
        "id": 4,
        "state": "open",
        "cause": "errors rose",
        "began_at": "2026-03-01T12:02:00+00:00",
        "opened_at": "2026-03-01T12:03:00+00:00",
    }
    return {**base, "escalated_at": None, "closed_at": None, "recoveries": [], "signals": [], "evidence": {}, "deploys": [MARK], **changes}


def test_an_incident_tells_the_deploy_before_it() -> None:
    assert "deploy abc123 (search) by ada, 2 min before the first evidence" in post_mortem(incident())
    assert "2 min before" not in post_mortem(incident(began_at="2026-03-01T11:59:00+00:00", opened_at="2026-03-01T11:59:30+00:00"))
    assert "  deploy abc123 (search) by ada 2026-03-01T12:00:00+00:00" in say_incident(incident())
