"""Verification of a real installation, and of one whose answers are altered on their way (spec V1, V2)."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.altering_proxy import AlteringProxy
from tests.conftest import free_port
from tests.e2e.documented import ROOT
from tests.integration.running import Installation

from levqor.cli import main
from levqor.settings import Settings

NAMES = {prefix + field.upper() for field in Settings.model_fields for prefix in ("", "LEVQOR_")}
STAGES = ["public", "v6_2", "ops", "schema", "monitors", "scripts"]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One service for all of these tests."""
    place = Installation(tmp_path_factory.mktemp("verify"), LEVQOR_BASE_PATH="/levqor", LEVQOR_SCHEDULE_OFF="*")
    yield place.up()
    place.stop()
    place.clean_up()


@pytest.fixture(scope="module")
def shared_proxy(installation: Installation) -> Iterator[AlteringProxy]:
    proxy = AlteringProxy(installation.url)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(shared_proxy: AlteringProxy) -> Iterator[AlteringProxy]:
    yield shared_proxy
    shared_proxy.as_it_is()


def environment(installation: Installation, **more: str) -> dict[str, str]:
    """As the operator of this installation has it."""
    bare = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in NAMES}
    return {**bare, "LEVQOR_DATA": str(installation.data), "LEVQOR_LOGS": str(installation.folder / "logs"), **more}


Ran = tuple[int, str]
Verify = Callable[..., Ran]


