"""The way back: older schemas, both databases, what is replaced is kept, and refusals that touch nothing."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, make_url, select, text
from tests.integration.backing_up import FLAGS, Place, drop_aside, fill, named, notes, place_of

from levqor.domain.backups import BackupFailed
from levqor.domain.errors import GuardRefused
from levqor.monitors.restore import Restore
from levqor.store.audit import list_changes
from levqor.store.backup_postgresql import PostgresKeeper
from levqor.store.backup_sqlite import TERMS_AHEAD
from levqor.store.database import Database, database_url, known_revisions
from levqor.store.leases import Lease
from levqor.store.schema import SCHEMA, leases

MARK = "before-restore-20260301T120000Z"


@pytest.fixture(scope="module")
def own_url(postgres_url: str) -> Iterator[str]:
    """A database in which no other test has left a connection open."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE levqor_restores")
        yield make_url(postgres_url).set(database="levqor_restores").render_as_string(hide_password=False)
        connection.execute("DROP DATABASE levqor_restores WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = None if request.param == "sqlite" else request.getfixturevalue("own_url")
    opened = Database(database_url(url, tmp_path))
    opened.migrate()
    yield opened
    opened.drop_everything()
    opened.close()


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[Place]:
    fill(database)
    yield place_of(database, tmp_path)
    drop_aside(database)


def spoil(place: Place) -> None:
    """What happened after the backup and is to be undone."""
    with place.database.write() as connection:
        connection.execute(text(f"DELETE FROM {named(place.database, 'audit')}"))
    place.parts.flags.write_text('{"AUTOSCALE_ENABLED": false, "WORKER_COUNT": 1, "THEIRS": 1}\n', encoding="utf-8")
    place.database.close()  # the service ends


def test_everything_is_as_it_was_and_what_was_replaced_is_kept(place: Place) -> None:
    place.desk.create()
    spoil(place)
    plan = place.restore.plan("latest")
    assert plan["flags"] == {"AUTOSCALE_ENABLED": [False, True], "THEIRS": [1, None], "WORKER_COUNT": [1, 3]}
    assert notes(place.database) == []
    place.database.close()
    done = place.restore.run(plan, "ana")
    assert len(notes(place.database)) == 3
    assert notes(place.database)[0] == ("change 0", "A line\nof two, with a tab\tand a \\. of its own")
    assert place.parts.flags.read_text(encoding="utf-8") == FLAGS
    assert json.loads(Path(f"{place.parts.flags}.{MARK}").read_bytes())["WORKER_COUNT"] == 1
    assert done["kept_as"] == plan["kept_as"]
    with place.database.read() as connection:
        assert [change["what"] for change in list_changes(connection, 1)] == ["restore"]
        if not place.database.is_sqlite:
            kept = connection.execute(text(f"SELECT count(*) FROM {done['kept_as'][0]}.audit")).scalar_one()
            assert (done["kept_as"][0], kept) == (f"{SCHEMA}_before_restore_20260301t120000z", 0)
    if place.database.is_sqlite:
        with sqlite3.connect(done["kept_as"][0]) as kept_file:
            assert kept_file.execute("SELECT count(*) FROM audit").fetchone() == (0,)
        kept_file.close()


def test_a_plan_changes_nothing(place: Place) -> None:
    place.desk.create()
    spoil(place)
    flags = place.parts.flags.read_bytes()
    assert place.restore.plan("latest")["in_use"] is None
    assert notes(place.database) == []
    assert place.parts.flags.read_bytes() == flags


def test_flags_stay_where_they_are_to_be_kept(place: Place) -> None:
    place.desk.create()
    spoil(place)
    place.restored(keep_flags=True)
    assert json.loads(place.parts.flags.read_bytes())["WORKER_COUNT"] == 1


def test_while_a_connection_is_open_it_is_refused(place: Place) -> None:
    place.desk.create()
    with place.database.read() as connection:
        connection.execute(text("SELECT 1"))
        plan = place.restore.plan("latest")
        with pytest.raises(GuardRefused, match="open"):
            place.restore.run(plan, "ana")
    assert len(notes(place.database)) == 3


def test_while_a_leader_renews_its_lease_it_is_refused_and_no_longer(place: Place) -> None:
    """Between two looks of an autopilot on another machine no connection need be open."""
    place.desk.create()
    elsewhere = Database(place.database.url)
    other = Lease(elsewhere, place.clock, "elsewhere/boot/1/1")
    assert other.attempt()

    class Alive(Restore):
        def _who_works(self) -> str | None:
            return self._leader()

    class Beating:
        """Time passes, and each look at it finds the lease renewed."""

        def now(self) -> Any:
            return place.clock.now()

        def monotonic(self) -> float:
            place.clock.advance(1.0)
            other.attempt()
            return place.clock.monotonic()

    beating = place.parts.__class__(**{**{name: getattr(place.parts, name) for name in place.parts.__slots__}, "clock": Beating()})
    place.database.close()
    elsewhere.close()
    watched = Alive(place.desk, beating, lambda _holder: False, lambda: Database(place.database.url))
    assert "an autopilot (elsewhere) leads" in str(watched.plan("latest")["in_use"])
    elsewhere.close()
    gone = Alive(place.desk, place.parts, lambda _holder: True, lambda: Database(place.database.url))
    assert gone.plan("latest")["in_use"] is None


def test_the_next_leader_begins_beyond_every_term_that_the_store_may_have_seen(place: Place) -> None:
    """The store refuses a target of an older term than it knows; the backup knows only old ones."""
    with place.database.write() as connection:
        connection.execute(insert(leases).values(name="autopilot", holder="a/b/1/1", term=7, beat=1))
    place.desk.create()
    with place.database.write() as connection:
        connection.execute(leases.update().values(term=90))
    spoil(place)
    place.restored()
    with place.database.read() as connection:
        row = connection.execute(select(leases)).one()
    assert (row.holder, row.term) == (None, 90 + TERMS_AHEAD)


@pytest.mark.parametrize("revision", known_revisions()[:-1])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_of_every_older_schema_restores_and_migrates(
    kind: str, revision: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = database_url(None if kind == "sqlite" else request.getfixturevalue("own_url"), tmp_path)
    database = Database(url)
    database.migrate(revision)
    fill(database)
    place = place_of(database, tmp_path)
    name = place.desk.create()["name"]
    database.migrate()
    spoil(place)
    done = place.restored(name)
    try:
        assert done["revision"] == revision
        assert database.check() == known_revisions()[-1]
        assert len(notes(database)) == 3
        latest = place.desk.latest()
        assert latest is not None
        assert latest.verified is True
    finally:
        drop_aside(database)
        database.drop_everything()
        database.close()


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Place]:
    database = Database(database_url(None, tmp_path))
    database.migrate()
    fill(database)
    yield place_of(database, tmp_path)
    database.close()


def test_the_old_log_is_not_replayed_into_what_was_restored(sqlite_place: Place) -> None:
    """A process that was killed leaves its write-ahead log behind."""
    sqlite_place.desk.create()
    path = sqlite_place.folder / "levqor.db"
    with sqlite_place.database.write() as connection:
        connection.execute(text("UPDATE audit SET what = 'change after'"))
        log = Path(f"{path}-wal").read_bytes()
    assert log
    log = Path(f"{path}-wal").read_bytes()
    sqlite_place.database.close()
    Path(f"{path}-wal").write_bytes(log)
    done = sqlite_place.restored()
    assert sorted(found.name for found in sqlite_place.folder.glob("levqor.db*")) == ["levqor.db", f"levqor.db.{MARK}"]
    assert [what for what, _ in notes(sqlite_place.database)] == ["change 0", "change 1", "change 2"]
    with sqlite3.connect(done["kept_as"][0]) as kept:
        assert kept.execute("SELECT DISTINCT what FROM audit").fetchall() == [("change after",)]
    kept.close()


def test_a_damaged_database_is_replaced_and_kept_with_its_log(sqlite_place: Place) -> None:
    sqlite_place.desk.create()
    sqlite_place.database.close()
    path = sqlite_place.folder / "levqor.db"
    path.write_bytes(b"no database at all" * 300)
    Path(f"{path}-wal").write_bytes(b"its log")
    sqlite_place.restored()
    assert len(notes(sqlite_place.database)) == 3
    assert Path(f"{path}.{MARK}").read_bytes().startswith(b"no database at all")
    assert Path(f"{path}.{MARK}-wal").read_bytes() == b"its log"


def test_onto_a_new_machine(sqlite_place: Place) -> None:
    sqlite_place.desk.create()
    sqlite_place.database.close()
    (sqlite_place.folder / "levqor.db").unlink()
    sqlite_place.parts.flags.unlink()
    done = sqlite_place.restored()
    assert done["kept_as"] == []
    assert len(notes(sqlite_place.database)) == 3
    assert sqlite_place.parts.flags.read_text(encoding="utf-8") == FLAGS


def test_onto_a_server_that_has_no_schema_yet(own_url: str, tmp_path: Path) -> None:
    database = Database(database_url(own_url, tmp_path))
    database.migrate()
    fill(database)
    place = place_of(database, tmp_path)
    place.desk.create()
    database.drop_everything()
    database.close()
    assert place.restored()["kept_as"] == [f"{place.parts.flags}.{MARK}"]
    assert len(notes(database)) == 3
    database.drop_everything()
    database.close()


def test_a_restore_that_fails_on_the_server_leaves_everything_as_it_was(own_url: str, tmp_path: Path, monkeypatch: Any) -> None:
    from levqor.store import backup_postgresql

    database = Database(database_url(own_url, tmp_path))
    database.migrate()
    fill(database)
    place = place_of(database, tmp_path)
    place.desk.create()
    plan = place.restore.plan("latest")
    spoil(place)
    monkeypatch.setattr(backup_postgresql, "TERMS_AHEAD", "1 / 0")  # the last statement of the script fails
    with pytest.raises(BackupFailed, match="division by zero"):
        place.restore.run(plan, "ana")
    assert notes(database) == []  # what spoil left, and no half of the backup
    with database.read() as connection:
        assert not connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'levqor_before%'")).all()
    database.close()
    dump = place.backup(plan["name"]) / "levqor.dump"
    dump.write_bytes(dump.read_bytes()[:-2000])  # pg_restore ends in the midst of it
    monkeypatch.undo()
    with pytest.raises(BackupFailed, match="pg_restore"):
        place.restore.run(plan, "ana")
    assert notes(database) == []
    database.drop_everything()
    database.close()


def test_a_backup_of_the_other_kind_of_database_is_refused(sqlite_place: Place, tmp_path: Path) -> None:
    sqlite_place.desk.create()
    keeper = PostgresKeeper(database_url("postgresql://ana@127.0.0.1:1/shop", tmp_path), {}, sqlite_place.clock)
    other = replace(sqlite_place, parts=replace(sqlite_place.parts, keeper=keeper))
    with pytest.raises(BackupFailed, match="is of a sqlite database"):
        other.desk.open("latest")
    with pytest.raises(BackupFailed, match="cannot be restored here"):
        other.desk.verify()


def test_killed_between_keeping_and_replacing_there_is_a_database(sqlite_place: Place, monkeypatch: Any) -> None:
    """At every moment a whole database is in its place."""
    sqlite_place.desk.create()
    plan = sqlite_place.restore.plan("latest")
    sqlite_place.database.close()
    replaced = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if target.name == "levqor.db":
            raise KeyboardInterrupt
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        sqlite_place.restore.run(plan, "ana")
    monkeypatch.undo()
    assert len(notes(sqlite_place.database)) == 3
