"""Backups: what is in one, what a check of it catches, and what stands whatever happens (spec P4, V2)."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from tests.integration.backing_up import Place, drop_aside, fill, notes, place_of, set_revision

from levqor.domain.backups import BackupFailed
from levqor.domain.errors import DatabaseDown, DependencyDown, NotFound
from levqor.monitors.backups import last_backup
from levqor.store.backup_postgresql import SCRATCH, PostgresKeeper
from levqor.store.database import Database, SchemaError, database_url
from levqor.store.postgresql_programs import connection_words, find_programs


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[Place]:
    fill(database)
    yield place_of(database, tmp_path)
    drop_aside(database)


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[Place]:
    database = Database(database_url(None, tmp_path))
    database.migrate()
    fill(database)
    yield place_of(database, tmp_path)
    database.close()


def test_a_backup_is_made_while_others_work_and_proven_to_restore(place: Place) -> None:
    with place.database.write() as connection:
        connection.execute(text("SELECT 1"))  # a writer in the middle of its work
        made = place.desk.create()
    assert made["name"] == "20260301T120000Z"
    assert made["verified"] is None
    report = place.desk.verify()
    assert report["ok"], report
    assert report["how"] == "restored"
    assert report["rows"] == made["rows"] == 4  # three changes and the schema's version
    found = place.desk.latest()
    assert found is not None
    assert (found.name, found.verified, found.how) == (made["name"], True, "restored")
    assert last_backup(place.parts.folder.path) == found


def test_a_backup_is_for_its_owners_eyes_only(place: Place) -> None:
    name = place.desk.create()["name"]
    place.desk.verify()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [place.backup(name), *place.backup(name).iterdir()]}
    assert modes == {name: 0o700, place.parts.keeper.file: 0o600, "flags.json": 0o600, "manifest.json": 0o600, "verified.json": 0o600}


def test_a_copy_of_sqlite_is_one_file_that_any_tool_opens(sqlite_place: Place) -> None:
    name = sqlite_place.desk.create()["name"]
    copy = sqlite_place.backup(name) / "levqor.db"
    with sqlite3.connect(copy) as opened:
        assert opened.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert opened.execute("SELECT count(*) FROM audit").fetchone() == (3,)
    opened.close()
    assert sorted(path.name for path in copy.parent.iterdir()) == ["flags.json", "levqor.db", "manifest.json"]


def test_two_in_one_second_have_two_names_in_their_order(sqlite_place: Place) -> None:
    names = [sqlite_place.desk.create()["name"] for _ in range(3)]
    assert names == ["20260301T120000Z", "20260301T120000Z-2", "20260301T120000Z-3"]
    latest = sqlite_place.desk.latest()
    assert latest is not None
    assert latest.name == names[-1]


def test_without_a_database_none_is_made(tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path))
    with pytest.raises(NotFound, match="no database yet"):
        place_of(database, tmp_path).desk.create()
    assert not (tmp_path / "levqor.db").exists()
    assert place_of(database, tmp_path).desk.verify_newest()["ok"] is False


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def flip_database(place: Place, folder: Path) -> None:
    file = folder / place.parts.keeper.file
    flip(file, file.stat().st_size // 2)


def flip_manifest(place: Place, folder: Path) -> None:
    flip(folder / "manifest.json", (folder / "manifest.json").read_bytes().index(b"audit"))


def flip_flags(place: Place, folder: Path) -> None:
    flip(folder / "flags.json", 3)


def cut(place: Place, folder: Path) -> None:
    file = folder / place.parts.keeper.file
    file.write_bytes(file.read_bytes()[:-100])


def lay_log_beside(place: Place, folder: Path) -> None:
    (folder / f"{place.parts.keeper.file}-wal").write_bytes(b"pages of another day")


def lose_flags(place: Place, folder: Path) -> None:
    (folder / "flags.json").unlink()


def lose_database(place: Place, folder: Path) -> None:
    (folder / place.parts.keeper.file).unlink()


def lose_manifest(place: Place, folder: Path) -> None:
    (folder / "manifest.json").unlink()


HARMS = [
    (flip_database, "checksum differs"),
    (cut, "bytes, its manifest says"),
    (flip_manifest, "altered"),
    (flip_flags, "flags.json is not what was written"),
    (lay_log_beside, "-wal does not belong to it"),
    (lose_flags, "flags.json is missing"),
    (lose_database, "is missing"),
    (lose_manifest, "No such file"),
]


@pytest.mark.parametrize(("harm", "said"), HARMS)
def test_verify_catches(sqlite_place: Place, harm: Callable[[Place, Path], None], said: str) -> None:
    is_caught(sqlite_place, harm, said)


@pytest.mark.parametrize(("harm", "said"), HARMS[:2])
def test_verify_catches_in_either_database(place: Place, harm: Callable[[Place, Path], None], said: str) -> None:
    is_caught(place, harm, said)


def is_caught(place: Place, harm: Callable[[Place, Path], None], said: str) -> None:
    harm(place, place.backup(place.desk.create()["name"]))
    report = place.desk.verify()
    assert report["ok"] is False
    assert said in "; ".join(report["problems"])
    latest = place.desk.latest()
    assert latest is not None
    assert latest.verified is False
    with pytest.raises(BackupFailed, match="nothing was touched"):
        place.restore.plan("latest")
    assert len(notes(place.database)) == 3


def reseal(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter a manifest as one who knows how it is sealed."""
    from levqor.store.manifest import FileFacts, Manifest

    found = Manifest.parse((folder / "manifest.json").read_bytes())
    facts: dict[str, Any] = {"rows": dict(found.rows), "revision": found.revision}
    change(facts)
    files = {name: FileFacts.of(folder / name) for name in found.files}
    (folder / "manifest.json").write_bytes(replace(found, files=files, rows=facts["rows"], revision=facts["revision"]).render())


