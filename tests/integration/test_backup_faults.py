"""Killed at any moment, or with a full disk: earlier backups stand, and nothing partial has a final name."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.backing_up import Place, fill, place_of

from levqor.domain.errors import GuardRefused
from levqor.store import backups as store_backups
from levqor.store.database import Database, database_url

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    database = Database(database_url(None, tmp_path))
    database.migrate()
    fill(database, rows=200)
    database.close()
    yield place_of(database, tmp_path)
    database.close()


def begin(place: Place, what: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.integration.backup_process", str(place.folder), what]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def is_sound(place: Place) -> None:
    """Whatever has a final name is whole, down to its row counts."""
    for backup in place.parts.folder.backups():
        report = place.desk.verify(backup.name)
        assert report["ok"], report


def test_killed_at_random_moments_every_backup_with_a_name_is_whole(place: Place) -> None:
    dice, pause = random.Random(6), threading.Event()
    place.desk.create()
    saw_unfinished = False
    for _ in range(5):
        with begin(place, "loop") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            pause.wait(dice.uniform(0.0, 0.3))
            os.kill(process.pid, signal.SIGKILL)
        saw_unfinished |= any(place.parts.folder.path.glob(".unfinished-*"))
        assert place.parts.folder.backups()
        is_sound(place)
        assert not list(place.parts.folder.path.glob(".unfinished-*"))
    assert saw_unfinished, "no kill came in the midst of anything: this test proved nothing"


def test_on_a_full_disk_it_says_so_and_the_earlier_one_stands(place: Place) -> None:
    name = place.desk.create()["name"]
    with begin(place, "full") as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 1
    assert "full" in said or "I/O" in said or "large" in said
    assert [backup.name for backup in place.parts.folder.backups()] == [name]
    assert not list(place.parts.folder.path.glob(".unfinished-*"))
    is_sound(place)


def test_one_command_at_a_time_works_in_the_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_backups, "_LOCK_WAIT_S", 0.2)
    with place.parts.folder.locked(), pytest.raises(GuardRefused, match="another backup command"):
        place.desk.create()
    place.desk.create()


def test_a_removal_that_is_killed_leaves_no_half_under_its_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    name = place.desk.create()["name"]

    def dies(_path: Path) -> None:
        raise KeyboardInterrupt

    with place.parts.folder.locked():
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "rmtree", dies)
            with pytest.raises(KeyboardInterrupt):
                place.parts.folder.remove(name)
        assert place.parts.folder.backups() == []
    with place.parts.folder.locked():
        assert not list(place.parts.folder.path.glob(".unfinished-*"))
