"""The quick drills for real: `levqor drill` makes the fault, judges, and leaves nothing behind (spec E1, I4, P7)."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow]


def levqor_drill(name: str, folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the answer's one drill, and what was told; its scratch folders are made in ours."""
    argv = [sys.executable, "-m", "levqor.cli", "drill", name, *words, "--json", "--report", str(folder / "report.md")]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=55, env={**os.environ, "TMPDIR": str(folder)}, check=False)
    assert ended.stdout, ended.stderr
    answer = json.loads(ended.stdout)
    (only,) = answer["drills"]
    return ended.returncode, only, ended.stderr


def left(folder: Path) -> list[str]:
    """Processes that were begun for the drill's folder; the store is known by where it works."""
    found = []
    for process in psutil.process_iter():
        try:
            places = (process.environ().get("LEVQOR_CONFIG", ""), process.cwd())
            if any(place.startswith(str(folder)) for place in places):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def begun(folder: Path, name: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "levqor.cli", "drill", name]
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(argv, stdout=said, stderr=said, env={**os.environ, "TMPDIR": str(folder)}, start_new_session=True)


def test_a_drill_that_is_ended_early_takes_everything_with_it(tmp_path: Path) -> None:
    process = begun(tmp_path, "quiet")
    try:
        eventually(lambda: any("sample_app" in line for line in left(tmp_path)), 30, what="the app, which is begun last")
        process.terminate()
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait(10)
    assert left(tmp_path) == []


@pytest.mark.parametrize("kind", ["slots", "agent"])
def test_a_team_does_not_notice_that_levqor_is_gone(kind: str) -> None:
    """P7, with the outage shortened further; `levqor drill gone --outage 5m` is the whole of it."""
    with tempfile.TemporaryDirectory(prefix="levqor-test-") as place:
        code, found, said = levqor_drill(f"gone-{kind}", Path(place), "--outage", "4s")
        assert (code, found["lost"], found["doubled"], found["cut"]) == (0, 0, 0, 0), f"{found}\n{said}"
        assert left(Path(place)) == []


@pytest.mark.parametrize("name", ["killworker", "killstore", "poison"])
def test_a_drill_keeps_its_promises_and_leaves_nothing(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="levqor-test-") as place:
        folder = Path(place)
        code, found, said = levqor_drill(name, folder)
        assert code == 0, f"{found}\n{said}"
        assert (found["drill"], found["kept"], found["lost"], found["doubled"]) == (name, True, 0, 0)
        assert found["accepted"] > 0
        assert f"## {name}" in (folder / "report.md").read_text(encoding="utf-8")
        assert [path.name for path in folder.iterdir()] == ["report.md"]
        assert left(folder) == []
