"""How a check is run, and what it makes of an answer's fields (spec V1)."""

import threading
from typing import Any

import pytest

from levqor.domain.errors import DatabaseDown
from levqor.host import SystemClock
from levqor.verify.checks import LONGEST_TEXT, Check, NotApplicable, NotAsExpected, Outcome, Result, Stage, number, perform, told, whole
from levqor.verify.report import report, verdict
from levqor.verify.suites import run


def look(answer: str | Exception) -> Any:
    def looked() -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return looked


def performed(answer: str | Exception, limit_s: float = 5.0) -> Result:
    return perform(
        Check("c", "something", look(answer), limit_s), "stage", limit_s, SystemClock(), lambda text: text.replace("geheim", "***")
    )


@pytest.mark.parametrize(
    ("answer", "outcome", "seen"),
    [
        pytest.param("fine", Outcome.PASS, "fine", id="seen"),
        pytest.param(NotAsExpected("a cat"), Outcome.FAIL, "a cat", id="something else"),
        pytest.param(NotApplicable("no key"), Outcome.SKIP, "", id="not here"),
        pytest.param(DatabaseDown("down"), Outcome.FAIL, "down", id="an error of ours"),
        pytest.param(KeyError("x"), Outcome.FAIL, "KeyError: 'x'", id="what nobody foresaw"),
        pytest.param("token geheim", Outcome.PASS, "token ***", id="a secret is masked"),
    ],
)
def test_an_outcome_says_what_was_seen(answer: str | Exception, outcome: Outcome, seen: str) -> None:
    """X2, V1."""
    found = performed(answer)
    assert (found.outcome, found.seen, found.expected) == (outcome, seen, "something")
    assert bool(found.reason) == (outcome is not Outcome.PASS)


def test_a_check_that_hangs_is_a_failure_and_holds_up_nothing() -> None:
    """V1."""
    release = threading.Event()
    hanging = Check("hangs", "an end", lambda: str(release.wait(60)), limit_s=0.05)
    todo = [Stage("first", (hanging, Check("next", "something", look("fine"), 5.0))), Stage("second", (hanging,))]
    results = list(run(todo, 60.0, SystemClock(), str))
    release.set()
    assert [(result.id, result.outcome) for result in results] == [("hangs", Outcome.FAIL), ("next", Outcome.PASS)]
    assert results[0].seen == "nothing: it did not end within 0.05 s"


def test_a_run_whose_time_is_used_up_fails_what_is_left() -> None:
    """V1."""
    results = list(
        run([Stage("only", (Check("late", "something", lambda: str(threading.Event().wait(5)), 5.0),))], 0.0, SystemClock(), str)
    )
    assert [result.seen for result in results] == ["nothing: the time for the whole run is used up"]


def test_the_first_stage_that_fails_is_finished_and_is_the_last() -> None:
    """V1."""
    bad, good = Check("bad", "x", look(NotAsExpected("y")), 5.0), Check("good", "x", look("x"), 5.0)
    todo = [Stage("one", (good,)), Stage("two", (bad, good)), Stage("three", (good, good))]
    results = list(run(todo, 60.0, SystemClock(), str))
    found = report("all", "http://x", SystemClock().now(), 1.0, todo, results)
    assert (found["ok"], found["failed_at"], found["failed"]) == (False, "two", ["bad"])
    assert found["counts"] == {"pass": 2, "fail": 1, "skip": 0, "not_run": 2}
    assert verdict(found).startswith("FAILED @ two: bad (2 passed, 1 failed, 0 skipped, 2 not run)")


@pytest.mark.parametrize("value", [True, 3.0, -1, "3", None, [3]])
def test_a_count_is_a_whole_number(value: object) -> None:
    with pytest.raises(NotAsExpected, match=r"^n is "):
        whole({"n": value}, "n")


@pytest.mark.parametrize("value", [True, "3", None, float("inf"), float("nan")])
def test_a_number_is_finite(value: object) -> None:
    with pytest.raises(NotAsExpected, match=r"^n is "):
        number({"n": value}, "n")


def test_what_is_told_is_short_printable_and_on_one_line() -> None:
    assert told("a\n\x1b[31mb\ud800\x00c") == "a [31mb c"
    assert len(told("x" * 10_000)) == LONGEST_TEXT