@pytest.fixture
def verify(installation: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the verb in this process; exit code and standard output."""

    def run(*arguments: str, **more: str) -> Ran:
        for name in list(os.environ):
            if name.removesuffix("_FILE") in NAMES:
                monkeypatch.delenv(name)
        for name, value in environment(installation, **more).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(installation.folder)
        code = main(["verify", *arguments])
        return code, capsys.readouterr().out

    return run


def test_verify_all_passes_everything_under_a_prefix_and_writes_junit(installation: Installation, tmp_path: Path) -> None:
    """V1, E3: the shell door itself, from another folder."""
    answer = subprocess.run(
        [str(ROOT / "verify_all.sh"), "--base-url", f"{installation.url}/levqor", "--json", "--junit", str(tmp_path / "junit.xml")],
        cwd=tmp_path,
        env=environment(installation),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = json.loads(answer.stdout)
    assert (found["schema"], found["ok"], found["stages"]) == (1, True, STAGES)
    assert {check["outcome"] for check in found["checks"]} == {"PASS"}
    assert "OK: " in answer.stderr
    top = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 (our own)
    assert [suite.get("name") for suite in top] == STAGES
    assert top.get("tests") == str(len(found["checks"]))


def test_one_click_verifies_the_whole_installation_and_its_report_is_kept(installation: Installation) -> None:
    """V2: asked for over HTTP, run in a process of its own, and shown."""
    began = installation.post("/levqor/ops/verify", {"wait_s": 0})
    assert began["state"] == "running"
    assert installation.admin("/levqor/ops/verify/latest")["running"]["id"] == began["id"]
    joined = installation.post("/levqor/ops/verify", {"wait_s": 50})
    assert joined["id"] == began["id"]
    latest = installation.admin("/levqor/ops/verify/latest")
    assert latest["state"] == "passed", [check for check in latest["report"]["checks"] if check["outcome"] == "FAIL"]
    assert (latest["id"], latest["ok"], latest["suite"], latest["actor"]) == (began["id"], True, "integrity", "admin")
    assert latest["report"]["stages"] == [*STAGES, "database", "backup", "logs", "schedule"]
    assert latest["running"] is None
    assert installation.get("/levqor/ops/verify/latest")["http_status"] == 401


def edited(edit: Callable[[Any], Any]) -> Callable[[int, bytes], tuple[int, bytes]]:
    """The real answer with one thing changed."""
    return lambda status, body: (status, json.dumps(edit(json.loads(body))).encode())


def stringly(answer: dict[str, Any]) -> dict[str, Any]:
    day = {"day": "2026-02-28", "dau": "1", "wau": "1", "mau": "1"}
    return {**answer, "metrics": [{**row, "dau": str(row["dau"])} for row in answer["metrics"]] or [day]}


FAULTS = {
    "an endpoint answers 500": ("/ops/uptime", lambda status, body: (500, b"{}"), "FAILED @ v6_2: uptime"),
    "an action that is none": ("/ops/autoscale/dryrun", edited(lambda answer: {**answer, "action": "panic"}), "FAILED @ ops: dryrun"),
    "retention with strings": ("/admin/retention", edited(stringly), "FAILED @ ops: retention"),
    "a forecast that is NaN": (
        "/ops/cost/forecast",
        edited(lambda answer: {**answer, "forecast_next_30d": float("nan")}),
        "FAILED @ ops: forecast",
    ),
    "an answer that is cut": ("/status", lambda status, body: (status, body[:20]), "FAILED @ public: status"),
    "not ready": ("/readyz", lambda status, body: (503, b'{"ok": false}'), "FAILED @ public: readiness"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_altered_answer_is_found(fault: str, proxy: AlteringProxy, verify: Verify) -> None:
    """V1."""
    path, alter, verdict = FAULTS[fault]
    proxy.alter = {f"/levqor{path}": alter}
    code, said = verify("--base-url", f"{proxy.url}/levqor")
    assert (code, verdict in said) == (1, True), said
    assert said.count("FAIL ") == 1


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_an_endpoint_that_hangs_is_a_failure_and_no_hang(kind: str, proxy: AlteringProxy, verify: Verify) -> None:
    """V1: silent, or talking without an end."""
    getattr(proxy, kind).add("/levqor/ops/queue_health")
    code, said = verify("--base-url", f"{proxy.url}/levqor", "--timeout", "0.5", "--suite", "v6_2")
    assert (code, "FAILED @ v6_2: queue_health" in said) == (1, True), said


def test_a_wrong_token_is_found(installation: Installation, verify: Verify) -> None:
    """V1, X1."""
    code, said = verify("--base-url", f"{installation.url}/levqor", ADMIN_TOKEN="a-wrong-token")
    assert (code, "FAILED @ v6_2: analytics" in said) == (1, True), said
    assert "GET /admin/analytics answered 401" in said
    assert "a-wrong-token" not in said


def test_a_service_that_is_down_fails_the_shell_door(installation: Installation) -> None:
    """V1."""
    door = subprocess.run(
        [str(ROOT / "verify_all.sh"), "--base-url", f"http://127.0.0.1:{free_port()}"],
        cwd=installation.folder,
        env=environment(installation),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (door.returncode, "FAILED @ public: health" in door.stdout) == (1, True), door.stdout + door.stderr


def test_a_failed_run_is_kept_too(installation: Installation, proxy: AlteringProxy, verify: Verify) -> None:
    """V2: the nightly run is the same command."""
    proxy.alter = {"/levqor/healthz": lambda status, body: (500, body)}
    assert verify("--base-url", f"{proxy.url}/levqor", "--suite", "integrity", "--json")[0] == 1
    latest = installation.admin("/levqor/ops/verify/latest")
    assert (latest["state"], latest["ok"], latest["report"]["failed_at"]) == ("failed", False, "public")


def test_beyond_this_machine_nothing_of_this_machine_is_looked_at_or_kept(installation: Installation, verify: Verify) -> None:
    """V1: an address that leads here and is none of this machine's names."""
    before = installation.admin("/levqor/ops/verify/latest")["id"]
    token = (installation.data / "admin_token").read_text(encoding="ascii").strip()
    url = f"http://127.1:{installation.port}/levqor"
    code, said = verify("--base-url", url, "--suite", "integrity", "--json", ADMIN_TOKEN=token)
    found = json.loads(said)
    skipped = [check["id"] for check in found["checks"] if check["outcome"] == "SKIP"]
    assert (code, skipped[0], found["counts"]["fail"]) == (0, "job", 0), said
    assert {"schema", "monitors", "scripts", "backup"} <= set(skipped)
    assert installation.admin("/levqor/ops/verify/latest")["id"] == before


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--suite", "none"], id="suite"),
        pytest.param(["--base-url", "example.com"], id="url"),
        pytest.param(["--timeout", "nan"], id="nan"),
        pytest.param(["--timeout", "0"], id="zero"),
        pytest.param(["--junit", "/no/such/folder/junit.xml"], id="junit"),
    ],
)
def test_wrong_usage_is_two(arguments: list[str], verify: Verify) -> None:
    """L1."""
    assert verify(*arguments)[0] == 2