def test_verify_opens_the_copy_and_does_not_only_trust_checksums(place: Place) -> None:
    """A copy that was never good has the right checksum too."""
    folder = place.backup(place.desk.create()["name"])
    reseal(folder, lambda facts: facts["rows"].update(audit=4))
    assert "other row counts than its manifest says in audit" in place.desk.verify()["problems"]
    file = folder / place.parts.keeper.file
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    reseal(folder, lambda facts: facts["rows"].update(audit=3))
    report = place.desk.verify()
    assert report["ok"] is False
    assert report["problems"]


def test_a_mark_of_another_backup_proves_nothing(sqlite_place: Place) -> None:
    first = sqlite_place.desk.create()["name"]
    sqlite_place.desk.verify()
    sqlite_place.clock.advance(60)
    second = sqlite_place.desk.create()["name"]
    shutil.copy(sqlite_place.backup(first) / "verified.json", sqlite_place.backup(second))
    latest = sqlite_place.desk.latest()
    assert latest is not None
    assert (latest.name, latest.verified) == (second, None)


def test_a_damaged_database_is_not_backed_up_over_good_ones(sqlite_place: Place) -> None:
    sqlite_place.desk.create()
    sqlite_place.database.close()
    path = sqlite_place.folder / "levqor.db"
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 5] = bytes(8192)
    path.write_bytes(bytes(data))
    sqlite_place.clock.advance(60)
    with pytest.raises(BackupFailed):
        sqlite_place.desk.create()
    assert [backup.name for backup in sqlite_place.parts.folder.backups()] == ["20260301T120000Z"]


def test_without_room_nothing_is_begun_and_earlier_ones_stand(sqlite_place: Place) -> None:
    sqlite_place.desk.create()
    sqlite_place.clock.advance(60)
    with pytest.raises(BackupFailed, match=r"not enough room in .*: \d+ MB are needed, 1 MB are free"):
        sqlite_place.with_free(1_000_000).desk.create()
    assert len(sqlite_place.parts.folder.backups()) == 1


def test_the_cycle_makes_proves_and_prunes(sqlite_place: Place) -> None:
    for _ in range(14):
        report = sqlite_place.desk.cycle()
        assert report["ok"], report
        sqlite_place.clock.advance(86_400)
    assert report["kept"] == 9  # seven days, and the last ones of the two weeks before
    assert len(report["deleted"]) == 1
    assert sqlite_place.desk.prune(dry_run=True) == []


def test_a_cycle_that_is_not_proven_deletes_nothing(sqlite_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        sqlite_place.desk.create()
        sqlite_place.clock.advance(86_400)
    keeper: Any = type(sqlite_place.parts.keeper)
    examine = keeper.examine
    monkeypatch.setattr(keeper, "examine", lambda *arguments: replace(examine(*arguments), problems=["torn"]))
    report = sqlite_place.desk.cycle()
    assert (report["ok"], report["deleted"], report["kept"]) == (False, [], 13)


def test_leftovers_of_a_crash_are_swept_and_strangers_are_not(sqlite_place: Place) -> None:
    folder = sqlite_place.parts.folder.path
    (folder / ".unfinished-create").mkdir(parents=True)
    (folder / ".unfinished-create" / "levqor.db").write_bytes(b"half")
    (folder / ".unfinished-check-x").write_bytes(b"half")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "20260101T000000Z.tar").write_text("mine", encoding="utf-8")
    name = sqlite_place.desk.create()["name"]
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "20260101T000000Z.tar", name, "notes.txt"]
    assert [backup.name for backup in sqlite_place.parts.folder.backups()] == [name]


