"""A waiting `levqor.rq.Worker` that is told to stop in the instant in which a job comes still runs it (spec A8)."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import rq

from levqor.rq import Worker


class Instant(rq.Queue):
    """Its jobs are handed over in the very instant in which the worker is told to stop."""

    @classmethod
    def dequeue_any(cls, *args: Any, **kwargs: Any) -> Any:
        found = super().dequeue_any(*args, **kwargs)
        if found is not None:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(0.01)  # the handler runs here, with the job in hand
        return found


class Torn(rq.Worker):
    """RQ's own manners."""

    queue_class = Instant


class Kept(Worker):
    queue_class = Instant


@pytest.fixture
def own_signals() -> Iterator[None]:
    """A worker in this process takes them over."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize(("kind", "left"), [(Kept, "finished"), (Torn, "queued")])
def test_a_job_that_comes_with_the_order_to_stop_is_run(store_url: str, kind: type[rq.Worker], left: str) -> None:
    """RQ's own worker drops it, which is why the class exists: should RQ mend that, this test says so."""
    with redis.Redis.from_url(store_url) as client:
        queue = Instant("default", connection=client)
        job = queue.enqueue("time.sleep", 0)
        kind([queue], connection=client).work(max_jobs=1, max_idle_time=5)
        assert str(job.get_status(refresh=True).value) == left
        assert queue.count == 0
