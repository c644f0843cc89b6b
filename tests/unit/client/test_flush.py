"""The flusher is bounded and silent, whatever the store does."""

import logging
import sys
from typing import Any

import pytest
import redis

from levqor.client import flush
from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder, Series

ITEMS: Series = ("http", "service", "GET", "/items/{id}")


class Unreachable:
    """A store that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        raise redis.ConnectionError("redis://:secret@nowhere")


def test_an_outage_is_told_once_and_without_its_url(caplog: pytest.LogCaptureFixture) -> None:
    """X2."""
    flusher = Flusher(Recorder(), Unreachable(), "writer")
    with caplog.at_level(logging.WARNING, "levqor"):
        assert [flusher.flush_once() for _ in range(3)] == [False, False, False]
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_what_waits_for_a_store_that_is_down_is_bounded() -> None:
    """P5: the oldest is dropped and counted."""
    recorder = Recorder()
    flusher = Flusher(recorder, Unreachable(), "writer")
    for _ in range(flush.MAX_PENDING + 3):
        recorder.observe(ITEMS, 10.0)
        flusher.flush_once()
    assert len(flusher._pending) == flush.MAX_PENDING
    assert flusher.dropped == 3


def test_a_batch_too_old_to_be_remembered_by_the_store_is_dropped() -> None:
    recorder = Recorder()
    flusher = Flusher(recorder, Unreachable(), "writer")
    recorder.observe(ITEMS, 10.0)
    flusher.flush_once()
    flusher._pending[0].drained_at -= flush.MAX_BATCH_AGE_S + 1
    flusher.flush_once()
    assert not flusher._pending
    assert flusher.dropped == 1


def test_silence_is_no_batch() -> None:
    """While nothing is measured a store that is down costs no memory."""
    flusher = Flusher(Recorder(), Unreachable(), "writer")
    for _ in range(5):
        flusher.flush_once()
    assert not flusher._pending
    assert flusher.dropped == 0


def test_without_redis_installed_the_process_hears_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name == "redis" or name.startswith("redis.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    flusher = Flusher(Recorder(), "redis://127.0.0.1:1/0", "writer")
    with caplog.at_level(logging.WARNING, "levqor"):
        assert not flusher.flush_once()
    assert "levqor[redis]" in caplog.text


def test_a_wrong_url_is_no_error_of_the_app() -> None:
    assert not Flusher(Recorder(), "no url at all", "writer").flush_once()


def test_a_closed_flusher_does_not_start_again() -> None:
    flusher = Flusher(Recorder(), Unreachable(), "writer")
    flusher.close()
    flusher.close()
    flusher.start()
    assert flusher._thread is None
