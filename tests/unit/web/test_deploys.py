"""The routes of deploy marks and promises: bounded, the admin's where they write, and acting once under a key (X1, X3, L3)."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import Installation, installation
from tests.unit.web.test_metrics import FakeTelemetry

from levqor.web.metrics import render


class FakeDesk:
    """Answers like the real ones; `calls` holds what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def mark(self, sha: str, note: str, actor: str) -> dict[str, Any]:
        self.calls.append(("mark", sha, note, actor))
        return {"id": len(self.calls), "at": "2026-03-01T12:00:00+00:00", "sha": sha, "note": note, "actor": actor}

    def deploys(self, limit: int) -> dict[str, Any]:
        self.calls.append(("deploys", limit))
        return {"deploys": []}

    def promises(self, limit: int) -> dict[str, Any]:
        self.calls.append(("promises", limit))
        return {"promises": [], "score": {"open": 0, "kept": 8, "missed": 2, "void": 0}}

    def ended(self) -> dict[str, int]:
        return {}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(desk: FakeDesk) -> Client:
    given: Installation = installation()
    given.services = replace(given.services, deploys=desk, promises=desk)
    return Client(given)


def test_a_deploy_is_marked_by_its_version(client: Client, desk: FakeDesk) -> None:
    answer = client.post("/ops/deploys", headers=ADMIN, json={"sha": "abc123", "note": "search"})
    assert (answer.status_code, answer.json()["sha"]) == (200, "abc123")
    assert desk.calls[0][:3] == ("mark", "abc123", "search")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no version"),
        pytest.param({"sha": ""}, id="an empty one"),
        pytest.param({"sha": "a b"}, id="with a blank"),
        pytest.param({"sha": "a\n"}, id="with a line's end"),
        pytest.param({"sha": "x" * 101}, id="too long"),
        pytest.param({"sha": 5}, id="a number"),
        pytest.param({"sha": "a", "note": "a\nb"}, id="a note of two lines"),
        pytest.param({"sha": "a", "note": "x" * 501}, id="a note too long"),
        pytest.param({"sha": "a", "when": "now"}, id="a field too many"),
    ],
)
def test_what_is_no_version_is_refused(client: Client, desk: FakeDesk, body: dict[str, Any]) -> None:
    """X3."""
    assert client.post("/ops/deploys", headers=ADMIN, json=body).status_code == 422
    assert desk.calls == []


def test_the_longest_version_is_taken(client: Client) -> None:
    assert client.post("/ops/deploys", headers=ADMIN, json={"sha": "x" * 100, "note": "y" * 500}).status_code == 200


def test_a_key_marks_once(client: Client, desk: FakeDesk) -> None:
    """L3."""
    given = {**ADMIN, "Idempotency-Key": "k"}
    answers = [client.post("/ops/deploys", headers=given, json={"sha": "abc"}).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(desk.calls) == 1
    assert client.post("/ops/deploys", headers=given, json={"sha": "def"}).status_code == 422


def test_who_may(client: Client, desk: FakeDesk) -> None:
    """X0b, X1: reading marks is open on this machine, the rest is the admin's."""
    assert client.get("/ops/deploys").status_code == 200
    for method, path in (("POST", "/ops/deploys"), ("GET", "/ops/autoscale/promises")):
        assert client(method, path).status_code == 401
    assert client.at(STRANGER).get("/ops/deploys").status_code == 401
    assert desk.calls == [("deploys", 50)]


@pytest.mark.parametrize("path", ["/ops/deploys", "/ops/autoscale/promises"])
@pytest.mark.parametrize(("limit", "status"), [("1", 200), ("1000", 200), ("0", 422), ("1001", 422), ("x", 422)])
def test_lists_are_bounded(client: Client, path: str, limit: str, status: int) -> None:
    """P5."""
    assert client.get(f"{path}?limit={limit}", headers=ADMIN).status_code == status


def test_promises_are_counted_for_prometheus() -> None:
    """A10: absent where they are not known."""
    telemetry: Any = FakeTelemetry(None)
    page = render(telemetry, None, None, promises={"kept": 8, "missed": 2, "void": 0}).decode()
    assert 'levqor_promises_total{state="kept"} 8.0' in page
    assert 'levqor_promises_total{state="void"} 0.0' in page
    assert "levqor_promises" not in render(telemetry, None, None).decode()
