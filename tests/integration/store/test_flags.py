"""Flags: the database is the truth, the file its door (spec F1, F3)."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import ManualClock

from levqor.domain.errors import Conflict, UsageError
from levqor.domain.flags import DEFAULTS, FlagsFileState
from levqor.policies.flags import check_flag, merge_flag
from levqor.store.audit import list_changes
from levqor.store.database import Database
from levqor.store.flags import FlagsFile, read_flags, write_flag

NOW = ManualClock().now()


class Door:
    """The file with a database behind it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.path = folder / "config" / "flags.json"
        self.file = FlagsFile(self.path, 1, 4)

    def sync(self) -> FlagsFileState:
        with self.database.write() as connection:
            return self.file.sync(connection, NOW)

    def values(self) -> dict[str, object]:
        with self.database.read() as connection:
            return dict(read_flags(connection))

    def set(self, name: str, value: bool | int) -> None:
        with self.database.write() as connection:
            write_flag(connection, NOW, name, value, "ana")

    def written(self) -> dict[str, object]:
        return dict(json.loads(self.path.read_text(encoding="utf-8")))

    def edit(self, **changes: object) -> None:
        self.path.write_text(json.dumps({**self.written(), **changes}), encoding="utf-8")


@pytest.fixture
def door(database: Database, tmp_path: Path) -> Door:
    return Door(database, tmp_path)


def test_a_missing_file_is_written_anew_with_the_defaults(door: Door) -> None:
    assert door.sync().state == "ok"
    assert door.written() == dict(DEFAULTS)
    door.path.unlink()
    door.set("WORKER_COUNT", 3)
    door.sync()
    assert door.written()["WORKER_COUNT"] == 3


def test_an_edit_is_imported_as_an_audited_change(door: Door) -> None:
    door.sync()
    door.edit(AUTOSCALE_ENABLED=True, WORKER_COUNT=4)
    door.sync()
    assert door.values()["AUTOSCALE_ENABLED"] is True
    assert door.values()["WORKER_COUNT"] == 4
    with door.database.read() as connection:
        changes = list_changes(connection, 10)
    assert {(row["actor"], row["what"]) for row in changes} == {
        ("flags file", "flag AUTOSCALE_ENABLED"),
        ("flags file", "flag WORKER_COUNT"),
    }


def test_a_change_in_the_database_is_written_and_unknown_keys_are_kept(door: Door) -> None:
    door.sync()
    door.edit(TEAM_NOTE="ours", NESTED={"a": [1]})
    door.sync()
    door.set("AUTOSCALE_ENABLED", True)
    door.sync()
    assert door.written() == {**DEFAULTS, "AUTOSCALE_ENABLED": True, "TEAM_NOTE": "ours", "NESTED": {"a": [1]}}


def test_off_beats_on_when_both_changed(door: Door) -> None:
    door.sync()
    door.set("AUTOSCALE_ENABLED", True)
    door.sync()
    door.edit(AUTOSCALE_ENABLED=False)
    door.set("INCIDENT_AUTORECOVER", True)
    door.sync()
    assert (door.values()["AUTOSCALE_ENABLED"], door.values()["INCIDENT_AUTORECOVER"]) == (False, True)


def test_a_key_that_is_absent_has_its_default(door: Door) -> None:
    door.path.parent.mkdir()
    door.path.write_text('{"AUTOSCALE_ENABLED": true}', encoding="utf-8")
    door.sync()
    assert door.values() == {**DEFAULTS, "AUTOSCALE_ENABLED": True}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"WORKER_COUNT": 3, "AUTOSC', id="half-written"),
        pytest.param("[1]", id="not an object"),
        pytest.param('{"WORKER_COUNT": "3"}', id="a string"),
        pytest.param('{"WORKER_COUNT": true}', id="true is no count"),
        pytest.param('{"WORKER_COUNT": 2.5}', id="a fraction"),
        pytest.param('{"WORKER_COUNT": 5}', id="above the maximum"),
        pytest.param('{"WORKER_COUNT": 0}', id="below the minimum"),
        pytest.param('{"AUTOSCALE_ENABLED": 1}', id="1 is not true"),
        pytest.param('{"WORKER_COUNT": NaN}', id="not a number"),
        pytest.param("[" * 50_000, id="nested too deep"),
        pytest.param('{"A": "' + "x" * 70_000 + '"}', id="too large"),
        pytest.param("\udcff", id="not text"),
    ],
)
def test_a_broken_file_leaves_the_last_good_values_and_is_not_touched(door: Door, text: str) -> None:
    door.sync()
    door.set("AUTOSCALE_ENABLED", True)
    door.sync()
    door.path.write_text(text, encoding="utf-8", errors="surrogateescape")
    state = door.sync()
    assert state.state == "broken"
    assert state.error
    assert door.values() == {**DEFAULTS, "AUTOSCALE_ENABLED": True}
    assert door.path.read_text(encoding="utf-8", errors="surrogateescape") == text
    assert door.file.look().is_broken


def test_a_file_that_cannot_be_written_is_said_to_be_broken(database: Database, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file where a folder should be", encoding="utf-8")
    state = Door(database, tmp_path).sync()
    assert state.is_broken


def test_a_count_that_narrower_bounds_made_too_high_moves_to_the_nearest(door: Door) -> None:
    door.sync()
    door.edit(WORKER_COUNT=4)
    door.sync()
    door.file = FlagsFile(door.path, 1, 3)
    assert door.sync().state == "ok"
    assert door.values()["WORKER_COUNT"] == 3
    assert door.written()["WORKER_COUNT"] == 3


def test_no_temporary_file_is_left(door: Door) -> None:
    for count in (1, 2, 3, 4):
        door.set("WORKER_COUNT", count)
        door.sync()
    assert [path.name for path in door.path.parent.iterdir()] == ["flags.json"]


def test_a_write_that_expects_an_older_value_is_refused(door: Door) -> None:
    door.set("WORKER_COUNT", 3)
    with pytest.raises(Conflict), door.database.write() as connection:
        write_flag(connection, NOW, "WORKER_COUNT", 4, "autoscale", expected=2)
    assert door.values()["WORKER_COUNT"] == 3


def test_a_flag_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no such flag"):
        check_flag("WORKERS", 3, 1, 4)


@given(file=st.booleans(), synced=st.none() | st.booleans(), database=st.booleans())
def test_a_switch_is_on_only_if_nobody_turned_it_off(file: bool, synced: bool | None, database: bool) -> None:
    merged = merge_flag(file, synced, database)
    if synced is not None and file == database:
        assert merged is file
    if synced is True and not (file and database):
        assert merged is False
    if synced is False and file != database:
        assert merged is True, "only one side changed, and it turned the switch on"
