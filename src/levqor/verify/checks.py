"""What a check is, and how one is run: within its limit, whatever it looks at (spec V1)."""

import math
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from levqor.domain.errors import LevqorError
from levqor.ports import Clock

LONGEST_TEXT = 300
"""Characters of what was seen that are told; an answer may be megabytes."""


class Outcome(StrEnum):
    """What became of a check."""

    PASS = "PASS"  # noqa: S105 (no password)
    FAIL = "FAIL"
    SKIP = "SKIP"


class NotAsExpected(Exception):
    """The check saw something else than it expects; its text says what."""


class NotApplicable(Exception):
    """The check says nothing here, and why; never a PASS."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to be verified. `look` answers what it saw, or raises NotAsExpected or NotApplicable."""

    id: str
    expected: str
    look: Callable[[], str]
    limit_s: float
    """The longest that it may take; what hangs longer is a FAIL."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Checks that stand or fall together: after a stage that failed none follows."""

    name: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What one check expected and saw."""

    stage: str
    id: str
    outcome: Outcome
    expected: str
    seen: str
    reason: str
    """Why it was skipped or failed; empty where it passed."""
    duration_s: float

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "outcome": self.outcome.value}


def perform(check: Check, stage: str, limit_s: float, clock: Clock, mask: Callable[[str], str]) -> Result:
    """Run one check in a thread that is left behind once the limit has passed: nothing that hangs can hold up the rest."""
    began = clock.monotonic()
    found: list[tuple[Outcome, str, str]] = []
    over = threading.Event()

    def look() -> None:
        try:
            found.append(_looked(check))
        finally:
            over.set()

    threading.Thread(target=look, name=f"check-{check.id}", daemon=True).start()
    over.wait(limit_s)
    silence = f"nothing: it did not end within {limit_s:.3g} s" if limit_s > 0 else "nothing: the time for the whole run is used up"
    outcome, seen, reason = found[0] if found else (Outcome.FAIL, silence, f"expected {check.expected}")
    return Result(stage, check.id, outcome, check.expected, told(mask(seen)), told(mask(reason)), round(clock.monotonic() - began, 3))


def _looked(check: Check) -> tuple[Outcome, str, str]:
    try:
        return Outcome.PASS, check.look(), ""
    except NotApplicable as error:
        return Outcome.SKIP, "", str(error)
    except NotAsExpected as error:
        return Outcome.FAIL, str(error), f"expected {check.expected}"
    except LevqorError as error:
        return Outcome.FAIL, str(error), f"expected {check.expected}"
    except Exception as error:  # noqa: BLE001 (what a check did not foresee is a failed check, not the end of the run)
        return Outcome.FAIL, f"{type(error).__name__}: {error}", f"expected {check.expected}"


def told(text: str) -> str:
    """On one line, printable, and short."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 3]}..."


# What answers are made of. Each raises NotAsExpected with the field's name and what is there instead.


def must(is_so: bool, seen: str) -> None:
    if not is_so:
        raise NotAsExpected(seen)


def shown(value: object) -> str:
    """A value as it is told: its type where that is what is wrong with it."""
    return "null" if value is None else f"{value!r:.80} ({type(value).__name__})"


def field(document: dict[str, Any], name: str) -> Any:
    must(name in document, f"no `{name}` in the answer")
    return document[name]


def whole(document: dict[str, Any], name: str) -> int:
    """A count: a whole number that is not negative. True and 3.0 are none."""
    value = field(document, name)
    must(isinstance(value, int) and not isinstance(value, bool) and value >= 0, f"{name} is {shown(value)}")
    return int(value)


def number(document: dict[str, Any], name: str) -> float:
    """A finite number."""
    value = field(document, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    must(is_number and math.isfinite(value), f"{name} is {shown(value)}")
    return float(value)


def text(document: dict[str, Any], name: str) -> str:
    value = field(document, name)
    must(isinstance(value, str) and bool(value), f"{name} is {shown(value)}")
    return str(value)


def listed(document: dict[str, Any], name: str) -> list[Any]:
    value = field(document, name)
    must(isinstance(value, list), f"{name} is {shown(value)}")
    return list(value)


def table(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = field(document, name)
    must(isinstance(value, dict), f"{name} is {shown(value)}")
    return dict(value)
