"""The routes of the schedule: the admin's alone, bounded, and acting once under a key."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import Installation, installation

from levqor.domain.errors import Conflict, DatabaseDown, GuardRefused, NotFound


class FakeDesk:
    """Answers like the real one; `calls` holds what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def _asked(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    def schedule(self) -> dict[str, Any]:
        self._asked("schedule")
        return {"jobs": []}

    def runs(self, job: str | None, limit: int) -> dict[str, Any]:
        self._asked("runs", job, limit)
        return {"runs": []}

    def run(self, job_id: str, actor: str) -> dict[str, Any]:
        self._asked("run", job_id, actor)
        return {"run_id": 7, "job": job_id, "state": "asked"}


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def client(desk: FakeDesk) -> Client:
    given: Installation = installation()
    given.services = replace(given.services, schedule=desk)
    return Client(given)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/ops/schedule"), ("GET", "/ops/schedule/runs"), ("POST", "/ops/schedule/backup/run")]
)
def test_the_schedule_is_for_the_admin(client: Client, desk: FakeDesk, method: str, path: str) -> None:
    """X1."""
    assert client(method, path).status_code == 401
    assert client.at(STRANGER)(method, path).status_code == 401
    assert desk.calls == []
    assert client.at(STRANGER)(method, path, headers=ADMIN).status_code == (202 if method == "POST" else 200)


def test_history_is_of_all_jobs_or_of_one(client: Client, desk: FakeDesk) -> None:
    """T3."""
    client.get("/ops/schedule/runs", headers=ADMIN)
    client.get("/ops/schedule/runs?job=backup&limit=3", headers=ADMIN)
    assert desk.calls == [("runs", None, 50), ("runs", "backup", 3)]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", f"limit={'9' * 5000}", "limit=NaN", "limits=1", "job=a&job=b"])
def test_a_wrong_query_is_refused(client: Client, desk: FakeDesk, query: str) -> None:
    """X3."""
    assert client.get(f"/ops/schedule/runs?{query}", headers=ADMIN).status_code == 422
    assert desk.calls == []


@pytest.mark.parametrize("name", ["x" * 101, "%00", "%0A"])
def test_what_can_be_no_id_is_not_found(client: Client, desk: FakeDesk, name: str) -> None:
    assert client.post(f"/ops/schedule/{name}/run", headers=ADMIN).status_code == 404
    assert client.get(f"/ops/schedule/runs?job={name}", headers=ADMIN).status_code == 404
    assert desk.calls == []


def test_a_run_is_asked_for_once_under_a_key(client: Client, desk: FakeDesk) -> None:
    """L3."""
    for _ in range(2):
        answer = client.post("/ops/schedule/backup/run", headers={**ADMIN, "Idempotency-Key": "k", "X-Levqor-Actor": "ana"})
        assert (answer.status_code, answer.json()["run_id"]) == (202, 7)
    assert desk.calls == [("run", "backup", "ana")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("no scheduled job has this id"), 404),
        (Conflict("backup is at it already: run 3"), 409),
        (GuardRefused("watchdog is done by the loop"), 409),
        (DatabaseDown("gone"), 503),
    ],
)
def test_a_refusal_says_why(client: Client, desk: FakeDesk, error: Exception, status: int) -> None:
    desk.error = error
    answer = client.post("/ops/schedule/backup/run", headers=ADMIN)
    assert (answer.status_code, answer.json()["detail"]) == (status, str(error))
