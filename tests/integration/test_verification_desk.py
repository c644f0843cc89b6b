"""Verifications as they are begun, kept and shown, and what the integrity checks find in a database (spec V2)."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from tests.clock import ManualClock
from tests.waiting import eventually

from levqor.domain.schedule import Ended
from levqor.host import SystemClock
from levqor.monitors.verification import RUNS_AT_MOST_S, VerifyDesk
from levqor.store import schema
from levqor.store.database import Database
from levqor.store.integrity import engine_problems, row_problems
from levqor.store.verifications import KEEP, VerificationState, begin_verification, end_verification, purge_verifications
from levqor.verify.checks import NotApplicable, NotAsExpected
from levqor.verify.integrity import Premises, integrity
from levqor.verify.logs import continuity, whole_lines


class Process:
    """A run that goes on until a test ends it."""

    identity = "nobody"

    def __init__(self) -> None:
        self.over = threading.Event()
        self.stopped = threading.Event()
        self.how = Ended(0, "")

    def ended(self) -> Ended | None:
        return self.how if self.over.is_set() else None

    def stop(self) -> None:
        self.stopped.set()


class Runner:
    """Begins such runs, and notes with which words."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, ...]] = []
        self.process = Process()

    def start(self, words: Sequence[str], grace_s: float) -> Process:
        self.begun.append(tuple(words))
        return self.process


def written(database: Database, number: int, state: VerificationState, report: dict[str, Any]) -> None:
    """What the process does before it ends."""
    with database.write() as connection:
        assert end_verification(connection, number, state, report)


def test_a_second_call_joins_the_run_that_goes_on_and_both_hear_how_it_ended(database: Database) -> None:
    """V2: one click more begins nothing more."""
    runner, clock = Runner(), SystemClock()
    desk, other = VerifyDesk(database, clock, runner), VerifyDesk(database, clock, Runner())
    is_over, begun = desk.start("ada", 0)
    assert (is_over, begun["state"], begun["ok"], begun["actor"]) == (False, "running", None, "ada")
    assert other.start("bob", 0)[1]["id"] == begun["id"]
    assert runner.begun == [("verify", "--suite", "integrity", "--json", "--record", str(begun["id"]))]
    assert desk.latest()["state"] == "never"
    assert desk.latest()["running"]["actor"] == "ada"
    written(database, begun["id"], VerificationState.PASSED, {"ok": True})
    runner.process.over.set()
    latest = other.latest()
    assert (latest["ok"], latest["report"], latest["running"]) == (True, {"ok": True}, None)
    assert other.start("bob", 0)[1]["id"] != begun["id"]
    desk.close()
    other.close()


def test_of_many_who_ask_at_once_one_begins(database: Database) -> None:
    """V2: from as many web processes."""
    runner, gate = Runner(), threading.Barrier(5)
    desks = [VerifyDesk(database, SystemClock(), runner) for _ in range(5)]

    def ask(desk: VerifyDesk) -> int:
        gate.wait(10)
        return int(desk.start("ada", 0)[1]["id"])

    with ThreadPoolExecutor(5) as pool:
        numbers = list(pool.map(ask, desks))
    assert len(set(numbers)) == 1
    assert eventually(lambda: len(runner.begun) == 1)
    for desk in desks:
        desk.close()


def test_a_run_that_leaves_no_report_is_broken_and_says_why(database: Database) -> None:
    """V2: no report is not a pass."""
    runner = Runner()
    desk = VerifyDesk(database, SystemClock(), runner)
    runner.process.how = Ended(2, "levqor: wrong settings\n")
    runner.process.over.set()
    is_over, answer = desk.start("ada", 20)
    assert (is_over, answer["state"], answer["ok"]) == (True, "broken", False)
    assert answer["report"] == {"error": "it ended with exit code 2 and without a report: levqor: wrong settings"}
    desk.close()


def test_a_web_process_that_ends_ends_its_run(database: Database) -> None:
    runner = Runner()
    desk = VerifyDesk(database, SystemClock(), runner)
    desk.start("ada", 0)
    desk.close()
    assert runner.process.stopped.is_set()
    assert eventually(lambda: desk.latest()["state"] == "broken")


