"""Each sample, begun by the command that its page names, in a scratch copy: what it promises is seen from outside."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from tests.conftest import free_port
from tests.e2e.documented import ROOT
from tests.waiting import eventually

from levqor.lab import process_manager
from levqor.settings import Settings, load

SAMPLES = ROOT / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
BIN = Path(sys.executable).parent
WITHIN_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def bare_environment() -> dict[str, str]:
    """Without any setting of this machine's."""
    names = {field.upper() for field in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.removeprefix("LEVQOR_").removesuffix("_FILE") not in names}


def documented_command(name: str) -> str:
    """The first block of the page is the one command."""
    block = re.search(r"```sh\n(.+?)\n```", (SAMPLES / name / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return block[1]


@dataclass
class Sample:
    """A scratch copy that runs."""

    folder: Path
    environment: dict[str, str]
    port: int
    app_port: int
    process: subprocess.Popen[bytes]

    def status(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/status", timeout=5).json()
        except httpx.HTTPError:
            return {}
        return answer

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text

    def asks(self, path: str) -> int:
        """The app's answer; 0 while it does not listen yet."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.app_port}{path}", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def until(self, seen: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        def looked() -> dict[str, Any]:
            assert self.process.poll() is None, (self.folder / "output").read_text(encoding="utf-8")[-2_000:]
            status = self.status()
            return status if status and seen(status) else {}

        return eventually(looked, WITHIN_S, 0.2, what)

    def end(self) -> None:
        """As Ctrl-C does. Whoever outlives it by 20 s is killed, and the test fails."""
        if self.process.poll() is not None:
            return
        begun = [process for process in psutil.Process(self.process.pid).children(recursive=True) if not is_a_slots(process)]
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(20)
        finally:
            _, alive = psutil.wait_procs(begun, timeout=5)
            for process in alive:
                process.kill()
            self.process.kill()
        assert not alive


def is_a_slots(process: psutil.Process) -> bool:
    """Of the stand-in for systemd: nobody's child, and not Levqor's to end."""
    try:
        return any("process_manager" in word for one in (process, *process.parents()) for word in one.cmdline())
    except psutil.NoSuchProcess:
        return False


Start = Callable[..., Sample]


@pytest.fixture
def start(tmp_path: Path, store_url: str) -> Iterator[Start]:
    begun: list[Sample] = []

    def started(name: str, command: str | None = None, path: Path | None = None) -> Sample:
        folder = tmp_path / name
        if not folder.exists():
            shutil.copytree(SAMPLES / name, folder)
        port, app_port = free_port(), free_port()
        environment = {
            **bare_environment(),
            "PATH": os.pathsep.join([*([str(path)] if path else []), str(BIN), os.environ["PATH"]]),
            "REDIS_URL": store_url,
            "LEVQOR_PORT": str(port),
            "LEVQOR_SCHEDULE_OFF": "*",
            "APP_PORT": str(app_port),
        }
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", command or documented_command(name)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        begun.append(Sample(folder, environment, port, app_port, process))
        return begun[-1]

    yield started
    for sample in begun:
        sample.end()


def test_the_index_names_every_sample_in_its_order() -> None:
    listed = re.findall(r"^\| \[([\w-]+)\]\((.+)\)", (SAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(name, f"{name}/README.md") for name in NAMES]
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(1, len(NAMES) + 1)]


@pytest.mark.parametrize("name", NAMES)
def test_a_samples_command_is_one_line_of_what_there_is(name: str) -> None:
    command = documented_command(name)
    assert "\n" not in command
    for script in SAMPLES.joinpath(name).glob("*.sh"):
        text = script.read_text(encoding="utf-8")
        assert text.splitlines()[2].startswith("set -euo pipefail")
        assert script.stat().st_mode & stat.S_IXUSR
    assert command.startswith(("./", "docker compose "))
    assert not command.startswith("./") or (SAMPLES / name / command).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_samples_settings_are_good(name: str) -> None:
    settings = load(environ={}, folder=SAMPLES / name).settings
    assert settings.intake_enabled is (not (SAMPLES / name / "levqor.toml").exists())


@pytest.mark.parametrize("name", ["01-fastapi", "02-flask"])
def test_an_apps_requests_are_seen_by_template_with_their_failures(start: Start, name: str) -> None:
    """S1: over every process of the app."""
    sample = start(name)
    eventually(lambda: sample.asks("/items/0") == 200, WITHIN_S, 0.2, "the app")
    answers = [sample.asks(f"/items/{number}") for number in range(30)] + [sample.asks("/broken") for _ in range(10)]
    assert answers == [200] * 30 + [500] * 10
    status = sample.until(lambda status: (status["signals"]["requests"]["value"] or 0) >= 41, "the requests")
    assert 0 < status["signals"]["error_rate"]["value"] < 0.5
    assert status["signals"]["p95_ms"]["state"] == "value"
    assert (status["fleet_kind"], status["mode"]) == ("none", "observe")
    route = "/items/{number}" if name == "01-fastapi" else "/items/<int:number>"
    counted = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in sample.metrics().splitlines() if not line.startswith("#")
    }
    ok = [value for series, value in counted.items() if f'route="{route}"' in series and 'outcome="ok"' in series]
    failed = [value for series, value in counted.items() if 'route="/broken"' in series and 'outcome="failed"' in series]
    assert (sum(ok) >= 31, sum(failed)) == (True, 10)


def test_plain_rq_is_watched_without_a_change(start: Start) -> None:
    """P7: queues, workers and the dead letter are seen; the broker holds no key of Levqor's."""
    import redis

    sample = start("03-rq")
    status = sample.until(
        lambda status: (
            status["running"] == 2 and status["signals"]["dead"]["value"] == 1 and status["signals"]["queue_depth"]["value"] == 0
        ),
        "two workers, done but for a dead letter",
    )
    assert (status["queues"], status["fleet_kind"]) == (["high", "default"], "none")
    with redis.Redis.from_url(sample.environment["REDIS_URL"]) as broker:
        assert not list(broker.scan_iter("levqor:*"))
    sample.end()
    assert sample.process.returncode is not None


def test_units_of_systemd_are_scaled_by_a_stand_in_for_it(start: Start, tmp_path: Path, store_url: str) -> None:
    """The same `levqor.toml`, and a `systemctl` of the tests' own that runs the worker's ExecStart."""
    folder = tmp_path / "04-systemd"
    shutil.copytree(SAMPLES / "04-systemd", folder)
    units = made_units(folder, store_url)
    unit = (units / "rq-worker@.service").read_text(encoding="utf-8")
    command = re.search(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    assert command is not None
    worker = f"env RQ_REDIS_URL={store_url} PYTHONPATH={folder} {command[1]}"
    programs = process_manager.furnish(tmp_path / "systemd", worker, stop_timeout_s=150.0)
    (folder / "config").mkdir()
    (folder / "config" / "flags.json").write_text('{"AUTOSCALE_ENABLED": true}', encoding="utf-8")
    systemctl, running = str(programs / "systemctl"), list[Sample]()
    try:
        subprocess.run([systemctl, "start", "rq-worker@1.service", "rq-worker@2.service"], check=True, timeout=30)
        sample = start("04-systemd", "levqor up", path=programs)
        running.append(sample)
        sample.until(lambda status: status["running"] == 2, "two workers")
        enqueued = [sys.executable, "enqueue.py", "600"]
        subprocess.run(enqueued, cwd=folder, env={**sample.environment, "RQ_REDIS_URL": store_url}, check=True, timeout=30)
        status = sample.until(lambda status: status["target"] >= 3 and status["running"] >= 3, "a third worker")
        assert status["fleet_kind"] == "slots"
        sample.end()
        assert shown(systemctl).count("ActiveState=active") >= 3, "P7: what Levqor has started outlives it"
    finally:
        for sample in running:
            sample.end()  # or it would keep to its target
        subprocess.run([systemctl, "stop", *(f"rq-worker@{number}.service" for number in range(1, 5))], check=True, timeout=30)
        eventually(lambda: "ActiveState=active" not in shown(systemctl), WITHIN_S, what="every worker's end")


def shown(systemctl: str) -> str:
    names = [f"rq-worker@{number}.service" for number in range(1, 5)]
    return subprocess.run(
        [systemctl, "show", "--property=Id,ActiveState", *names], capture_output=True, text=True, check=True, timeout=30
    ).stdout.replace("deactivating", "active")


def made_units(folder: Path, store_url: str) -> Path:
    """What the sample's script has made, in a folder of ours."""
    environment = {**bare_environment(), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "REDIS_URL": store_url}
    made = ["levqor", "init", "systemd", "--user", "ada", "--output", "units", "--yes"]
    subprocess.run(made, cwd=folder, env=environment, capture_output=True, check=True, timeout=30)
    return folder / "units"


def test_the_units_of_the_sample_are_taken_by_systemd(tmp_path: Path) -> None:
    folder = tmp_path / "04-systemd"
    shutil.copytree(SAMPLES / "04-systemd", folder)
    units = made_units(folder, "redis://127.0.0.1:6379/0")
    assert sorted(path.name for path in units.iterdir()) == ["50-levqor.rules", "levqor.service", "rq-worker@.service"]
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    services = map(str, units.glob("*.service"))
    verified = subprocess.run([analyze, "verify", "--man=no", *services], capture_output=True, text=True, timeout=30, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    script = (SAMPLES / "04-systemd" / "install.sh").read_text(encoding="utf-8")
    assert "levqor init systemd" in script
    assert set(re.findall(r"(\S+@\d)\.service", script)) == {"rq-worker@1", "rq-worker@2"}


def test_the_compose_file_of_the_sample_is_what_init_makes(tmp_path: Path) -> None:
    folder = tmp_path / "05-compose"
    shutil.copytree(SAMPLES / "05-compose", folder)
    environment = {**bare_environment(), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    made = ["levqor", "init", "compose"]
    again = subprocess.run(made, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "nothing to change\n")
    services = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"]
    settings = load(environ={}, folder=folder).settings
    assert settings.slots_scale is not None
    assert "worker={count}" in settings.slots_scale
    assert set(services) == {"worker", "valkey"}
    assert services["worker"]["command"][-2:] == settings.queues
    copied = re.findall(r"^COPY (.+) \./$", (folder / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((folder / name).is_file() for name in copied[0].split())


@pytest.mark.parametrize("name", ["tasks.py", "enqueue.py"])
def test_the_projects_of_the_samples_are_one_and_the_same(name: str) -> None:
    assert len({(SAMPLES / sample / name).read_bytes() for sample in ("03-rq", "04-systemd", "05-compose")}) == 1
