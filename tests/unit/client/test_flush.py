"""The flusher is bounded and silent, whatever the store does."""

import logging
import subprocess
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


NOTHING_INSTALLED = """
import sys

class NothingInstalled:
    def find_spec(self, name, path=None, target=None):
        if path is None and name not in sys.stdlib_module_names and name != "levqor":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NothingInstalled())
import levqor.asgi, levqor.wsgi
answer = levqor.wsgi.Middleware(lambda environ, start_response: [b"x"], redis_url=sys.argv[1])({"REQUEST_METHOD": "GET"}, None)
assert list(answer) == [b"x"]
"""


def test_levqor_alone_reports_with_nothing_else_installed(store_url: str) -> None:
    """`pip install levqor` brings no dependency: also what a request and its flush need is the standard library."""
    program = [sys.executable, "-I", "-c", NOTHING_INSTALLED, store_url]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with redis.Redis.from_url(store_url) as client:
        assert client.scard(f"{flush.PREFIX}series") == 1


def test_many_series_go_in_parts_that_count_once(store_url: str) -> None:
    """P5: what is built to be sent stays small; a part that had arrived is not counted again."""
    recorder = Recorder()
    flusher = Flusher(recorder, store_url, "writer")
    for position in range(2 * flush.MAX_SERIES_AT_ONCE + 1):
        recorder.observe(("http", "service", "GET", f"/{position}"), 10.0)
    batch = flusher._drained()
    assert [len(part.grown) for part in batch.parts()] == [flush.MAX_SERIES_AT_ONCE, flush.MAX_SERIES_AT_ONCE, 1]
    flusher._send(batch)
    flusher._send(batch)
    with redis.Redis.from_url(store_url) as client:
        (slot,) = client.keys(f"{flush.PREFIX}slot:http:*")
        assert int(client.hget(slot, "t40.0") or 0) == 2 * flush.MAX_SERIES_AT_ONCE + 1


def test_a_wrong_url_is_no_error_of_the_app() -> None:
    assert not Flusher(Recorder(), "no url at all", "writer").flush_once()


def test_a_closed_flusher_does_not_start_again() -> None:
    flusher = Flusher(Recorder(), Unreachable(), "writer")
    flusher.close()
    flusher.close()
    flusher.start()
    assert flusher._thread is None
