"""The routes of recovery (spec I1, I2, I6, L3, X1)."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.web.client import ADMIN, Client
from tests.unit.web.fakes import installation

from levqor.domain.errors import GuardRefused, NotFound
from levqor.domain.incidents import Call

STEPS = [{"name": "restart_workers", "status": "done", "before": {}, "after": {}, "detail": ""}]


class FakeDesk:
    """Notes what it was asked; answers as told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.is_finished = True
        self.error: Exception | None = None

    def recover(self, call: Call, *, dry_run: bool, wait_s: float) -> tuple[bool, dict[str, Any]]:
        self.calls.append((call.actor, call.dead_letters, dry_run, wait_s, call.is_automatic))
        if self.error is not None:
            raise self.error
        ok = True if self.is_finished else None
        return self.is_finished, {"ok": ok, "recovered": not dry_run, "dry_run": dry_run, "incident_id": 7, "steps": STEPS}

    def incidents(self, limit: int, open_only: bool) -> dict[str, Any]:
        self.calls.append((limit, open_only))
        return {"incidents": [], "guards": {}}

    def incident(self, incident_id: int) -> dict[str, Any]:
        if incident_id == 404:
            raise NotFound("no incident 404")
        return {"id": incident_id}

    def rearm(self, actor: str) -> dict[str, Any]:
        self.calls.append(("rearm", actor))
        return {"armed": True, "acknowledged": 2}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(desk: FakeDesk) -> Client:
    place = installation()
    return Client(replace(place, services=replace(place.services, incidents=desk)))


ROUTES = [("POST", "/ops/recover"), ("GET", "/ops/incidents"), ("GET", "/ops/incidents/1"), ("POST", "/ops/rearm")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_the_admins(client: Client, desk: FakeDesk, method: str, path: str) -> None:
    """X1."""
    assert client(method, path).status_code == 401
    assert desk.calls == []
    assert client(method, path, headers=ADMIN).status_code == 200


def test_an_empty_body_recovers_with_the_defaults(client: Client, desk: FakeDesk) -> None:
    """I2: waits up to 60 s; only dead letters of the incident."""
    answer = client.post("/ops/recover", headers={**ADMIN, "X-Levqor-Actor": "ana"})
    assert answer.status_code == 200
    assert desk.calls == [("ana", "incident", False, 60.0, False)]
    assert answer.json()["steps"] == STEPS


def test_what_goes_on_is_202_with_its_id(client: Client, desk: FakeDesk) -> None:
    """I2."""
    desk.is_finished = False
    answer = client.post("/ops/recover", headers=ADMIN, json={"wait_s": 0})
    assert (answer.status_code, answer.json()["incident_id"], answer.json()["ok"]) == (202, 7, None)


def test_a_refusal_is_409_with_its_reason(client: Client, desk: FakeDesk) -> None:
    """I2, I6."""
    desk.error = GuardRefused("single_flight: a recovery is running already")
    answer = client.post("/ops/recover", headers=ADMIN)
    assert answer.status_code == 409
    assert "single_flight" in answer.json()["detail"]


def test_the_same_key_acts_once_and_a_dry_run_uses_up_none(client: Client, desk: FakeDesk) -> None:
    """L3."""
    keyed = {**ADMIN, "Idempotency-Key": "once"}
    assert client.post("/ops/recover", headers=keyed, json={"dry_run": True}).json()["dry_run"] is True
    first = client.post("/ops/recover", headers=keyed, json={})
    second = client.post("/ops/recover", headers=keyed, json={})
    assert first.json() == second.json()
    assert [call[2] for call in desk.calls] == [True, False]
    assert client.post("/ops/recover", headers=keyed, json={"dead_letters": "all"}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [{"dead_letters": "some"}, {"wait_s": -1}, {"wait_s": 601}, {"dry_run": 1}, {"more": True}],
    ids=["scope", "negative", "too long", "no bool", "unknown field"],
)
def test_a_wrong_body_is_422_and_acts_not(client: Client, desk: FakeDesk, body: dict[str, Any]) -> None:
    """X3."""
    assert client.post("/ops/recover", headers=ADMIN, json=body).status_code == 422
    assert desk.calls == []


def test_incidents_are_listed_shown_and_not_found(client: Client, desk: FakeDesk) -> None:
    assert client.get("/ops/incidents?limit=5&open_only=true", headers=ADMIN).status_code == 200
    assert desk.calls == [(5, True)]
    assert client.get("/ops/incidents/3", headers=ADMIN).json() == {"id": 3}
    assert client.get("/ops/incidents/404", headers=ADMIN).status_code == 404
    assert client.get("/ops/incidents/99999999999", headers=ADMIN).status_code == 422
    assert client.get("/ops/incidents?limit=0", headers=ADMIN).status_code == 422


def test_rearm_says_what_was_acknowledged(client: Client, desk: FakeDesk) -> None:
    assert client.post("/ops/rearm", headers=ADMIN).json() == {"armed": True, "acknowledged": 2}
    assert desk.calls == [("rearm", "admin")]
