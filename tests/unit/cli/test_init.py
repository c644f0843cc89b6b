"""`init`: what fits this installation, shown before it is written, without a secret, and the same again the second time (spec L2)."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.documented import ROOT
from tests.unit.cli.conftest import Run

from levqor.cli.verbs import VERBS
from levqor.engines.rq_findings import TAKES_BACK_SOON
from levqor.kit.compose import compose_files
from levqor.kit.installation import Installation
from levqor.kit.procfile import procfile_files
from levqor.kit.units import agent_unit, service_unit
from levqor.settings import Settings, load

SECRET = "pass-word-1234"
URL = f"redis://:{SECRET}@broker:6379/3"
SLOTS = {"FLEET_KIND": "slots", "SLOTS_UNIT": "rq-worker@{slot}.service"}


def given(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"LEVQOR_{name}", value)


def unit(path: Path) -> dict[str, list[str]]:
    """A unit's directives; one may come several times."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def analyzed(*paths: Path) -> None:
    """systemd itself takes them. Programs that are there in the tests alone are replaced."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    verified = subprocess.run([analyze, "verify", "--man=no", *map(str, paths)], capture_output=True, text=True, timeout=30, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_service_has_this_installations_program_paths_and_settings(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch, QUEUES="high,default", WORKERS_MAX="7", DRAIN_GRACE_S="200.5", DATA=str(tmp_path / "state"))
    ended = run("init", "systemd", "--output", "units", "--user", "ada", "--yes")
    assert ended.code == 0
    service = unit(tmp_path / "units" / "levqor.service")
    program, verb = service["ExecStart"][0].split()
    assert (Path(program), verb in VERBS) == (Path(sys.executable).parent / "levqor", True)
    assert os.access(program, os.X_OK)
    assert (service["User"], service["WorkingDirectory"]) == (["ada"], [str(tmp_path)])
    assert int(service["TimeoutStopSec"][0]) == 231, "above 200.5 s of draining"
    environment = dict(word.split("=", 1) for line in service["Environment"] for word in shlex.split(line))
    assert environment == {
        "LEVQOR_DATA": str(tmp_path / "state"),
        "LEVQOR_FLAGS": str(tmp_path / "config" / "flags.json"),
        "LEVQOR_LOGS": str(tmp_path / "logs"),
        "TMPDIR": "%C/levqor",
        "LEVQOR_QUEUES": "high,default",
        "LEVQOR_WORKERS_MAX": "7",
        "LEVQOR_DRAIN_GRACE_S": "200.5",
    }
    assert service["ReadWritePaths"] == [str(tmp_path)]
    again = load(environ={**environment}).settings
    assert (again.queues, again.workers_max, again.drain_grace_s) == (["high", "default"], 7, 200.5)


def test_a_setting_of_the_file_stays_in_the_file_and_the_file_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "levqor.toml").write_text("workers_max = 9\n", encoding="utf-8")
    assert "LEVQOR_WORKERS_MAX" not in run("init", "systemd", "--output", "u", "--dry-run").out
    (tmp_path / "levqor.toml").rename(tmp_path / "own.conf")
    given(monkeypatch, CONFIG="own.conf")
    assert f"LEVQOR_CONFIG={tmp_path / 'own.conf'}" in run("init", "systemd", "--output", "u", "--dry-run").out


def test_a_slots_worker_ends_after_its_job_and_takes_lost_jobs_back_soon(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch, **SLOTS, QUEUES="high,default", WORKERS_MIN="2", WORKERS_MAX="3")
    assert run("init", "systemd", "--output", ".", "--user", "ada", "--yes").code == 0
    worker = unit(tmp_path / "rq-worker@.service")
    words = worker["ExecStart"][0].split()
    assert (Path(words[0]), words[1], words[-2:]) == (Path(sys.executable).parent / "rq", "worker", ["high", "default"])
    assert TAKES_BACK_SOON in worker["ExecStart"][0]
    assert "--with-scheduler" in words, "a retry with a delay needs it"
    assert (worker["KillMode"], worker["Restart"], worker["TimeoutStopSec"]) == (["mixed"], ["on-failure"], ["150"])
    text = (tmp_path / "rq-worker@.service").read_text(encoding="utf-8")
    assert "systemctl enable --now rq-worker@1.service rq-worker@2.service\n" in text
    known = subprocess.run([words[0], "worker", "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert all(word in known for word in words if word.startswith("--"))
    rule = (tmp_path / "50-levqor.rules").read_text(encoding="utf-8")
    pattern = re.search(r"/\^(.+)\$/\.test", rule)
    assert pattern is not None
    assert [number for number in range(6) if re.fullmatch(pattern[1], f"rq-worker@{number}.service")] == [1, 2, 3]
    assert not re.fullmatch(pattern[1], "sshd.service")
    assert 'subject.user == "ada"' in rule


def test_units_of_a_users_own_systemd_name_no_user_and_need_no_right(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch, **SLOTS, SLOTS_USER="true")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run("init", "systemd", "--yes").code == 0
    (made,) = (path for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert made == tmp_path / "home" / ".config" / "systemd" / "user" / "rq-worker@.service"
    worker = unit(made)
    assert ("User" in worker, worker["WantedBy"]) == (False, ["default.target"])
    assert "systemctl --user enable --now rq-worker@1.service" in made.read_text(encoding="utf-8")
    analyzed(made)


@pytest.mark.parametrize("settings", [{}, SLOTS], ids=["agent", "slots"])
def test_systemd_takes_what_is_generated(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str]) -> None:
    folder = tmp_path / 'a "50 %" place'
    folder.mkdir()
    given(
        monkeypatch, **settings, DATA=str(folder / "state"), SUMMARY_TZ="Europe/London", ANALYTICS_EVENTS_SQL="SELECT '%' \\ \"x\" FROM t"
    )
    given(monkeypatch, ANALYTICS_DATABASE_URL=f"postgresql://u:{SECRET}@h/d")
    worker = f"{shutil.which('true')} high 'odd queue' 50%% $HOME"
    assert run("init", "systemd", "--output", ".", "--yes", "--worker", worker).code == 0
    made = sorted(tmp_path.glob("*.service"))
    assert len(made) == (2 if settings else 1)
    analyzed(*made)
    if settings:
        assert unit(tmp_path / "rq-worker@.service")["ExecStart"][0].endswith(' high "odd queue" 50%%%% $$HOME')


@pytest.mark.parametrize("kind", ["systemd", "compose", "procfile"])
@pytest.mark.parametrize("fleet", ["agent", "slots", "external", "none"])
def test_no_secret_is_written_or_shown(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, fleet: str) -> None:
    """X2."""
    given(monkeypatch, **(SLOTS if fleet == "slots" else {"FLEET_KIND": fleet}), REDIS_URL=URL, ADMIN_TOKEN=f"token-{SECRET}")
    given(monkeypatch, ALERT_URLS=f"mailto://u:{SECRET}@h", API_KEYS=SECRET)
    ended = run("init", kind, "--output", ".", "--yes")
    assert ended.code == 0
    assert SECRET not in ended.out + ended.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text(encoding="utf-8")]
    assert "put REDIS_URL, ADMIN_TOKEN, API_KEYS, ALERT_URLS into /etc/levqor.env" in ended.err


@pytest.mark.parametrize("kind", ["systemd", "compose", "procfile"])
@pytest.mark.parametrize("settings", [{}, SLOTS], ids=["agent", "slots"])
def test_a_second_run_has_nothing_to_change(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, settings: dict[str, str]
) -> None:
    given(monkeypatch, **settings)
    assert run("init", kind, "--output", ".", "--yes").code == 0
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir() if path.is_file()}
    again = run("init", kind, "--output", ".")
    assert (again.code, again.out, again.err) == (0, "", "nothing to change\n")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir() if path.is_file()} == before


def test_what_somebody_else_wrote_is_shown_before_it_is_replaced(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "levqor.service"
    place.write_text("[Service]\nExecStart=/opt/mine --own\n", encoding="utf-8")
    place.chmod(0o600)
    asked = run("init", "systemd", "--output", ".")
    assert asked.code == 2, "nobody can answer here"
    assert "--yes" in asked.err
    assert "-ExecStart=/opt/mine --own\n" in asked.out
    assert place.read_text(encoding="utf-8") == "[Service]\nExecStart=/opt/mine --own\n"
    ended = run("init", "systemd", "--output", ".", "--yes")
    assert "-ExecStart=/opt/mine --own\n" in ended.out, "--yes shows it too"
    assert "/opt/mine" not in place.read_text(encoding="utf-8")
    assert place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["levqor.service"], "no scratch file is left"


def test_a_dry_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    ended = run("init", "compose", "--dry-run")
    assert (ended.code, ended.err) == (0, "nothing was written: a dry run\n")
    assert ended.out.startswith("--- /dev/null\n+++ compose.yaml\n@@")
    assert list(tmp_path.iterdir()) == []
    told = run("init", "compose", "--dry-run", "--json").json
    assert (told["schema"], told["dry_run"], told["files"][0]["is_new"]) == (1, True, True)


def test_no_to_the_question_writes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("levqor.cli.output.has_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    ended = run("init", "procfile")
    assert (ended.code, ended.err, list(tmp_path.iterdir())) == (0, "nothing was written\n", [])


def test_a_file_that_was_changed_while_the_question_waited_is_left(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def meanwhile(*_: Any, **__: Any) -> bool:
        (tmp_path / "Procfile").write_text("web: theirs\n", encoding="utf-8")
        return True

    monkeypatch.setattr("levqor.cli.output.confirm", meanwhile)
    ended = run("init", "procfile")
    assert ended.code == 1
    assert "was changed meanwhile" in ended.err
    assert (tmp_path / "Procfile").read_text(encoding="utf-8") == "web: theirs\n"


def test_a_place_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    ended = run("init", "compose", "--output", "file/below", "--yes")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def test_a_worker_that_is_nowhere_is_one_line_that_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **SLOTS)
    for command in ("no-such-program default", "''", "'open"):
        ended = run("init", "systemd", "--output", ".", "--worker", command, "--yes")
        assert ended.code == 2
        assert "--worker" in ended.err


@pytest.mark.parametrize(
    ("settings", "services"),
    [
        pytest.param({}, {"levqor", "valkey"}, id="agent"),
        pytest.param({"REDIS_URL": URL}, {"levqor"}, id="agent with a store"),
        pytest.param({"FLEET_KIND": "external"}, {"levqor", "worker", "valkey"}, id="external"),
        pytest.param({"FLEET_KIND": "none", "REDIS_URL": URL}, {"levqor", "worker"}, id="none with a store"),
        pytest.param({"FLEET_KIND": "slots", "SLOTS_SCALE": "scale {count}"}, {"worker", "valkey"}, id="slots by count"),
        pytest.param(
            {"FLEET_KIND": "slots", "SLOTS_SCALE": "scale {count}", "REDIS_URL": "redis://localhost:6380/0"},
            {"worker", "valkey"},
            id="a store of this machine",
        ),
    ],
)
def test_a_compose_file_is_short_valid_and_gives_time_to_drain(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], services: set[str]
) -> None:
    given(monkeypatch, **settings, WORKERS_MAX="8", DRAIN_GRACE_S="60")
    assert run("init", "compose", "--yes").code == 0
    text = (tmp_path / "compose.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 25
    compose = yaml.safe_load(text)
    assert set(compose["services"]) == services
    for name in {"levqor", "worker"} & services:
        assert compose["services"][name]["stop_grace_period"] == "90s"
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert all(volume.partition(":")[0] in compose["volumes"] for volume in service.get("volumes", ()))
    if "levqor" in services:
        assert set(compose["services"]["levqor"]["environment"]) <= {name.upper() for name in Settings.model_fields}
    if "worker" in services:
        assert compose["services"]["worker"]["command"][:2] == ["rq", "worker"]
        assert compose["services"]["worker"]["environment"].keys() == {"RQ_REDIS_URL"}


def test_a_compose_files_values_stay_what_they_are(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dollar sign is a variable there, `no` is false, and a number is no string."""
    given(monkeypatch, FLEET_KIND="none", QUEUES="no", MAIL_FROM="a$b <x@y.example>", WORKERS_MAX="5")
    assert run("init", "compose", "--yes").code == 0
    environment = yaml.safe_load((tmp_path / "compose.yaml").read_text(encoding="utf-8"))["services"]["levqor"]["environment"]
    assert (environment["QUEUES"], environment["MAIL_FROM"], environment["WORKERS_MAX"]) == ("no", "a$$b <x@y.example>", "5")


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        pytest.param("", "web: levqor up\nworker: rq worker a\n", id="new"),
        pytest.param("web: gunicorn app\n", "web: gunicorn app\nlevqor: levqor up\nworker: rq worker a\n", id="own web"),
        pytest.param("# ours\nworker: mine b\n", "# ours\nworker: mine b\nweb: levqor up\n", id="own worker"),
        pytest.param("levqor: levqor up\nworker: x", "levqor: levqor up\nworker: x\n", id="there"),
    ],
)
def test_lines_of_a_procfile_that_are_there_stay(present: str, expected: str) -> None:
    from levqor.domain.fleet import FleetKind

    installation = Installation(kind=FleetKind.EXTERNAL, worker=("/opt/bin/rq", "worker", "a"))
    assert [file.text for file in procfile_files(installation, present)] == [expected]


@pytest.mark.parametrize(("name", "make"), [("levqor", service_unit), ("levqor-agent", agent_unit)])
def test_the_operators_kit_is_the_standard_installation(name: str, make: Any) -> None:
    """One source: `ops/systemd` differs in its first lines alone."""
    text = (ROOT / "ops" / "systemd" / f"{name}.service").read_text(encoding="utf-8")
    assert text == make(Installation(), text.partition("\n[Unit]")[0])


def test_the_operators_procfile_and_store_are_the_standard_installations() -> None:
    assert (ROOT / "ops" / "Procfile").read_text(encoding="utf-8") == procfile_files(Installation(), "")[0].text
    ours = yaml.safe_load(compose_files(Installation())[0].text)
    kit = yaml.safe_load((ROOT / "ops" / "compose.yaml").read_text(encoding="utf-8"))
    assert ours["services"]["valkey"] == kit["services"]["valkey"]
    assert ours["services"]["levqor"]["stop_grace_period"] == kit["services"]["levqor"]["stop_grace_period"]
    assert ours["volumes"] == kit["volumes"]
