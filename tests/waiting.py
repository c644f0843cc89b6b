"""Waiting for what a real process does: a condition with a deadline, never a fixed sleep."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], within_s: float = 10.0, every_s: float = 0.05, what: str = "") -> T:
    """The first truthy answer of `condition`; AssertionError with the last answer once `within_s` have passed."""
    pause = threading.Event()
    deadline = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what or 'the condition'} did not come true within {within_s} s; last answer: {answer!r}")
        pause.wait(every_s)
