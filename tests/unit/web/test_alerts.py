"""The routes of alerts: the admin's alone, bounded, and acting once under a key."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import Installation, installation

from levqor.domain.errors import UsageError


class FakeDesk:
    """Answers like the real one; `calls` holds what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def list(self, limit: int = 50) -> dict[str, Any]:
        self.calls.append(("list", limit))
        return {"channels": [], "alerts": []}

    def test(self, actor: str) -> dict[str, Any]:
        self.calls.append(("test", actor))
        if self.error is not None:
            raise self.error
        return {"ok": True, "alert_id": 1, "deliveries": []}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(desk: FakeDesk) -> Client:
    given: Installation = installation()
    given.services = replace(given.services, alerts=desk)
    return Client(given)


def test_alerts_are_for_the_admin(client: Client, desk: FakeDesk) -> None:
    """X1."""
    assert client.get("/ops/alerts").status_code == 401
    assert client.at(STRANGER).post("/ops/alerts/test").status_code == 401
    assert desk.calls == []
    assert client.at(STRANGER).get("/ops/alerts", headers=ADMIN).json() == {"channels": [], "alerts": []}


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "9" * 5000])
def test_a_wrong_limit_is_named(client: Client, desk: FakeDesk, limit: str) -> None:
    """X3."""
    answer = client.get(f"/ops/alerts?limit={limit}", headers=ADMIN)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "limit")
    assert desk.calls == []


def test_a_test_acts_once_under_a_key(client: Client, desk: FakeDesk) -> None:
    """L3."""
    for _ in range(2):
        answer = client.post("/ops/alerts/test", headers={**ADMIN, "Idempotency-Key": "k", "X-Levqor-Actor": "ana"})
        assert answer.json()["ok"] is True
    assert desk.calls == [("test", "ana")]


def test_without_a_channel_it_says_what_to_set(client: Client, desk: FakeDesk) -> None:
    desk.error = UsageError("no channel is configured: set TELEGRAM_BOT_TOKEN")
    answer = client.post("/ops/alerts/test", headers=ADMIN)
    assert (answer.status_code, "TELEGRAM_BOT_TOKEN" in answer.text) == (422, True)
