"""Signing in over a real database: two processes, activity, and who is in the audit log (spec R1, X2)."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.clock import ManualClock
from tests.unit.web.client import Client
from tests.unit.web.fakes import TOKEN, FakeOperations, installation

from levqor.domain.errors import DatabaseDown, LevqorError, UsageError
from levqor.domain.retention import Event, Mark, Recorded
from levqor.monitors.retention import RetentionDesk
from levqor.monitors.sign_ins import SignIns
from levqor.store.audit import list_changes, record_change
from levqor.store.database import Database
from levqor.store.sessions import Sessions

SECRET = "a-secret-of-32-bytes-or-so-000000"
SESSION = "/auth/session"


class AuditingOperations(FakeOperations):
    """Writes the change of a flag down, as the real one does."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        super().__init__()
        self._database, self._clock = database, clock

    def set_flag(self, name: str, value: object, actor: str) -> dict[str, Any]:
        with self._database.write() as connection:
            record_change(connection, self._clock.now(), actor, name, None, value)
        return {name: value}


class Processes:
    """Web processes of one installation, each an app of its own over one database."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock = database, ManualClock()
        self.retention = RetentionDesk(database, self.clock, ZoneInfo("UTC"))

    def one(self, **settings: Any) -> Client:
        given = installation(**{"jwt_secret": SECRET, **settings})
        sign_ins = SignIns(Sessions(self.database, self.clock, timedelta(hours=12)), self.retention, self.clock)
        operations: Any = AuditingOperations(self.database, self.clock)
        return Client(replace(given, services=replace(given.services, sign_ins=sign_ins, operations=operations)))


@pytest.fixture
def processes(database: Database) -> Processes:
    return Processes(database)


def signed_in(ask: Client, name: str = "mia", token: str = TOKEN) -> dict[str, str]:
    answer = ask.post(SESSION, json={"token": token, "name": name})
    assert answer.status_code == 200, answer.text
    return {
        "Cookie": answer.headers["set-cookie"].partition(";")[0],
        "X-CSRF-Token": answer.json()["csrf"],
        "Origin": "http://localhost:8000",
    }


def test_a_session_counts_in_every_process_and_ends_in_all(processes: Processes) -> None:
    one, other = processes.one(), processes.one()
    headers = signed_in(one)
    assert other.get("/ops/audit", headers=headers).status_code == 200
    assert other("DELETE", SESSION, headers=headers).status_code == 204
    assert one.get("/ops/audit", headers=headers).status_code == 401


@pytest.mark.parametrize("changed", [{"admin_token": "another-token-1"}, {"jwt_secret": "another-secret-of-32-bytes-00000"}])
def test_a_changed_token_or_secret_ends_every_session(processes: Processes, changed: dict[str, str]) -> None:
    headers = signed_in(processes.one())
    assert processes.one().get("/ops/audit", headers=headers).status_code == 200, "a restart alone ends none"
    assert processes.one(**changed).get("/ops/audit", headers=headers).status_code == 401


def test_a_change_is_audited_in_the_name_of_who_is_signed_in(processes: Processes) -> None:
    ask = processes.one()
    headers = signed_in(ask, "Mia Lönn")
    assert ask("PUT", "/ops/flags/AUTOSCALE_ENABLED", json={"value": True}, headers=headers).status_code == 200
    with processes.database.read() as connection:
        assert list_changes(connection, 1)[0]["actor"] == "Mia Lönn"


def test_a_sign_in_is_activity_once_a_day(processes: Processes) -> None:
    """R1: Levqor's own sign-ins count."""
    ask = processes.one()
    for name in ("mia", "mia", "jo"):
        signed_in(ask, name)
    today = processes.retention.retention(1)["today"]
    assert (today["dau"], today["is_recorded"]) == (2, True)
    assert processes.retention.user("levqor:mia")["first_day"] == "2026-03-01"


@pytest.mark.parametrize("error", [DatabaseDown("locked"), UsageError("the installation's zone is another")])
def test_that_it_cannot_be_counted_turns_nobody_away(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, error: LevqorError, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: RetentionDesk, _events: list[Event], _mark: Mark | None = None) -> Recorded:
        raise error

    monkeypatch.setattr(RetentionDesk, "record", refuse)
    with caplog.at_level(logging.WARNING):
        headers = signed_in(processes.one())
    assert processes.one().get("/ops/audit", headers=headers).status_code == 200
