"""The first signal asks, a second one insists; what a wrapper doubles is one."""

import os
import signal
from collections.abc import Iterator

import pytest
from tests.clock import ManualClock

from levqor.agent.stopping import StopSignals


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signals(clock: ManualClock) -> Iterator[StopSignals]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    stop = StopSignals(clock)
    stop.install()
    yield stop
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_nothing_was_asked(signals: StopSignals) -> None:
    assert not signals.asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_asks(signals: StopSignals, number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    assert signals.asked
    assert not signals.insisted


def test_a_later_one_insists(signals: StopSignals, clock: ManualClock) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    clock.advance(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.insisted


def test_two_at_once_are_one_wish(signals: StopSignals, clock: ManualClock) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    clock.advance(0.1)
    os.kill(os.getpid(), signal.SIGINT)
    assert not signals.insisted


def test_a_closed_terminal_changes_nothing(signals: StopSignals) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    assert not signals.asked
