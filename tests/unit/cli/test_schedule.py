"""What `schedule list|run|history` say, ask for and answer (spec T3, L1)."""

from typing import Any

import pytest
from tests.fake_service import Answer, Asked, FakeService
from tests.unit.cli.conftest import Run

LAST = {"id": 3, "state": "failed", "started_at": "2026-03-01T02:00:01+00:00", "exit_code": 1}
BACKUP: dict[str, Any] = {
    "id": "backup",
    "trigger": "0 2 * * tue-sun",
    "zone": "UTC",
    "command": "levqor backup create",
    "grace_s": 3_600.0,
    "state": "waiting",
    "off_because": None,
    "next_due_at": "2026-03-03T02:00:00+00:00",
    "last_at": "2026-03-01T02:00:01+00:00",
    "last_run": LAST,
}
OFF = {**BACKUP, "id": "costs-sync", "state": "off", "off_because": "SCHEDULE_OFF", "next_due_at": None, "last_at": None, "last_run": None}
LOOP = {**OFF, "id": "watchdog", "state": "by_loop", "off_because": None, "last_at": "2026-03-01T12:00:00+00:00"}
RUNS = ("GET", "/ops/schedule/runs")
ASK = ("POST", "/ops/schedule/backup/run")


def row(state: str, code: int | None = None, attempt: int = 1) -> dict[str, Any]:
    return {
        "id": 7,
        "job": "backup",
        "due_at": "2026-03-01T12:00:00+00:00",
        "attempt": attempt,
        "asked_by": "ana",
        "state": state,
        "started_at": "2026-03-01T12:00:01+00:00",
        "exit_code": code,
        "output": "a\nb\n",
    }


@pytest.fixture
def schedule(service: FakeService) -> FakeService:
    service.routes[("GET", "/ops/schedule")] = (200, {"jobs": [BACKUP, OFF, LOOP]})
    service.routes[ASK] = (202, {"run_id": 7, "job": "backup", "state": "asked"})
    service.routes[RUNS] = (200, {"runs": [row("done", 0)]})
    return service


def test_the_list_tells_the_next_time_and_how_the_last_run_went(schedule: FakeService, run: Run) -> None:
    ran = run("schedule", "list", "--url", schedule.url)
    assert ran.code == 0
    assert "next 2026-03-03 02:00Z; last 2026-03-01 02:00Z failed" in ran.out
    assert "off: SCHEDULE_OFF" in ran.out
    assert "by the loop, all the time; last check 2026-03-01 12:00Z" in ran.out
    assert run("schedule", "list", "--json", "--url", schedule.url).json["schema"] == 1


def test_a_run_is_asked_for(schedule: FakeService, run: Run) -> None:
    ran = run("schedule", "run", "backup", "--url", schedule.url)
    assert (ran.code, ran.out) == (0, "backup: run 7 is asked for\n")
    assert schedule.acts() == ["POST /ops/schedule/backup/run"]


@pytest.mark.parametrize(("state", "exit_code", "code"), [("done", 0, 0), ("failed", 2, 1), ("timed_out", -9, 1), ("lost", None, 1)])
def test_who_waits_sees_its_end(schedule: FakeService, run: Run, state: str, exit_code: int | None, code: int) -> None:
    looks: list[str] = []

    def runs(_: Asked) -> Answer:
        looks.append("look")
        return 200, {"runs": [row(state, exit_code) if len(looks) > 1 else row("running")]}

    schedule.routes[RUNS] = runs
    ran = run("schedule", "run", "backup", "--wait", "--url", schedule.url)
    assert (ran.code, ran.out.splitlines()[1:]) == (code, ["        a", "        b"])
    assert state in ran.out


def test_who_waits_too_long_is_told_so(schedule: FakeService, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("levqor.cli.schedule.BEGUN_WITHIN_S", 0.02)
    monkeypatch.setattr("levqor.cli.schedule.LOOK_EVERY_S", 0.01)
    schedule.routes[("GET", "/ops/schedule")] = (200, {"jobs": [{**BACKUP, "grace_s": 0.0}]})
    schedule.routes[RUNS] = (200, {"runs": [row("running")]})
    assert run("schedule", "run", "backup", "--wait", "--url", schedule.url).code == 4


def test_a_dry_run_asks_for_nothing(schedule: FakeService, run: Run) -> None:
    ran = run("schedule", "run", "backup", "--dry-run", "--url", schedule.url)
    assert (ran.code, schedule.acts()) == (0, [])
    assert "`levqor backup create`" in ran.out
    assert run("schedule", "run", "backup", "--dry-run", "--json", "--url", schedule.url).json["dry_run"] is True


def test_an_unknown_job_is_1_and_one_that_runs_is_3(schedule: FakeService, run: Run) -> None:
    assert run("schedule", "run", "nope", "--url", schedule.url).code == 1
    schedule.routes[ASK] = (409, {"detail": "backup is at it already: run 3"})
    ran = run("schedule", "run", "backup", "--url", schedule.url)
    assert (ran.code, ran.err) == (3, "levqor: backup is at it already: run 3\n")


def test_history_of_one_job_has_what_it_printed(schedule: FakeService, run: Run) -> None:
    schedule.routes[RUNS] = (200, {"runs": [row("lost", attempt=2)]})
    ran = run("schedule", "history", "backup", "--limit", "5", "--url", schedule.url)
    assert "lost, attempt 2, by ana" in ran.out
    assert "        b" in ran.out
    assert schedule.last(*RUNS).query == {"job": "backup", "limit": "5"}
    assert "        b" not in run("schedule", "history", "--url", schedule.url).out


def test_an_empty_history_says_so(schedule: FakeService, run: Run) -> None:
    schedule.routes[RUNS] = (200, {"runs": []})
    ran = run("schedule", "history", "--url", schedule.url)
    assert (ran.out, ran.err) == ("", "nothing has run yet\n")
