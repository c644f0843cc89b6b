"""The routes of verification (spec V2, L3, X1, X3)."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.web.client import ADMIN, Client
from tests.unit.web.fakes import installation


class FakeDesk:
    """Notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []
        self.is_over = True

    def start(self, actor: str, wait_s: float) -> tuple[bool, dict[str, Any]]:
        self.calls.append((actor, wait_s))
        return self.is_over, {"id": len(self.calls), "state": "passed" if self.is_over else "running"}

    def latest(self) -> dict[str, Any]:
        return {"id": 7, "state": "passed", "ok": True}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(desk: FakeDesk) -> Client:
    place = installation()
    return Client(replace(place, services=replace(place.services, verification=desk)))


@pytest.mark.parametrize(("method", "path"), [("POST", "/ops/verify"), ("GET", "/ops/verify/latest")])
def test_both_routes_are_the_admins(client: Client, desk: FakeDesk, method: str, path: str) -> None:
    """X1."""
    assert client(method, path).status_code == 401
    assert desk.calls == []


def test_over_in_time_is_200_and_not_yet_over_202(client: Client, desk: FakeDesk) -> None:
    """V2."""
    answer = client("POST", "/ops/verify", headers={**ADMIN, "X-Levqor-Actor": "ada"}, json={"wait_s": 5})
    assert (answer.status_code, answer.json()["state"]) == (200, "passed")
    desk.is_over = False
    assert client("POST", "/ops/verify", headers=ADMIN).status_code == 202
    assert desk.calls == [("ada", 5.0), ("admin", 60.0)]
    assert client("GET", "/ops/verify/latest", headers=ADMIN).json()["ok"] is True


@pytest.mark.parametrize("body", [{"wait_s": -1}, {"wait_s": 601}, {"wait_s": "5"}, {"suite": "public"}])
def test_a_wrong_body_is_a_422_and_nothing_is_begun(client: Client, desk: FakeDesk, body: dict[str, Any]) -> None:
    """X3."""
    assert client("POST", "/ops/verify", headers=ADMIN, json=body).status_code == 422
    assert desk.calls == []


def test_the_same_key_begins_one(client: Client, desk: FakeDesk) -> None:
    """L3."""
    headers = {**ADMIN, "Idempotency-Key": "k"}
    first, second = (client("POST", "/ops/verify", headers=headers, json={}) for _ in range(2))
    assert first.json() == second.json()
    assert len(desk.calls) == 1
