"""One log, several processes: every line arrives whole, rotation included (spec P5); and old logs go."""

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.clock import ManualClock

from levqor import logfile
from levqor.agent.log_care import LogCare
from levqor.logfile import SharedRotatingFile, drop_old, turn_over_output

PROCESSES, LINES = 4, 400
WRITER = """
import json, logging, sys
from pathlib import Path
from levqor import logfile
logfile.MAX_BYTES, logfile.KEPT_FILES = 60_000, 1_000
handler = logfile.SharedRotatingFile(Path(sys.argv[1]), encoding="utf-8")
for number in range(int(sys.argv[3])):
    text = "x" * (20_000 if number % 20 == 0 else 300)
    handler.emit(logging.makeLogRecord({"msg": json.dumps({"process": sys.argv[2], "number": number, "text": text})}))
"""


def test_processes_that_write_and_rotate_at_once_lose_and_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "control.log"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(number), str(LINES)], stderr=subprocess.PIPE) for number in range(PROCESSES)]
    for writer in writers:
        _, said = writer.communicate(timeout=50)
        assert (writer.returncode, said) == (0, b"")
    files = [found for found in tmp_path.iterdir() if found.suffix != ".lock"]
    assert len(files) > 20
    found = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    seen = sorted((line["process"], line["number"]) for line in found)
    assert seen == sorted((str(process), number) for process in range(PROCESSES) for number in range(LINES))


def record(text: str) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text})


def test_after_a_full_disk_the_next_line_is_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = SharedRotatingFile(tmp_path / "control.log", encoding="utf-8")
    written = os.write
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with monkeypatch.context() as patched:

        def full(descriptor: int, data: bytes) -> int:
            if len(data) < 8:
                raise OSError(28, "No space left on device")
            return written(descriptor, data[:8])

        patched.setattr(os, "write", full)
        handler.emit(record("0123456789"))
    handler.emit(record("whole again"))
    handler.close()
    assert (tmp_path / "control.log").read_text(encoding="utf-8").splitlines() == ["01234567", "whole again"]


def test_output_of_programs_is_set_aside_and_they_write_on(tmp_path: Path) -> None:
    path = tmp_path / "workers.log"
    with path.open("ab", buffering=0) as program:
        program.write(b"x" * 99)
        assert not turn_over_output(path, 100)
        program.write(b"y")
        assert turn_over_output(path, 100)
        program.write(b"later\n")
    assert path.read_bytes() == b"later\n"
    assert (tmp_path / "workers.log.1").read_bytes() == b"x" * 99 + b"y"


def test_rotated_logs_go_once_they_are_too_old_and_nothing_else_does(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for name, days in (("control.log", 400), ("control.log.1", 7), ("control.log.2", 12), ("control.log.lock", 400), ("mine.txt.1", 400)):
        (tmp_path / name).touch()
        then = (now - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (then, then))
    assert drop_old(tmp_path, now, timedelta(days=10)) == ["control.log.2"]
    assert drop_old(tmp_path, now + timedelta(hours=20), timedelta(days=7)) == []  # a clock that jumps by hours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["control.log", "control.log.1", "control.log.lock", "mine.txt.1"]


def test_the_agent_tends_the_logs_of_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "MAX_BYTES", 10)
    (tmp_path / "store.log").write_bytes(b"x" * 20)
    (tmp_path / "agent.log.3").touch()
    os.utime(tmp_path / "agent.log.3", (0, 0))
    LogCare(tmp_path, 90, ManualClock()).tend()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.log", "store.log.1"]
    assert (tmp_path / "store.log").stat().st_size == 0
