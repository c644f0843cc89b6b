"""Logs: JSON lines in a file that stays small, warnings on the terminal, and no secret in either (spec X2, P5)."""

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from levqor.logfile import SharedRotatingFile
from levqor.settings import Settings

MASK = "***"
SHORTEST_SECRET = 4
"""What is shorter would mask ordinary words."""


def configure(settings: Settings, name: str = "control.log") -> None:
    """Send all logs of this process to `name` in the logs folder and its warnings to standard error. Once, at its start."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    masked = masker(secrets_of(settings))
    file = SharedRotatingFile(settings.logs / name, encoding="utf-8")
    file.setFormatter(_formatter(shared, [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(), masked]))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_formatter(shared, [_short_error, structlog.dev.ConsoleRenderer(colors=False), masked]))
    root = logging.getLogger()
    root.addHandler(file)
    root.addHandler(terminal)
    root.setLevel(settings.log_level)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings are what strangers send


def _formatter(shared: list[Processor], last: list[Processor]) -> logging.Formatter:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()], processors=[remove, *last])


def _short_error(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """On the terminal an error is its kind; the file has the traceback."""
    info = event.pop("exc_info", None)
    kind = info[0] if isinstance(info, tuple) else type(info) if isinstance(info, BaseException) else sys.exc_info()[0] if info else None
    return {**event, "error": kind.__name__} if kind else event


def secrets_of(settings: Settings) -> set[str]:
    """Every secret in the settings, and the passwords inside their URLs."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        for secret in value if isinstance(value, list) else [value]:
            if isinstance(secret, SecretStr):
                found |= {secret.get_secret_value(), *_passwords(secret.get_secret_value())}
    return {secret for secret in found if len(secret) >= SHORTEST_SECRET}


def _passwords(url: str) -> set[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()


def masker(secrets: Iterable[str]) -> Callable[[WrappedLogger, str, Any], str]:
    """The last step of a formatter: whatever the line holds, no secret leaves with it."""
    longest_first = sorted(secrets, key=len, reverse=True)

    def masked(_: WrappedLogger, __: str, rendered: Any) -> str:
        line = str(rendered)
        for secret in longest_first:
            line = line.replace(secret, MASK)
        return line

    return masked