def test_a_backup_newer_than_the_code_is_refused_untouched(place: Place) -> None:
    here = place.database.check()
    set_revision(place.database, "9999")
    name = place.desk.create()["name"]  # a copy can be made of what cannot be read
    set_revision(place.database, here)
    before = {path.name: path.read_bytes() for path in place.backup(name).iterdir()}
    with pytest.raises(SchemaError, match="newer than this Levqor"):
        place.desk.verify()
    with pytest.raises(SchemaError, match="newer than this Levqor"):
        place.restore.plan("latest")
    assert {path.name: path.read_bytes() for path in place.backup(name).iterdir()} == before
    assert len(notes(place.database)) == 3


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_sqlite_file_newer_than_the_code_is_refused_byte_for_byte(sqlite_place: Place, journal: str) -> None:
    set_revision(sqlite_place.database, "9999")
    sqlite_place.database.close()
    path = sqlite_place.folder / "levqor.db"
    with sqlite3.connect(path) as opened:
        opened.execute(f"PRAGMA journal_mode={journal}")
    opened.close()
    before = path.read_bytes()
    database = Database(sqlite_place.database.url)
    with pytest.raises(SchemaError, match="newer"):
        database.migrate()
    database.close()
    assert path.read_bytes() == before
    assert sorted(found.name for found in sqlite_place.folder.glob("levqor.db*")) == ["levqor.db"]


def test_no_password_is_on_a_command_line_or_in_an_error(tmp_path: Path) -> None:
    url = database_url("postgresql://ana:s3cr%40t@127.0.0.1:1/shop?sslmode=disable", tmp_path)
    assert "s3cr" not in connection_words(url)
    assert "sslmode=disable" in connection_words(url)
    keeper = PostgresKeeper(url, {}, place_of(Database(url), tmp_path).clock)
    with pytest.raises(DatabaseDown) as caught:
        keeper.size()
    assert "s3cr" not in str(caught.value)


def fake_programs(folder: Path, version: str) -> str:
    folder.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (folder / name).write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version} (Debian)'\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return str(folder)


def test_programs_are_the_servers_own_version_else_the_nearest_newer(tmp_path: Path) -> None:
    url = make_url("postgresql+psycopg://ana@127.0.0.1/shop")
    places = [fake_programs(tmp_path / name, version) for name, version in (("a", "14.3"), ("b", "17.1"), ("c", "16beta1"), ("d", "16.2"))]
    environment = {"PATH": "/nowhere"}
    assert find_programs(14, url, environment, places).major == 14
    assert find_programs(15, url, environment, places).major == 16
    with pytest.raises(DependencyDown, match="pg_dump 18 or newer is needed, there is only version 17: install postgresql-client-18"):
        find_programs(18, url, environment, places)
    with pytest.raises(DependencyDown, match="none is on PATH"):
        find_programs(15, url, environment, [])


def test_a_server_that_allows_no_scratch_database_has_the_dump_read_to_its_end(postgres_url: str, tmp_path: Path) -> None:
    owner = Database(database_url(postgres_url, tmp_path))
    with owner.write() as connection:
        connection.execute(text("CREATE ROLE plain LOGIN"))
        connection.execute(text("GRANT CREATE ON DATABASE postgres TO plain"))
    plain = Database(owner.url.set(username="plain"))
    try:
        plain.migrate()
        fill(plain)
        place = place_of(plain, tmp_path)
        name = place.desk.create()["name"]
        report = place.desk.verify()
        assert (report["ok"], report["how"], report["rows"]) == (True, "read", 4)
        reseal(place.backup(name), lambda facts: facts["rows"].update(audit=2))
        assert place.desk.verify()["ok"] is False
    finally:
        plain.drop_everything()
        plain.close()
        with owner.write() as connection:
            connection.execute(text("REVOKE CREATE ON DATABASE postgres FROM plain"))
            connection.execute(text("DROP ROLE plain"))
        owner.close()


def test_scratch_databases_go_also_those_that_a_killed_check_left(postgres_url: str, tmp_path: Path) -> None:
    import psycopg

    database = Database(database_url(postgres_url, tmp_path))
    database.migrate()
    place = place_of(database, tmp_path)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for stamp in ("20260301050000", "20260301110000"):  # seven hours and one hour ago
            connection.execute(f"CREATE DATABASE {SCRATCH}{stamp}_ab")
        place.desk.create()
        assert place.desk.verify()["ok"]
        left = [row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{SCRATCH}%",))]
        connection.execute(f"DROP DATABASE {SCRATCH}20260301110000_ab")
    database.drop_everything()
    database.close()
    assert left == [f"{SCRATCH}20260301110000_ab"]


def test_no_secret_is_in_a_backup(sqlite_place: Place) -> None:
    (sqlite_place.folder / "admin_token").write_text("hush-hush-hush", encoding="utf-8")
    (sqlite_place.folder / "jwt_secret").write_text("hush-hush-hush-hush", encoding="utf-8")
    name = sqlite_place.desk.create()["name"]
    assert not any(b"hush" in path.read_bytes() for path in sqlite_place.backup(name).iterdir())
    assert json.loads((sqlite_place.backup(name) / "manifest.json").read_bytes())["files"].keys() == {"flags.json", "levqor.db"}
