"""The verbs against the real service: store, control plane and workers as `levqor up` starts them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import free_port
from tests.waiting import eventually

from levqor.cli import main
from levqor.settings import Settings

Verb = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running installation."""
    place = tmp_path_factory.mktemp("levqor")
    (place / "levqor.toml").write_text(f'port = {free_port()}\ndata = "{place}/data"\nworkers_max = 3\n', encoding="utf-8")
    names = {prefix + field.upper() for field in Settings.model_fields for prefix in ("", "LEVQOR_")}
    environment = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in names}
    log = (place / "up.log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "levqor.cli", "up"], cwd=place, env=environment, stdout=log, stderr=log)
    yield place
    process.send_signal(signal.SIGTERM)
    process.wait(50)
    log.close()


@pytest.fixture
def levqor(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verb:
    """A verb in that folder, its exit code checked; the answer's JSON."""
    for field in Settings.model_fields:
        for name in (field.upper(), f"LEVQOR_{field.upper()}"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)

    def answer(*arguments: str, code: int = 0) -> Any:
        ended = main([*arguments, "--json"])
        printed = capsys.readouterr()
        assert ended == code, printed.err + (folder / "up.log").read_text(encoding="utf-8")[-2_000:]
        return json.loads(printed.out) if printed.out else printed.err

    def is_up() -> bool:
        ended = main(["status", "--json"])
        printed = capsys.readouterr()
        return ended == 0 and (json.loads(printed.out)["running"] or 0) > 0

    eventually(is_up, within_s=40, every_s=0.3, what="the installation")
    return answer


def test_a_manual_count_is_a_hold_that_the_fleet_follows(levqor: Verb) -> None:
    """L2."""
    assert levqor("scale", "3", "--for", "10m", "--why", "sale")["target"] == 3
    eventually(lambda: levqor("status")["running"] == 3, within_s=20, every_s=0.3, what="three workers")
    status = levqor("status")
    assert (status["mode"], status["holds"][0]["why"], status["target"]) == ("held", "sale", 3)
    assert len(levqor("ps")["workers"]) == 3
    assert levqor("scale", "4", code=2)
    assert levqor("scale", "auto")["target"] == 3
    assert levqor("status")["holds"] == []


def test_holds_and_pauses_come_and_go(levqor: Verb) -> None:
    levqor("hold", "1h", "--why", "deploy")
    assert [hold["why"] for hold in levqor("release", "--dry-run")["holds"]] == ["deploy"]
    levqor("release")
    levqor("pause", "default", "--why", "deploy")
    assert levqor("ps")["paused"][0]["why"] == "deploy"
    assert "paused" in levqor("pause", "default", code=3)
    levqor("resume", "default")
    assert levqor("ps")["paused"] == []
    assert levqor("pause", "nope", code=1)


def test_flags_are_set_and_read(levqor: Verb) -> None:
    assert levqor("flags", "set", "INCIDENT_AUTORECOVER", "on")["after"] is True
    assert levqor("flags", "get", "INCIDENT_AUTORECOVER")["values"] == {"INCIDENT_AUTORECOVER": True}
    levqor("flags", "set", "INCIDENT_AUTORECOVER", "off")
    assert levqor("flags", "set", "WORKER_COUNT", "99", code=2)


def test_decisions_can_be_asked_for(levqor: Verb) -> None:
    """A6, A7, A11."""
    assert levqor("autoscale", "dryrun", "--queue-depth", "11")["action"] in ("scale_up", "hold")
    assert levqor("autoscale", "apply")["applied"] is False
    assert levqor("why")["reasons"]
    assert levqor("autoscale", "decisions")["decisions"]
    assert levqor("why", "2001-01-01", code=1)


def test_the_doctor_finds_nothing_to_mend_but_the_trial_store(levqor: Verb) -> None:
    report = levqor("doctor")
    assert report["ok"]
    assert {check["name"] for check in report["checks"] if check["state"] == "warn"} <= {
        "store server",
        "alerts",
        "backup",
        "disk",
        "memory",
        "signals",
    }


def test_detach_refuses_a_running_installation(levqor: Verb) -> None:
    assert "running" in levqor("detach", "--yes", code=3)


def test_a_replay_runs_real_jobs_once(levqor: Verb, folder: Path) -> None:
    played = levqor("replay", "azure_llm_conv", "--minutes", "0.1", "--peak-rate", "8", "--service-s", "0.05", "--report", "r.html")
    assert played["accepted"] == played["succeeded"] == played["requests"] > 10
    assert (played["lost"], played["doubled"], played["cut"]) == (0, 0, 0)
    assert played["worker_hours"] > 0
    assert played["wait"]["worst_s"] is not None
    assert "<svg" in (folder / "r.html").read_text(encoding="utf-8")
