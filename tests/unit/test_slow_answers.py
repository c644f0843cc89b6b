"""Answers that are handed out while newer ones are looked for."""

import threading

import pytest
from tests.clock import ManualClock
from tests.waiting import eventually

from levqor.domain.errors import DatabaseDown
from levqor.monitors.slow_answers import FRESH_S, USABLE_S, SlowAnswers


class Question:
    """Counts how often it was asked; waits for `gate`, and fails while `error` is set."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def __call__(self) -> int:
        self.asked += 1
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return self.asked


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def question() -> Question:
    return Question()


def test_a_fresh_answer_is_asked_for_once(clock: ManualClock, question: Question) -> None:
    answers = SlowAnswers(clock)
    assert answers.of("a", question) == 1
    clock.advance(FRESH_S)
    assert (answers.of("a", question), question.asked) == (1, 1)


def test_an_older_one_is_handed_out_while_one_thread_asks_anew(clock: ManualClock, question: Question) -> None:
    answers = SlowAnswers(clock)
    answers.of("a", question)
    clock.advance(FRESH_S + 1)
    question.gate.clear()
    assert [answers.of("a", question) for _ in range(5)] == [1] * 5
    question.gate.set()
    eventually(lambda: answers.of("a", question) == 2, what="the newer answer")
    assert question.asked == 2


def test_beyond_use_the_asker_waits_and_hears_why_not(clock: ManualClock, question: Question) -> None:
    answers = SlowAnswers(clock)
    answers.of("a", question)
    clock.advance(USABLE_S + 1)
    question.error = DatabaseDown("gone")
    with pytest.raises(DatabaseDown):
        answers.of("a", question)
    question.error = None
    assert answers.of("a", question) == 3


def test_one_that_fails_behind_is_asked_for_again(clock: ManualClock, question: Question) -> None:
    answers = SlowAnswers(clock)
    answers.of("a", question)
    clock.advance(FRESH_S + 1)
    question.error = RuntimeError("a bug")
    assert answers.problem("a") is None
    assert answers.of("a", question) == 1
    eventually(lambda: answers.of("a", question) == 1 and question.asked >= 3, what="another try")
    eventually(lambda: answers.problem("a") == "31 s old: it could not be read anew (RuntimeError, see the log)", what="the reason")
    question.error = None
    eventually(lambda: answers.of("a", question) > 1, what="the newer answer")
    assert answers.problem("a") is None


def test_while_a_dependency_is_down_what_is_kept_says_so_and_how_old_it_is(clock: ManualClock, question: Question) -> None:
    """Unknown is never silent: what is handed out although it could not be read anew is told apart from what is fresh."""
    answers = SlowAnswers(clock)
    answers.of("a", question)
    clock.advance(USABLE_S)
    question.error = DatabaseDown("database sqlite: locked")
    assert answers.of("a", question) == 1
    eventually(lambda: answers.problem("a") == "120 s old: database sqlite: locked", what="the reason")
    assert answers.problem("b") is None
