"""`levqor drill` as it is typed; the drills themselves run in tests/drills."""

from pathlib import Path

import pytest
from tests.clock import ManualClock

from levqor.cli.app import main
from levqor.cli.drill import exit_code, not_made, settings_of
from levqor.cli.scratch import furnish
from levqor.lab.drills import CLOCKS, DRILLS, FLAGS
from levqor.lab.receiver import Receiver
from levqor.lab.verdicts import Promise, Verdict

NAMES = {"poison", "errors", "slow", "killworker", "killstore", "brokerout", "crashloop", "quiet", "gone-none", "gone-slots", "gone-agent"}


def test_every_drill_has_a_name_and_says_its_fault() -> None:
    assert set(DRILLS) == NAMES
    assert all(drill.fault for drill in DRILLS.values())


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_drill_runs_on_settings_that_are_valid(name: str, tmp_path: Path) -> None:
    """Spec F2: a wrong value would stop the start."""
    with Receiver(ManualClock()) as receiver:
        settings = settings_of(DRILLS[name], 18_000, 18_001, tmp_path, receiver)
        found = furnish(tmp_path, settings, {**FLAGS, **DRILLS[name].flags}).settings
    assert found.port == 18_000
    assert found.data == tmp_path / "data"
    assert found.tick_s == CLOCKS["tick_s"]
    assert found.app_reload_command is not None
    assert str(tmp_path / "app.pid") in found.app_reload_command


def test_an_unknown_drill_is_a_usage_error_that_names_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "earthquake"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in NAMES | {"all"})


def test_a_report_that_cannot_be_written_is_found_out_before_the_drill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "quiet", "--report", str(tmp_path / "none" / "report.md")]) == 2
    assert "--report" in capsys.readouterr().err


@pytest.mark.parametrize(("kept", "code"), [((True, True), 0), ((True, False), 1)])
def test_one_broken_promise_is_a_failure(kept: tuple[bool, ...], code: int) -> None:
    assert exit_code([Verdict("x", "y", 1.0, (Promise("it holds", each),)) for each in kept]) == code


def test_a_drill_that_could_not_be_made_is_broken() -> None:
    verdict = not_made("quiet", DRILLS["quiet"], "the sample app does not answer")
    assert not verdict.is_kept
    assert exit_code([verdict]) == 1
    assert verdict.promises[0].found == "the sample app does not answer"
