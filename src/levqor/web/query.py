"""Query parameters read strictly: each at most once, none unknown, every number finite and in its bounds (spec X3)."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from fastapi import Request

from levqor.web.problems import FieldError, ProblemError, sentence

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MAX_LENGTH = 64
MAX_ROWS = 1_000

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


class Query:
    """One request's query. Collects what is wrong; `check` raises all of it at once."""

    def __init__(self, request: Request, known: Sequence[str]) -> None:
        self._params = request.query_params
        self.errors: list[FieldError] = []
        names = [name for name, _ in self._params.multi_items()]
        if set(names) - set(known):
            self.wrong("query", f"holds an unknown parameter; known: {', '.join(known)}")
        for name in known:
            if names.count(name) > 1:
                self.wrong(name, "given more than once")

    def wrong(self, field: str, message: str) -> None:
        self.errors.append(FieldError(field=field, message=message))

    def check(self) -> None:
        """Raises 422 with every wrong parameter by name."""
        if self.errors:
            raise ProblemError(422, sentence(self.errors), errors=self.errors)

    def number(self, name: str, high: float, low: float = 0.0) -> float | None:
        """A finite number in [low, high]; None where it is not given or wrong."""
        text = self._params.get(name)
        if text is None:
            return None
        if len(text) > MAX_LENGTH or not NUMBER.fullmatch(text) or not math.isfinite(number := float(text)):
            self.wrong(name, "expected a finite number")
            return None
        if not low <= number <= high:
            self.wrong(name, f"expected a number from {low:g} to {high:g}")
            return None
        return number + 0.0

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        text = self._params.get(name, str(default))
        if len(text) > len(str(high)) or not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            self.wrong(name, f"expected a whole number from {low} to {high}")
            return default
        return int(text)

    def yes(self, name: str, default: bool) -> bool:
        text = self._params.get(name, "true" if default else "false").lower()
        if text not in ("true", "false", "1", "0"):
            self.wrong(name, "expected true or false")
        return text in ("true", "1")

    def choice(self, name: str, default: ChoiceT, known: type[ChoiceT]) -> ChoiceT:
        """One of an enumeration's words."""
        text = self._params.get(name, default.value)
        if text not in list(known):
            self.wrong(name, f"expected {' or '.join(known)}")
            return default
        return known(text)

    def moment(self, name: str, required: bool = False) -> datetime | None:
        """An ISO 8601 time; without an offset it is UTC."""
        text = self._params.get(name, "" if required else None)
        if text is None:
            return None
        try:
            # A plus sign that was not escaped arrives as a space.
            moment = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.wrong(name, "expected an ISO 8601 time, such as 2026-11-22T03:12:00Z")
            return None
