"""The entry point: cheap help, exit codes, no traceback (spec L1)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from tests.unit.cli.conftest import Run

from levqor.cli.verbs import VERBS, Verb
from levqor.domain import errors
from levqor.settings import Configuration

HEAVY = ("httpx", "rich", "sqlalchemy", "redis", "rq", "fastapi", "pydantic", "pygal", "psutil", "uvicorn")


def levqor(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=50, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_the_help_imports_nothing_heavy() -> None:
    """L1: below 0.3 s, because none of these is imported for it."""
    done = levqor("-X", "importtime", "-m", "levqor.cli", "--help")
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 0
    assert "typer" in imported
    assert imported.isdisjoint(HEAVY)


def test_the_help_names_every_verb_of_the_core(run: Run) -> None:
    """L2, except those that a later part brings."""
    said = run("--help")
    core = "up web autopilot agent attach detach replay demo status ps why doctor config"
    core += " scale restart hold release pause resume autoscale flags"
    assert [verb for verb in core.split() if not re.search(rf"^  {verb} ", said.out, re.MULTILINE)] == []
    assert said.code == 0


@pytest.mark.parametrize("name", [name for name in VERBS if name not in ("up", "agent")])
def test_every_verb_explains_itself(run: Run, name: str) -> None:
    said = run(name, "--help")
    assert said.code == 0
    assert f"levqor {name}" in said.out


def test_an_unknown_verb_is_usage(run: Run) -> None:
    said = run("fly")
    assert (said.code, said.out) == (2, "")
    assert "fly" in said.err


def test_a_wrong_setting_is_usage_and_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("LEVQOR_WORKERS_MAX", "-1")
    said = run("status")
    assert said.code == 2
    assert "PORT" in said.err
    assert "WORKERS_MAX" in said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.LevqorError("x"), 1),
        (errors.NotFound("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.GuardRefused("x"), 3),
        (errors.ConditionNotMet("x"), 4),
        (errors.StoreDown("x"), 69),
        (KeyboardInterrupt(), 130),
        (typer.Exit(7), 7),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    """L1: exit codes 0, 1, 2, 3, 4, 69."""

    def fails() -> None:
        """Fails."""
        raise error

    monkeypatch.setattr(sys.modules[__name__], "fails", fails, raising=False)
    monkeypatch.setitem(VERBS, "fails", Verb("Try", __name__, "fails", "Fails."))
    said = run("fails")
    assert said.code == code
    assert "Traceback" not in said.err


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    """`levqor ... | head -1`: standard output is closed before the last line."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "levqor.cli", "--help"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=50, cwd=tmp_path, check=False)
    os.close(writer)
    assert done.stderr == ""


def test_completion_knows_the_verbs() -> None:
    environment = {**os.environ, "_LEVQOR_COMPLETE": "complete_bash", "COMP_WORDS": "levqor pa", "COMP_CWORD": "1"}
    script = Path(sys.executable).parent / "levqor"
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout.split() == ["pause"]


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out.startswith("levqor ")


def test_the_client_alone_is_told_how_to_get_the_command_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install levqor` brings no typer."""
    monkeypatch.delitem(sys.modules, "levqor.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    said = run("status")
    assert said.code == 2
    assert said.err == "levqor: typer is not installed; the command line needs `pip install 'levqor[server]'`\n"


def test_a_process_of_the_control_plane_gets_its_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def run_web(configuration: Configuration, fd: int | None, *, with_autopilot: bool, ready_fd: int | None) -> int:
        asked.extend([configuration.settings.port, fd, with_autopilot, ready_fd])
        return 5

    monkeypatch.setattr("levqor.bootstrap.web.run_web", run_web)
    monkeypatch.setattr("levqor.bootstrap.web.run_autopilot", lambda _: 6)
    assert run("web", "--fd", "3", "--ready-fd", "4", "--no-autopilot", "--port", "8123").code == 5
    assert asked == [8123, 3, False, 4]
    assert run("autopilot").code == 6
