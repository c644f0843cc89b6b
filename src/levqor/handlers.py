"""The function that every job of Levqor's calls, and the handlers that are built in for trying out."""

import threading
import time
from collections.abc import Callable
from importlib import import_module
from math import isfinite
from types import MappingProxyType
from typing import Any

from levqor.client import jobs

BUILT_IN = MappingProxyType(
    {
        "sleep": "levqor.handlers:sleep",
        "cpu": "levqor.handlers:cpu",
        "flaky": "levqor.handlers:flaky",
        "fail": "levqor.handlers:fail",
    }
)
"""Handlers that every worker knows, by import path."""

RUN = "levqor.handlers.run"
"""What a job of Levqor's names as its function."""


class HandlerFailed(RuntimeError):
    """A built-in handler that was asked to fail has failed."""


class UnknownHandler(LookupError):
    """No handler of that name can be found by this worker."""


def run(handler: str, payload: dict[str, Any]) -> None:
    """Runs one job. What the handler returns is dropped: a job is known by what it does."""
    resolve(handler)(**payload)


def resolve(handler: str) -> Callable[..., object]:
    """The function behind a handler's name. A job names a handler, never an import path: only the worker says what is run."""
    job = jobs.current()
    path = {**BUILT_IN, **(job.handlers if job else {})}.get(handler)
    if path is None:
        raise UnknownHandler(f"no handler is registered as {handler!r}")
    module, _, attribute = path.partition(":")
    function = getattr(import_module(module), attribute, None)
    if not callable(function):
        raise UnknownHandler(f"{path} is not a function")
    return function  # type: ignore[no-any-return]


def sleep(seconds: float) -> None:
    """Waits, as a job that talks to a slow service does."""
    threading.Event().wait(_span(seconds))


def cpu(seconds: float) -> None:
    """Computes for this much processor time."""
    enough = time.process_time() + _span(seconds)
    while time.process_time() < enough:
        pass


def flaky(fail_times: int) -> None:
    """Fails on its first `fail_times` attempts and then succeeds."""
    job = jobs.current()
    if job is not None and job.attempt <= fail_times:
        raise HandlerFailed(f"attempt {job.attempt} of {fail_times} that fail")


def fail() -> None:
    """Fails each time."""
    raise HandlerFailed("this handler always fails")


def _span(seconds: float) -> float:
    if not isfinite(seconds) or seconds < 0:
        raise ValueError("seconds must be a number from 0")
    return float(seconds)
