"""The agent's own log: JSON lines in a file that is turned over, warnings also on the terminal (spec X2)."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from levqor.logfile import SharedRotatingFile


class JsonLines(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def open_log(folder: Path, level: str) -> logging.Logger:
    """Send what `levqor` logs in this process to `agent.log`."""
    to_file = SharedRotatingFile(folder / "agent.log", encoding="utf-8")  # agents of two data folders may share one of logs
    to_file.setFormatter(JsonLines())
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter("levqor: %(message)s"))
    logger = logging.getLogger("levqor")
    logger.setLevel(level)
    logger.handlers = [to_file, to_terminal]
    logger.propagate = False
    return logger