def test_a_run_whose_process_died_with_everything_else_blocks_no_other_for_ever(database: Database) -> None:
    """P1: after the longest that one may take."""
    clock, runner = ManualClock(), Runner()
    with database.write() as connection:
        lost = begin_verification(connection, clock.now(), "integrity", "ada")
    desk = VerifyDesk(database, clock, runner)
    clock.advance(RUNS_AT_MOST_S - 1)
    assert desk.latest()["running"]["id"] == lost
    clock.advance(2)
    assert desk.latest()["running"] is None
    desk.close()


def test_reports_are_kept_for_90_days(database: Database) -> None:
    """P5."""
    clock = ManualClock()
    desk = VerifyDesk(database, clock, Runner())
    with database.write() as connection:
        number = begin_verification(connection, clock.now(), "all", "ada")
        end_verification(connection, number, VerificationState.FAILED, {"ok": False})
        purge_verifications(connection, clock.now() + KEEP)
    assert (desk.latest()["id"], desk.latest()["ok"]) == (number, False)
    with database.write() as connection:
        purge_verifications(connection, clock.now() + KEEP + timedelta(seconds=1))
    assert desk.latest()["state"] == "never"


def test_a_sound_database_has_no_problems_and_contradicting_rows_are_counted(database: Database) -> None:
    """V2."""
    assert (engine_problems(database), row_problems(database)) == ([], [])
    now, day = ManualClock().now(), date(2026, 2, 28)
    unfit = {"day": day, "dau": 9, "wau": 2, "mau": 3, "mau_complete": True, "zone": "UTC", "computed_at": now}
    delivery = {"alert_id": 99, "channel": "x", "state": "sent", "attempts": 1, "due_in_s": 0.0}
    with database.write() as connection:
        connection.execute(insert(schema.activity), [{"day": day, "user_id": 7}, {"day": day, "user_id": 8}])
        connection.execute(insert(schema.analytics_aggregates).values(**unfit))
        connection.execute(insert(schema.alert_deliveries).values(**delivery))
        connection.execute(insert(schema.timers).values(name="x", accrued_s=-1.0, updated_at=now))
    assert row_problems(database) == [
        "1 deliveries without an alert",
        "2 active days of nobody",
        "1 days whose counts do not fit into one another",
        "1 timers below zero",
    ]


def look(premises: Premises, check: str, *, is_local: bool = True) -> str:
    found = {one.id: one for stage in integrity(premises, is_local=is_local) for one in stage.checks}
    return found[check].look()


def premises(database: Database, folder: Path, **more: Any) -> Premises:
    return Premises(**{"database": database, "logs": folder, "clock": SystemClock(), "verify_backup": None, "schedule_gaps": None, **more})


NO_BACKUP = {"ok": False, "name": None, "problems": ["there is none"]}
GOOD_BACKUP = {"ok": True, "name": "20260301T020000Z", "how": "restored", "rows": 7, "problems": []}


def test_the_newest_backup_must_be_good_and_be_there_once_one_was_due(database: Database, tmp_path: Path) -> None:
    """V2."""
    assert look(premises(database, tmp_path, verify_backup=lambda: GOOD_BACKUP), "backup") == "20260301T020000Z restored, 7 rows"
    with pytest.raises(NotAsExpected, match="rows differ"):
        look(premises(database, tmp_path, verify_backup=lambda: {**GOOD_BACKUP, "ok": False, "problems": ["rows differ"]}), "backup")
    without = premises(database, tmp_path, verify_backup=lambda: NO_BACKUP)
    with pytest.raises(NotApplicable, match="no backup yet"):
        look(without, "backup")
    now = ManualClock().now()
    run = {"job": "backup", "due_key": "k", "attempt": 1, "due_at": now, "asked_by": "schedule", "state": "failed", "started_at": now}
    with database.write() as connection:
        connection.execute(insert(schema.schedule_runs).values(**run))
    with pytest.raises(NotAsExpected, match="no backup, although the schedule has run them"):
        look(without, "backup")


