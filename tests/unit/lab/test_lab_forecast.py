"""`lab forecast`: a line in, a line out (spec L1, C3)."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from levqor.cli.lab import lab
from levqor.lab.forecast import forecast_lines_of

GOOD = '{"start": "2026-01-01", "values": [1, 2, 3], "horizon": 30}'


def ask(*lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in forecast_lines_of(lines)]


def test_each_line_gets_the_sum_with_its_interval() -> None:
    by_default, linear, short = ask(
        GOOD,
        '{"start": "2026-01-01", "values": [1, 2, 3], "horizon": 30, "method": "linear"}',
        '{"start": "2026-01-01", "values": [5, null, 5], "horizon": 2}',
    )
    assert by_default["forecast"] == pytest.approx(60.0)
    assert by_default["method"] == "run_rate"
    assert by_default["low"] < 60 < by_default["high"]
    assert (linear["forecast"], linear["low"], linear["high"]) == pytest.approx((555.0, 444.0, 666.0))
    assert linear["method"] == "linear"
    assert short["forecast"] == pytest.approx(10.0)


def test_no_history_is_null() -> None:
    (found,) = ask('{"start": "2026-01-01", "values": []}')
    assert found == {"forecast": None, "low": None, "high": None, "method": "none", "low_data": True}


def test_a_line_is_answered_before_the_next_is_read() -> None:
    def lines() -> Any:
        yield GOOD
        pytest.fail("read on before the answer was taken")

    assert json.loads(next(forecast_lines_of(lines())))["forecast"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("x", "JSON object"),
        ("[1]", "JSON object"),
        ("[" * 1_000_001, "at most"),
        ("[" * 100_000, "JSON object"),
        ('{"start": "2026-01-01"}', "values"),
        ('{"start": "2026-01-01", "values": 3}', "values"),
        ('{"start": "2026-01-01", "values": [NaN]}', "values"),
        ('{"start": "2026-01-01", "values": [1e400]}', "values"),
        ('{"start": "2026-01-01", "values": [true]}', "values"),
        ('{"start": "2026-01-01", "values": ["1"]}', "values"),
        ('{"start": "2026-01-01", "values": [' + "9" * 20_000 + "]}", "JSON object"),
        ('{"start": "2026-01-01", "values": [' + "9" * 400 + "]}", "values"),
        ('{"values": [1]}', "start"),
        ('{"start": 5, "values": [1]}', "start"),
        ('{"start": "2026-02-30", "values": [1]}', "start"),
        ('{"start": "9999-12-31", "values": [1]}', "start"),
        ('{"start": "2026-01-01", "values": [1], "horizon": 0}', "horizon"),
        ('{"start": "2026-01-01", "values": [1], "horizon": 367}', "horizon"),
        ('{"start": "2026-01-01", "values": [1], "horizon": true}', "horizon"),
        ('{"start": "2026-01-01", "values": [1], "horizon": 1.5}', "horizon"),
        ('{"start": "2026-01-01", "values": [1], "method": "prophet"}', "method"),
        ('{"start": "2026-01-01", "values": [1], "method": []}', "method"),
    ],
)
def test_a_bad_line_gets_an_error_and_the_next_one_its_answer(line: str, named: str) -> None:
    bad, good = ask(line, GOOD)
    assert named in str(bad["error"])
    assert good["forecast"]


def test_the_verb_answers_on_standard_output() -> None:
    result = CliRunner().invoke(lab, ["forecast"], input=f"{GOOD}\nx\n")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [set(answer) for answer in answers] == [{"forecast", "low", "high", "method", "low_data"}, {"error"}]
