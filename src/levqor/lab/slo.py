"""The watchdog's judgement, one window a line: so that anyone can examine it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from levqor.domain.errors import UsageError
from levqor.policies.slo import Count, Objective, Standing, judge, together

MAX_LINE = 10_000
FIELDS = ("requests", "over_p99", "errors")


def judge_lines(lines: Iterable[str], objectives: tuple[Objective, Objective], *, is_literal: bool) -> Iterator[str]:
    """For each line with a window's counts, a line with the judgement; a bad line gets `{"error": ...}`."""
    for line in lines:
        if not line.strip():
            continue
        try:
            yield json.dumps(_judge(_counts(line), objectives, is_literal))
        except UsageError as error:
            yield json.dumps({"error": str(error)})


def _counts(line: str) -> dict[str, int]:
    if len(line) > MAX_LINE:
        raise UsageError(f"expected a line of at most {MAX_LINE} characters")
    try:
        window = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("expected one JSON object a line") from None
    if not isinstance(window, dict):
        raise UsageError("expected one JSON object a line")
    for name in FIELDS:
        value = window.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**12:
            raise UsageError(f"{name}: expected a whole number from 0 to 10^12")
    for name in FIELDS[1:]:
        if window[name] > window["requests"]:
            raise UsageError(f"{name}: expected at most as many as requests")
    return {name: window[name] for name in FIELDS}


def _judge(window: dict[str, int], objectives: tuple[Objective, Objective], is_literal: bool) -> dict[str, Any]:
    """The check over latency and errors: its state, the least p-value, and what decided."""
    found = [
        judge(Count(window["requests"], window[name]), objective, is_literal=is_literal)
        for name, objective in zip(FIELDS[1:], objectives, strict=True)
    ]
    state = together(found)
    chances = [one.p_value for one in found if one.p_value is not None]
    decisive = [one for one in found if one.state is state] if state is not Standing.MET else found
    return {"state": state.value, "p_value": min(chances, default=1.0), "why": "; ".join(dict.fromkeys(one.why for one in decisive))}
