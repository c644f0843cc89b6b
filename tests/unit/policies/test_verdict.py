"""The verdict: what makes it red, what amber, and what it says first."""

from dataclasses import replace
from typing import Any

import pytest

from levqor.policies.verdict import Facts, Level, judge

CALM = Facts(target=2, running=2, depth=0.0, oldest_wait_s=None, dead=0.0, spent_share=0.61)


def test_calm_is_healthy_with_its_figures() -> None:
    verdict = judge(CALM)
    assert (verdict.level, verdict.because) == (Level.OK, ())
    assert verdict.sentence == "Healthy. 2 of 2 workers, nothing waits, 61% of today's limit spent."


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param({"database_problem": "x"}, "the database does not answer, so nothing automatic acts (x)", id="database"),
        pytest.param({"leads": False}, "no autopilot leads, so nothing automatic acts", id="no leader"),
        pytest.param({"open_incidents": 1, "escalated": 1}, "1 incident handed to a person", id="escalated"),
        pytest.param({"pages": ("the store is down",)}, "the store is down", id="page"),
    ],
)
def test_what_needs_a_person_is_red(facts: dict[str, Any], says: str) -> None:
    verdict = judge(replace(CALM, **facts))
    assert (verdict.level, verdict.because) == (Level.ACT, (says,))
    assert verdict.sentence.startswith(f"Act: {says}. ")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        pytest.param({"open_incidents": 2}, "2 incidents open", id="incidents"),
        pytest.param({"tickets": ("budget burns",)}, "budget burns", id="ticket"),
        pytest.param({"unknown": ("p95_ms", "dead")}, "unknown: p95_ms, dead", id="unknown"),
        pytest.param({"is_frozen": True}, "spend freezes steps up", id="freeze"),
        pytest.param({"hold": "held by mia: a release"}, "held by mia: a release", id="hold"),
        pytest.param({"dead": 1.0}, "1 dead letter", id="one dead letter"),
        pytest.param({"dead": 12.0}, "12 dead letters", id="dead letters"),
    ],
)
def test_what_is_looked_after_is_amber(facts: dict[str, Any], says: str) -> None:
    verdict = judge(replace(CALM, **facts))
    assert (verdict.level, verdict.because) == (Level.WATCH, (says,))
    assert verdict.sentence.startswith(f"Watch: {says}. ")


def test_the_gravest_comes_first_and_nothing_is_left_out() -> None:
    verdict = judge(replace(CALM, leads=False, dead=3.0, pages=("p",), open_incidents=2, escalated=1))
    assert verdict.because == (
        "no autopilot leads, so nothing automatic acts",
        "1 incident handed to a person",
        "p",
        "1 incident open",
        "3 dead letters",
    )


def test_a_database_that_is_down_is_said_once() -> None:
    """Without it nobody can lead: that is no second trouble."""
    assert len(judge(replace(CALM, database_problem="gone", leads=False)).because) == 1


def test_unknown_is_never_zero() -> None:
    """S3: what is not known has a question mark, and no figure."""
    sentence = judge(Facts(unknown=("queue_depth",))).sentence
    assert sentence == "Watch: unknown: queue_depth. ? of ? workers, queue unknown."


@pytest.mark.parametrize(
    ("depth", "oldest", "says"),
    [(1.0, 4.4, "1 job waiting, the oldest for 4 s"), (7.0, None, "7 jobs waiting"), (0.0, None, "nothing waits")],
)
def test_the_queue_in_words(depth: float, oldest: float | None, says: str) -> None:
    assert f", {says}" in judge(replace(CALM, depth=depth, oldest_wait_s=oldest)).sentence


def test_as_a_dict() -> None:
    assert judge(CALM).as_dict() == {"level": "ok", "sentence": judge(CALM).sentence, "because": []}
