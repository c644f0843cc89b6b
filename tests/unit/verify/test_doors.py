"""What is looked at on this machine alone (spec V1)."""

from pathlib import Path

import pytest
from tests.e2e.documented import ROOT

from levqor.verify.checks import NotApplicable, NotAsExpected
from levqor.verify.doors import _help, doors, own


def test_every_door_of_the_checkout_is_found() -> None:
    names = {str(door.relative_to(ROOT)) for door in doors(ROOT)}
    assert {"run.py", "monitors/autoscale.py", "verify_all.sh", "public_smoke.sh", "verify_v6_2.sh"} <= names


def test_a_door_that_breaks_or_says_nothing_is_named(tmp_path: Path) -> None:
    """V1."""
    bad = {"silent.py": "", "ends.py": "raise SystemExit(3)", "shell.sh": "#!/bin/sh\nexit 4\n", "breaks.py": "import nothing_there"}
    for name, text in bad.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(NotAsExpected) as found:
        _help([tmp_path / name for name in bad])
    said = str(found.value)
    for problem in (
        "silent.py --help says nothing",
        "ends.py --help ends with 3",
        "shell.sh --help ends with 4",
        "breaks.py --help broke off",
    ):
        assert problem in said


def test_an_installed_wheel_has_no_doors_to_look_at(tmp_path: Path) -> None:
    assert doors(tmp_path) == []
    with pytest.raises(NotApplicable):
        _help([])


def test_a_database_that_is_not_there_is_a_failure_here_and_skipped_elsewhere() -> None:
    """V1: SKIP against a remote URL, never PASS."""
    here, elsewhere = own(None, is_local=True), own(None, is_local=False)
    with pytest.raises(NotAsExpected, match="no database yet"):
        here[0].checks[0].look()
    for stage in elsewhere:
        with pytest.raises(NotApplicable, match="another machine"):
            stage.checks[0].look()
