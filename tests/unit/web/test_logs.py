"""Logs are JSON, stay small, and hold no secret (spec X2, P5)."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from levqor import logfile
from levqor.settings import Settings
from levqor.web import logs


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "logs": tmp_path / "logs",
            "admin_token": "s3cret-admin-token",
            "api_keys": "s3cret-key-1,s3cret-key-2",
            "redis_url": "redis://:s3cret%2Fpassword@127.0.0.1:6379/0",
        }
    )


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """What a test configures ends with it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


def lines(settings: Settings) -> list[dict[str, object]]:
    return [json.loads(line) for line in (settings.logs / "control.log").read_text().splitlines()]


def test_lines_are_json_from_either_library(settings: Settings) -> None:
    logs.configure(settings)
    structlog.get_logger("levqor.web").info("scaled", target=3)
    logging.getLogger("redis").info("connected", extra={"port": 1})
    first, second = lines(settings)
    assert (first["event"], first["target"], first["level"]) == ("scaled", 3, "info")
    assert (second["event"], second["port"], second["logger"]) == ("connected", 1, "redis")


def test_no_secret_leaves_with_a_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """X2: not by the message, a field or a traceback; not in the file nor on the terminal."""
    logs.configure(settings)
    try:
        raise RuntimeError("redis://:s3cret%2Fpassword@127.0.0.1:6379/0 refused s3cret/password")
    except RuntimeError:
        logging.getLogger("levqor").exception("failed with %s", "s3cret-admin-token", extra={"key": "s3cret-key-2"})
    assert "RuntimeError" in str(lines(settings)[0]["exception"])
    terminal = capsys.readouterr().err
    assert "RuntimeError" in terminal
    assert "Traceback" not in terminal
    for text in (terminal, (settings.logs / "control.log").read_text()):
        assert "s3cret" not in text
        assert "***" in text


def test_the_terminal_shows_warnings_only(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(settings)
    logging.getLogger("levqor").info("quiet")
    logging.getLogger("levqor").warning("loud")
    terminal = capsys.readouterr().err
    assert "loud" in terminal
    assert "quiet" not in terminal


def test_files_are_rotated_and_no_line_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: two handlers stand for two processes that share the file."""
    monkeypatch.setattr(logfile, "MAX_BYTES", 500)
    monkeypatch.setattr(logfile, "KEPT_FILES", 50)
    handlers = [logfile.SharedRotatingFile(tmp_path / "control.log", encoding="utf-8") for _ in range(2)]
    for number in range(200):
        handlers[number % 2].emit(logging.makeLogRecord({"msg": f"line {number}"}))
    for handler in handlers:
        handler.close()
    files = [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert all(path.stat().st_size < 520 for path in files)
    written = sorted(int(line.split()[1]) for path in files for line in path.read_text().splitlines())
    assert written == list(range(200))


def test_only_so_many_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "MAX_BYTES", 100)
    handler = logfile.SharedRotatingFile(tmp_path / "control.log", encoding="utf-8")
    for number in range(200):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    handler.close()
    assert len([path for path in tmp_path.iterdir() if path.suffix != ".lock"]) == logfile.KEPT_FILES + 1