def test_a_due_time_of_which_nothing_is_known_is_named(database: Database, tmp_path: Path) -> None:
    """V2."""
    assert look(premises(database, tmp_path, schedule_gaps=lambda: (3, [])), "schedule_gaps") == "3 due times, all accounted for"
    with pytest.raises(NotAsExpected, match="nothing is known of backup due 02:00"):
        look(premises(database, tmp_path, schedule_gaps=lambda: (3, ["backup due 02:00"])), "schedule_gaps")


def logged(folder: Path, name: str, *lines: object) -> None:
    text = "".join((line if isinstance(line, str) else json.dumps(line) + "\n") for line in lines)
    (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        pytest.param("incidents.log", [{"at": "x"}, '{"at": "half\n', {"at": "y"}], id="torn in the midst"),
        pytest.param("incidents.log.1", [{"at": "x"}, '{"at": "no end"}'], id="torn at its end"),
        pytest.param("control.log", ['{"a": 1}{"b": 2}\n'], id="two in one"),
        pytest.param("agent.log", ["\x00\x00\x00\n"], id="zeros"),
        pytest.param("control.log", ["[1]\n"], id="no object"),
    ],
)
def test_a_torn_line_is_found_with_its_place(tmp_path: Path, name: str, lines: list[object]) -> None:
    """V2."""
    logged(tmp_path, "control.log" if name != "control.log" else "agent.log", {"event": "fine"})
    logged(tmp_path, name, *lines)
    with pytest.raises(NotAsExpected, match=rf"^{name}, line \d is torn"):
        whole_lines(tmp_path)


def test_a_recovery_that_the_database_knows_and_the_log_does_not_is_a_gap(database: Database, tmp_path: Path) -> None:
    """V2, I7: on one host; with PostgreSQL another host may hold the line."""
    clock = ManualClock()
    start = clock.now()
    recovery = {"incident_id": 1, "actor": "ada", "is_automatic": False, "state": "verifying", "plan": {}}
    times = [start + timedelta(minutes=number) for number in (1, 2, 3)]
    with database.write() as connection:
        connection.execute(insert(schema.recoveries), [{**recovery, "started_at": at, "ended_at": at} for at in times])
    clock.advance(3_600)
    told = [{"at": at.isoformat(), "recovery_id": number} for number, at in enumerate(times, 1)]
    logged(tmp_path, "incidents.log.1", {"at": start.isoformat(), "dry_run": True}, told[0])
    logged(tmp_path, "incidents.log", told[1], told[2])
    assert continuity(tmp_path, database, clock.now()) == "4 lines, 3 recoveries in 7 days"
    logged(tmp_path, "incidents.log", told[2])
    if database.is_sqlite:
        with pytest.raises(NotAsExpected, match=r"1 recoveries of the database are not in incidents.log: 2$"):
            continuity(tmp_path, database, clock.now())
    else:
        with pytest.raises(NotApplicable, match="other hosts have their own"):
            continuity(tmp_path, database, clock.now())
    logged(tmp_path, "incidents.log.1", {"at": (times[1] + timedelta(seconds=1)).isoformat()})
    assert (
        continuity(tmp_path, database, clock.now()) == "2 lines, 3 recoveries in 7 days"
    )  # what was before its beginning was kept long enough


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    """V2: a page of an index that says something else than its table."""
    from levqor.store.database import database_url

    database = Database(database_url(None, tmp_path))
    database.migrate()
    with database.write() as connection:
        rows = [{"job": f"job-{number}", "due_key": "k" * 60, "attempt": 1} for number in range(400)]
        more = {"due_at": ManualClock().now(), "asked_by": "schedule", "state": "done"}
        connection.execute(insert(schema.schedule_runs), [{**row, **more} for row in rows])
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    content = (tmp_path / "levqor.db").read_bytes()
    (tmp_path / "levqor.db").write_bytes(content.replace(b"job-123k", b"job-321k"))
    assert content != (tmp_path / "levqor.db").read_bytes()
    database = Database(database_url(None, tmp_path))
    assert engine_problems(database) != []
    database.close()
