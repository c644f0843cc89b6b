"""From outside: until when was the app sick, and how often did it fail?"""

import pytest
from tests.clock import ManualClock

from levqor.lab.load import Answer, SteadyLoad, sick_until


def answers(*bad: float) -> list[Answer]:
    """Ten a second from 0 to 30 s; bad where named."""
    return [Answer(number / 10, 300.0 if number / 10 in bad else 20.0, number / 10 in bad) for number in range(300)]


@pytest.mark.parametrize(
    ("bad", "until"),
    [
        pytest.param((), None, id="never sick"),
        pytest.param((1.0, 2.0), None, id="two of fifty are the machine's"),
        pytest.param((1.0, 2.0, 3.0), 3.0, id="three of fifty are a sickness"),
        pytest.param((1.0, 2.0, 3.0, 6.0, 7.0, 9.9, 22.0), 9.9, id="the last sick slot counts, a straggler does not"),
    ],
)
def test_sick_until_the_last_slot_with_one_bad_answer_in_twenty(bad: tuple[float, ...], until: float | None) -> None:
    assert sick_until(answers(*bad), lambda answer: answer.is_failed) == until
    assert sick_until(answers(*bad), lambda answer: answer.ms >= 200) == until


def test_failures_since_a_moment() -> None:
    load = SteadyLoad("http://127.0.0.1:1", 1.0, ManualClock(), answers=answers(1.0, 20.0))
    assert load.failed_since(0.0) == (2, 300)
    assert load.failed_since(20.0) == (1, 100)


def test_a_load_that_nobody_answers_is_all_failures() -> None:
    from tests.conftest import free_port
    from tests.waiting import eventually

    from levqor.host import SystemClock

    with SteadyLoad(f"http://127.0.0.1:{free_port()}", 50.0, SystemClock()) as load:
        eventually(lambda: len(load.answers) >= 5, what="requests")
    assert all(answer.is_failed for answer in load.answers)
