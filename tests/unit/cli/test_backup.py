"""`backup` and the sizes that `doctor` tells: what is said, exit codes, nothing asked where nobody can answer (spec L1)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.documented import ROOT
from tests.unit.cli.conftest import Run

from levqor.agent.premises import Lock
from levqor.bootstrap.database import migrate
from levqor.cli import sizes
from levqor.settings import load


@pytest.fixture(autouse=True)
def migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVQOR_PORT", "1")  # nothing serves there
    (tmp_path / "data").mkdir()
    migrate(load())


def test_without_a_database_there_is_nothing_to_back_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "levqor.db").unlink()
    ended = run("backup", "create")
    assert (ended.code, ended.out) == (1, "")
    assert "there is no database yet" in ended.err


def test_create_list_verify_cycle(run: Run) -> None:
    assert run("backup", "list").err.startswith("there is no backup yet in ")
    assert run("backup", "create", "--dry-run", "--json").json["dry_run"] is True
    assert run("backup", "list", "--json").json["backups"] == []
    made = run("backup", "create", "--json").json
    assert made["schema"] == 1
    assert made["verified"] is None
    assert "not verified yet" in run("backup", "list").out
    verified = run("backup", "verify", "--json")
    assert (verified.code, verified.json["ok"], verified.json["schema"]) == (0, True, 1)
    assert "verified 20" in run("backup", "list").out
    assert "is whole: restored in a scratch place" in run("backup", "cycle").out


def test_verify_of_a_bad_one_is_1_and_of_none_is_1(run: Run, tmp_path: Path) -> None:
    missing = run("backup", "verify", "20200101T000000Z")
    assert (missing.code, missing.out) == (1, "")
    assert "levqor backup list" in missing.err
    name = run("backup", "create", "--json").json["name"]
    (tmp_path / "data" / "backups" / name / "levqor.db-wal").touch()
    ended = run("backup", "verify")
    assert ended.code == 1
    assert "levqor.db-wal does not belong to it" in ended.out
    assert "NOT WHOLE" in run("backup", "list").out


@pytest.mark.parametrize("name", ["../data", "/etc", "", "latest/..", "20260301T120000Z/../x"])
def test_a_name_is_never_a_path(run: Run, name: str) -> None:
    assert run("backup", "verify", name).code == 1


def test_restore_asks_and_without_a_terminal_says_how_to_answer(run: Run) -> None:
    run("backup", "create")
    ended = run("backup", "restore", "latest")
    assert ended.code == 2
    assert "--yes" in ended.err
    planned = run("backup", "restore", "latest", "--dry-run", "--json")
    assert (planned.code, planned.json["restored"], planned.json["in_use"]) == (0, False, None)
    done = run("backup", "restore", "latest", "--yes", "--json")
    assert (done.code, done.json["restored"], done.json["schema"]) == (0, True, 1)
    assert Path(done.json["kept_as"][0]).exists()


def test_restore_is_refused_while_an_agent_holds_the_folder(run: Run, tmp_path: Path) -> None:
    run("backup", "create")
    with Lock(tmp_path / "data" / "levqor.lock"):
        ended = run("backup", "restore", "latest", "--yes")
    assert ended.code == 3
    assert "in use by another levqor" in ended.err


def test_restore_is_refused_while_the_service_answers(run: Run, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run("backup", "create")
    service.routes |= {("GET", "/livez"): (200, {"status": "ok"})}
    monkeypatch.setenv("LEVQOR_PORT", service.url.rpartition(":")[2])
    assert run("backup", "restore", "latest", "--yes").code == 3


def test_the_door_hands_its_options_over(tmp_path: Path) -> None:
    environment = {**os.environ, "LEVQOR_DATA": str(tmp_path / "data")}
    answer = subprocess.run(
        [str(ROOT / "backup_cycle.sh"), "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["ok"] is True


def found(tmp_path: Path) -> dict[str, Any]:
    return dict(sizes.sizes(load().settings))


def test_doctor_tells_sizes_and_the_newest_backup(run: Run, tmp_path: Path) -> None:
    assert found(tmp_path)["backup"] == ("there is none yet", "warn", "`levqor backup cycle`")
    run("backup", "cycle")
    told = found(tmp_path)
    assert {name: state for name, (_, state, _) in told.items()} == dict.fromkeys(told, "ok")
    assert "proven to restore" in told["backup"][0]
    assert "its write-ahead log 0.0 MB" in told["size: database"][0]


def test_doctor_warns_of_what_is_large_late_or_broken(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = run("backup", "create", "--json").json["name"]
    (tmp_path / "data" / "backups" / name).rename(tmp_path / "data" / "backups" / "20200101T020000Z")
    for limit in ("DATABASE_WARN_BYTES", "STORE_WARN_BYTES", "LOGS_WARN_BYTES"):
        monkeypatch.setattr(sizes, limit, -1)
    monkeypatch.setattr(sizes, "BACKUPS_SPARE", -11)
    told = found(tmp_path)
    assert {state for _, state, _ in told.values()} == {"warn"}
    assert all(mend for _, _, mend in told.values())
    assert "days old" in told["backup"][0]
    (tmp_path / "data" / "backups" / "20200101T020000Z" / "manifest.json").unlink()
    assert "not whole" in found(tmp_path)["backup"][0]
    for limit, value in (("LOG_WARN_BYTES", -1), ("FREE_WARN_BYTES", -1)):
        monkeypatch.setattr(sizes, limit, value)
        assert found(tmp_path)["size: database"][1] == "warn"
