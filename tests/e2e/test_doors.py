"""Doors at the root of the repository: they are there, thin, and hand over to the command line from any folder."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.documented import ROOT

DOORS = {
    "run.py": ["up"],
    "monitors/autoscale.py": ["autoscale", "dryrun"],
    "monitors/slo_watchdog.py": ["slo"],
    "monitors/incident_response.py": ["recover", "--dry-run"],
    "monitors/costs.py": ["costs", "today"],
    "monitors/retention.py": ["retention", "show"],
    "monitors/scheduler.py": ["schedule", "list"],
    "scripts/aggregate_retention.py": ["retention", "aggregate"],
    "scripts/cost_predict.py": ["costs", "forecast"],
    "scripts/ops_summary.py": ["summary"],
}

SHELL_DOORS = {
    "backup_cycle.sh": ["backup", "cycle"],
    "verify_all.sh": ["verify", "--suite", "all"],
    "public_smoke.sh": ["verify", "--suite", "public"],
    "verify_v6_2.sh": ["verify", "--suite", "v6_2"],
}

door = pytest.mark.parametrize("path", DOORS)
shell_door = pytest.mark.parametrize("path", SHELL_DOORS)


def shell_scripts() -> list[Path]:
    return [ROOT / ".ci" / "run", ROOT / "levqor-site" / "build.sh", *sorted(ROOT.glob("*.sh")), *sorted((ROOT / "scripts").glob("*.sh"))]


@door
def test_a_door_is_a_docstring_an_import_and_a_main_guard(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import sys", "from levqor.cli import main"]
    guard = tree.body[-1]
    assert isinstance(guard, ast.If)
    assert ast.unparse(guard.test) == "__name__ == '__main__'"
    assert len(tree.body) == len(imports) + 2


@door
def test_a_door_hands_its_arguments_to_its_verb(path: str) -> None:
    words = ", ".join(repr(word) for word in DOORS[path])
    assert f"sys.exit(main([{words}, *sys.argv[1:]]))" in (ROOT / path).read_text(encoding="utf-8").replace('"', "'")


@door
def test_a_door_answers_help_from_any_folder(path: str, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, str(ROOT / path), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert answer.returncode == 0, answer.stderr
    verb = [word for word in DOORS[path] if not word.startswith("-")]
    assert "Usage: levqor " + " ".join(verb) in answer.stdout
    assert list(tmp_path.iterdir()) == []


@shell_door
def test_a_shell_door_is_thin_and_hands_its_arguments_to_its_verb_from_any_folder(path: str, tmp_path: Path) -> None:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 15
    assert lines[-1] == f'exec "$levqor" {" ".join(SHELL_DOORS[path])} "$@"'
    answer = subprocess.run([str(ROOT / path), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (answer.returncode, f"Usage: levqor {SHELL_DOORS[path][0]}" in answer.stdout) == (0, True), answer.stderr


@shell_door
def test_a_shell_door_without_levqor_says_what_to_do(path: str, tmp_path: Path) -> None:
    alone = shutil.copy(ROOT / path, tmp_path)
    answer = subprocess.run([alone], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 2
    assert answer.stderr == f"{path}: no levqor in {tmp_path}/.venv/bin or on PATH: run `make install`\n"


def test_the_root_folders_are_no_packages() -> None:
    """`monitors/__init__.py` would shadow nothing today and everything tomorrow."""
    assert not (ROOT / "monitors" / "__init__.py").exists()
    assert not (ROOT / "scripts" / "__init__.py").exists()
    monitors = {name for name in DOORS if name.startswith("monitors/")}
    assert {f"monitors/{found.name}" for found in (ROOT / "monitors").glob("*.py")} == monitors


@pytest.mark.parametrize("script", shell_scripts(), ids=lambda script: script.name)
def test_a_shell_script_is_strict_executable_and_passes_shellcheck(script: Path) -> None:
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert checker is not None
    answer = subprocess.run([checker, str(script)], capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 0, answer.stdout


def test_make_help_lists_every_public_target() -> None:
    answer = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    listed = {line.split()[1] for line in answer.stdout.splitlines()}
    assert listed == {
        "help", "up", "test", "install", "check", "bench", "demo", "drill", "site", "screenshots", "types", "lock", "clean",
    }  # fmt: skip


def test_a_bench_that_does_not_exist_is_a_usage_error() -> None:
    answer = subprocess.run([sys.executable, "-m", "bench", "nope"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 2
    assert answer.stderr.startswith("no such bench: nope; there are ")


def test_an_old_python_is_one_clear_line(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", *(found.name for found in ROOT.glob("requirements*"))):
        shutil.copy(ROOT / name, tmp_path / name)
    answer = subprocess.run(["make", "install", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[0] == f"Levqor needs Python 3.11 or newer; PYTHON={old} is not one."
    assert not (tmp_path / ".venv").exists()


LOCKS = ["requirements.lock", "requirements.txt", "requirements-bench.lock", "requirements-node.txt"]


@pytest.mark.parametrize("name", [*LOCKS, "tests/rq_versions/1.16.txt", "tests/rq_versions/2.12.txt"])
def test_a_lock_names_no_address_and_hashes_every_file(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith(("--", "-r", "-c", "/"))]
    pins = [block for block in text.split("\n") if block and not block.startswith((" ", "#"))]
    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins)


def test_what_runs_is_locked_as_what_is_tested() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        found = (line.split(" ")[0].partition("==") for line in lines if "==" in line and not line.startswith((" ", "#")))
        return {package: version for package, _, version in found}

    runtime, everything = pins("requirements.txt"), pins("requirements.lock")
    assert runtime
    assert {name: everything.get(name) for name in runtime} == runtime


def test_no_source_file_is_ignored() -> None:
    """What git ignores is left out of the wheel too."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    made = ROOT / "src" / "levqor" / "web" / "site"  # by the dashboard's build; the wheel takes it all the same
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and made not in path.parents
    ]
    answer = subprocess.run(["git", "check-ignore", *found], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert answer.stdout.split() == []
