"""From the columns of a file to events: which column is which field, and the many ways in which a time is written."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from levqor.domain.errors import UsageError
from levqor.domain.retention import Event
from levqor.policies.events import FIELDS, event_of, since_1970

NEEDED = ("user_id", "ts")
NUMBER = re.compile(r"\d{1,14}(\.\d{1,9})?", re.ASCII)
COMPACT_DAY = re.compile(r"\d{8}", re.ASCII)
TRUE, FALSE = frozenset({"true", "t", "yes", "y", "1"}), frozenset({"false", "f", "no", "n", "0", ""})
EXPECTED = "ts: expected a date or a time such as 2026-11-22, 20261122, 2026-11-22T03:12Z, or seconds or milliseconds since 1970"


def parse_mapping(text: str | None) -> dict[str, str]:
    """`user_id=customer,ts=date` as fields and their columns. Raises UsageError."""
    mapping: dict[str, str] = {}
    for part in (text or "").split(","):
        target, equals, column = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not equals or not column or target not in FIELDS or target in mapping:
            raise UsageError(f"--map: expected FIELD=COLUMN,...; each field once, of: {', '.join(sorted(FIELDS))}")
        mapping[target] = column
    return mapping


def sources(mapping: Mapping[str, str], names: Sequence[str] | None) -> dict[str, str]:
    """The column of each field: the mapped one, else the one of the same name, unless it is mapped to another field.

    `names` None: not known beforehand (a JSON object a line). Raises UsageError where a column is missing.
    """
    found = {name: name for name in FIELDS if name not in mapping and name not in mapping.values() and (names is None or name in names)}
    found.update(mapping)
    missing = [name for name in NEEDED if name not in found] + [
        name for name in mapping.values() if names is not None and name not in names
    ]
    if missing:
        there = f"; there are: {', '.join(names)}" if names is not None else ""
        raise UsageError(f"no column for {', '.join(missing)}{there}. Say which is which: --map user_id=COLUMN,ts=COLUMN")
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """How a line's fields become an event."""

    columns: Mapping[str, str]
    zone: tzinfo
    """Of times that name none."""
    ts_format: str | None
    now: datetime

    def event(self, line: int, row: Mapping[str, Any]) -> Event:
        """Raises ValueError that says what is wrong. A line without an id gets one from its number and what it says."""
        fields = {name: row[column] for name, column in self.columns.items() if row.get(column) not in (None, "")}
        if "is_service" in fields:
            fields["is_service"] = _yes(fields["is_service"])
        if "id" not in fields:
            said = f"{line}\0{fields.get('user_id')}\0{fields.get('ts')}"
            fields["id"] = "line:" + hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return event_of(fields, self.now, self._moment())

    def _moment(self) -> Callable[[object], datetime]:
        return lambda value: moment(value, self.zone, self.ts_format)


def moment(value: object, zone: tzinfo, ts_format: str | None) -> datetime:
    """A time as files have it; without an offset it is of `zone`. Raises ValueError."""
    if type(value) is int or type(value) is float:
        return since_1970(value)
    if not isinstance(value, str):
        raise ValueError(EXPECTED)
    try:
        found = _parsed(value, ts_format)
    except (ValueError, OverflowError):
        raise ValueError(EXPECTED if ts_format is None else "ts: not as --ts-format says") from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _parsed(text: str, ts_format: str | None) -> datetime:
    if ts_format is not None:
        return datetime.strptime(text, ts_format)  # noqa: DTZ007 (the caller adds the zone)
    if NUMBER.fullmatch(text) and not COMPACT_DAY.fullmatch(text):
        return since_1970(float(text))
    return datetime.fromisoformat(text)


def _yes(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in TRUE | FALSE:
        raise ValueError("is_service: expected true or false")
    return word in TRUE
