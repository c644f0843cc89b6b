"""`lab slo`: a line in, a line out (spec L1, W2b)."""

import json

import pytest

from levqor.lab.slo import judge_lines
from levqor.monitors.slo_watchdog import Objectives

LATENCY, ERRORS, _AVAILABILITY = Objectives().all()


def ask(*lines: str, is_literal: bool = False) -> list[dict[str, object]]:
    return [json.loads(line) for line in judge_lines(lines, (LATENCY, ERRORS), is_literal=is_literal)]


def test_each_line_gets_its_judgement() -> None:
    answers = ask(
        '{"requests": 60, "over_p99": 0, "errors": 12}',
        '{"requests": 60, "over_p99": 30, "errors": 0}',
        '{"requests": 5, "over_p99": 0, "errors": 1}',
        '{"requests": 0, "over_p99": 0, "errors": 0}',
    )
    assert [answer["state"] for answer in answers] == ["breached", "breached", "met", "met"]
    assert all(set(answer) == {"state", "p_value", "why"} for answer in answers)
    assert "12 of 60 requests failed" in str(answers[0]["why"])
    assert answers[0]["p_value"] == pytest.approx(2.7365e-16, rel=1e-3)


def test_the_literal_judgement_asks_for_no_evidence() -> None:
    assert ask('{"requests": 5, "over_p99": 0, "errors": 1}', is_literal=True)[0]["state"] == "breached"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("x", "JSON object"),
        ("[1]", "JSON object"),
        ("[" * 100_000, "at most"),
        ('{"requests": 1, "over_p99": 0}', "errors"),
        ('{"requests": 1, "over_p99": 0, "errors": 2}', "errors"),
        ('{"requests": true, "over_p99": 0, "errors": 0}', "requests"),
        ('{"requests": 1.5, "over_p99": 0, "errors": 0}', "requests"),
        ('{"requests": -1, "over_p99": 0, "errors": 0}', "requests"),
        ('{"requests": NaN, "over_p99": 0, "errors": 0}', "requests"),
        ('{"requests": 1e400, "over_p99": 0, "errors": 0}', "requests"),
    ],
)
def test_a_bad_line_gets_an_error_and_the_next_one_its_answer(line: str, named: str) -> None:
    bad, good = ask(line, '{"requests": 0, "over_p99": 0, "errors": 0}')
    assert named in str(bad["error"])
    assert good["state"] == "met"
