"""The events of one call, as JSON or as a JSON value a line: what is wrong with one does not sink the others."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from levqor.domain.retention import Event
from levqor.policies.events import event_of
from levqor.web.problems import ProblemError
from levqor.web.strict_json import MAX_DEPTH, MAX_NUMBER_LENGTH

NDJSON = "application/x-ndjson"
NDJSON_NAMES = frozenset({NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines"})
MAX_EVENTS = 10_000
MAX_LINE_BYTES = 65_536
MAX_COMMAS = 20 * MAX_EVENTS
"""Every value of a document needs a comma, and an event has five fields: with more commas it is no batch, and is not even read."""

NOT_A_NUMBER = float("nan")
"""Stands for what JSON does not know as a number: no field takes it, so it is that event's error and no other's."""


@dataclass(slots=True)
class Batch:
    """What a call holds: events that can be taken, and what is wrong with the others, by line (from 1)."""

    events: list[Event] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)


class _Doubled(dict[str, Any]):
    """An object in which a name is given twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    return table if len(table) == len(pairs) else _Doubled(table)


def _integer(text: str) -> float:
    return int(text) if len(text) <= MAX_NUMBER_LENGTH else NOT_A_NUMBER


def _constant(_: str) -> float:
    return NOT_A_NUMBER


DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_constant=_constant)


def batch_of(data: bytes, media_type: str, now: datetime) -> Batch:
    """Sort out a body. Raises ProblemError where it is no batch at all."""
    batch = Batch()
    for line, value in _values(data, media_type):
        try:
            if isinstance(value, ValueError):
                raise value
            if isinstance(value, _Doubled):
                raise ValueError("a name is given twice")
            batch.events.append(event_of(value, now))
        except ValueError as error:
            batch.errors.append({"line": line, "detail": str(error)})
    return batch


def _values(data: bytes, media_type: str) -> Iterator[tuple[int, object]]:
    if media_type == "application/json":
        return enumerate(_of_document(data), 1)
    if media_type in NDJSON_NAMES:
        return _of_lines(data)
    raise ProblemError(415, f"Send JSON or a JSON object a line, with Content-Type: application/json or {NDJSON}.")


def _of_document(data: bytes) -> list[object]:
    if data.count(b",") > MAX_COMMAS:
        raise too_many()
    try:
        document = DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise _not_json("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"wrong at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _not_json(f"nested deeper than {MAX_DEPTH}") from None
    if not isinstance(document, dict) or isinstance(document, _Doubled) or document.keys() != {"events"}:
        raise ProblemError(422, 'The body: expected {"events": [...]} and no other field.')
    events = document["events"]
    if not isinstance(events, list):
        raise ProblemError(422, "events: expected a list")
    if len(events) > MAX_EVENTS:
        raise too_many()
    return events


def _of_lines(data: bytes) -> Iterator[tuple[int, object]]:
    lines = data.split(b"\n", MAX_EVENTS + 1)
    if len(lines) > MAX_EVENTS + 1 or (len(lines) == MAX_EVENTS + 1 and lines[-1].strip()):
        raise too_many()
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, _of_line(line)


def _of_line(line: bytes) -> object:
    """The value, or a ValueError that says why there is none."""
    if len(line) > MAX_LINE_BYTES:
        return ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        return DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        return ValueError("not UTF-8")
    except json.JSONDecodeError as error:
        return ValueError(f"not JSON at column {error.colno}")
    except RecursionError:
        return ValueError(f"nested deeper than {MAX_DEPTH}")


def too_many() -> ProblemError:
    """413, as for a body that is too large: what helps is to send it in parts."""
    return ProblemError(413, f"At most {MAX_EVENTS} events are taken in one call.")


def _not_json(why: str) -> ProblemError:
    return ProblemError(400, f"The body is not JSON: {why}.")
