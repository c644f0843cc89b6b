"""logs/incidents.log: a line for each invocation, appended, masked, and once per recovery (spec I7, X2)."""

import json
from pathlib import Path

import pytest

from levqor import logfile
from levqor.monitors.incident_log import IncidentLog


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "incidents.log").read_text(encoding="utf-8").splitlines()]


def test_lines_are_appended_and_a_recoverys_line_is_written_once(tmp_path: Path) -> None:
    """A leader that died right after the line was written is followed by one that looks for it."""
    IncidentLog(tmp_path / "logs").write({"dry_run": True})
    for _ in range(2):
        IncidentLog(tmp_path / "logs").write_once(3, {"ok": True})
    IncidentLog(tmp_path / "logs").write_once(4, {"ok": False})
    assert lines(tmp_path / "logs") == [{"dry_run": True}, {"ok": True, "recovery_id": 3}, {"ok": False, "recovery_id": 4}]


def test_no_secret_leaves_with_a_line(tmp_path: Path) -> None:
    IncidentLog(tmp_path, lambda line: line.replace("s3cret", "***")).write({"detail": "redis://:s3cret@host"})
    assert lines(tmp_path) == [{"detail": "redis://:***@host"}]


def test_it_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5."""
    monkeypatch.setattr(logfile, "MAX_BYTES", 100)
    for number in range(50):
        IncidentLog(tmp_path).write({"number": number})
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".lock"]) == logfile.KEPT_FILES + 1
