"""Answers that cost more to find than they change: handed out as they are while a thread finds them anew, and said when it cannot."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from levqor.domain.errors import DependencyDown
from levqor.ports import Clock

FRESH_S = 30.0
"""An answer younger than this is handed out as it is."""

USABLE_S = 120.0
"""An older one still is, while a newer one is looked for behind; beyond this the asker waits."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    answer: Any


class SlowAnswers:
    """By name; thread-safe. What a question raises reaches the asker who waits for it; where nobody does, `problem` tells it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._asking: set[str] = set()
        self._failed: dict[str, str] = {}

    def of(self, name: str, question: Callable[[], Any]) -> Any:
        """The answer to the question of that name, at most two minutes old."""
        with self._lock:
            kept = self._kept.get(name)
        age_s = None if kept is None else self._clock.monotonic() - kept.at
        if kept is None or age_s is None or age_s > USABLE_S:
            return self._ask(name, question)
        if age_s > FRESH_S:
            self._ask_behind(name, question)
        return kept.answer

    def problem(self, name: str) -> str | None:
        """Why the answer of that name is older than it should be; None where it is not."""
        with self._lock:
            kept, why = self._kept.get(name), self._failed.get(name)
        if kept is None or why is None:
            return None
        return f"{self._clock.monotonic() - kept.at:.0f} s old: {why}"

    def _ask(self, name: str, question: Callable[[], Any]) -> Any:
        at = self._clock.monotonic()
        answer = question()
        with self._lock:
            self._kept[name] = _Kept(at, answer)
            self._failed.pop(name, None)
        return answer

    def _ask_behind(self, name: str, question: Callable[[], Any]) -> None:
        """In a thread of its own, unless one asks already."""
        with self._lock:
            if name in self._asking:
                return
            self._asking.add(name)

        def ask() -> None:
            try:
                self._ask(name, question)
            except Exception as error:
                log.warning("a slow answer failed", name=name, exc_info=True)
                is_told = isinstance(error, DependencyDown)
                self._fail(name, str(error) if is_told else f"it could not be read anew ({type(error).__name__}, see the log)")
            finally:
                self._asking.discard(name)

        try:
            threading.Thread(target=ask, name=f"slow-{name}", daemon=True).start()
        except RuntimeError:
            # No thread to be had now: what is kept is still usable, and the next asker tries again.
            self._asking.discard(name)
            log.warning("no thread for a slow answer", name=name, exc_info=True)
            self._fail(name, "no thread could be started to read it anew")

    def _fail(self, name: str, why: str) -> None:
        with self._lock:
            self._failed[name] = why
