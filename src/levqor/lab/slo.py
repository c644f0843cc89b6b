"""The watchdog's judgement, one window a line: so that anyone can examine it."""

from collections.abc import Iterable, Iterator
from typing import Any

from levqor.domain.errors import UsageError
from levqor.lab.lines import answer_lines, whole
from levqor.policies.slo import Count, Objective, Standing, judge, together

MAX_LINE = 10_000
FIELDS = ("requests", "over_p99", "errors")


def judge_lines(lines: Iterable[str], objectives: tuple[Objective, Objective], *, is_literal: bool) -> Iterator[str]:
    """For each line with a window's counts, a line with the judgement; a bad line gets `{"error": ...}`."""
    return answer_lines(lines, lambda window: _judge(_counts(window), objectives, is_literal), MAX_LINE)


def _counts(window: dict[str, Any]) -> dict[str, int]:
    counts = {name: whole(window, name, 0, 10**12) for name in FIELDS}
    for name in FIELDS[1:]:
        if counts[name] > counts["requests"]:
            raise UsageError(f"{name}: expected at most as many as requests")
    return counts


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
