"""An event from what somebody sent: which fields it may have, and what they may hold."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from levqor.domain.retention import Event, event_problem

FIELDS = frozenset({"id", "user_id", "ts", "kind", "is_service"})
REQUIRED = ("id", "user_id", "ts")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
FIRST_MS = 100_000_000_000
"""A number from here on is milliseconds since 1970; below it, seconds (until the year 5138)."""
LAST_MS = 100_000_000_000_000
EXPECTED = "ts: expected RFC 3339 with its offset, such as 2026-11-22T03:12:00Z, or seconds or milliseconds since 1970"


def event_of(fields: object, now: datetime, moment: Callable[[object], datetime] | None = None) -> Event:
    """The event. Raises ValueError that says what is wrong, the field's name first, and repeats nothing."""
    if not isinstance(fields, dict):
        raise ValueError("expected an object")
    if not fields.keys() <= FIELDS:
        raise ValueError(f"holds a field that is not known here; known: {', '.join(sorted(FIELDS))}")
    kind, is_service = fields.get("kind", "active"), fields.get("is_service", False)
    if type(kind) is not str:
        raise ValueError("kind: expected a text")
    if type(is_service) is not bool:
        raise ValueError("is_service: expected true or false")
    try:
        event = Event(_id(fields, "id"), _id(fields, "user_id"), (moment or moment_of)(fields["ts"]), kind, is_service)
    except KeyError:
        raise ValueError(_missing(fields)) from None
    problem = event_problem(event, now)
    if problem is not None:
        raise ValueError(problem)
    return event


def moment_of(value: object) -> datetime:
    """RFC 3339 with its offset, or a number since 1970. Raises ValueError."""
    if type(value) is str:
        if not RFC_3339.fullmatch(value):
            raise ValueError(EXPECTED)
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError:
            raise ValueError(EXPECTED) from None
    if type(value) is int or type(value) is float:
        return since_1970(value)
    raise ValueError(EXPECTED)


def since_1970(number: float) -> datetime:
    """Seconds or milliseconds, by their size. Raises ValueError."""
    if not 0 <= number < LAST_MS:  # NaN is not either
        raise ValueError(EXPECTED)
    return datetime.fromtimestamp(number if number < FIRST_MS else number / 1000, UTC)


def _id(fields: Mapping[str, Any], name: str) -> str:
    """A whole number is taken as its digits: many installations number their people."""
    value = fields[name]
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    raise ValueError(f"{name}: expected a text or a whole number")


def _missing(fields: Mapping[str, Any]) -> str:
    return f"{next(name for name in REQUIRED if name not in fields)}: missing"
