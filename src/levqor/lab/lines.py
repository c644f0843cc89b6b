"""JSON lines: one object in, one object out, so that anyone can examine a policy from any language."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from levqor.domain.errors import UsageError


def answer_lines(lines: Iterable[str], answer: Callable[[dict[str, Any]], dict[str, Any]], longest: int) -> Iterator[str]:
    """For each line the answer as a line; a bad line gets `{"error": ...}`, an empty one nothing."""
    for line in lines:
        if not line.strip():
            continue
        try:
            yield json.dumps(answer(_object(line, longest)))
        except UsageError as error:
            yield json.dumps({"error": str(error)})


def _object(line: str, longest: int) -> dict[str, Any]:
    if len(line) > longest:
        raise UsageError(f"expected a line of at most {longest} characters")
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("expected one JSON object a line") from None
    if not isinstance(asked, dict):
        raise UsageError("expected one JSON object a line")
    return asked


def whole(asked: dict[str, Any], name: str, least: int, most: int) -> int:
    """A field that is a whole number within its bounds. Raises UsageError that names it."""
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name}: expected a whole number from {least} to {most}")
    return value


def number(asked: dict[str, Any], name: str, most: float) -> float:
    """A field that is a number from 0 to `most`. Raises UsageError that names it."""
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or not 0 <= value <= most:
        raise UsageError(f"{name}: expected a number from 0 to {most:g}")
    return float(value)
