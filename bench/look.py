"""Time of `levqor look` on a real Valkey with 100 queues and 100,000 jobs, beside `rq info` of the same: whole processes."""

import base64
import json
import random
import resource
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import redis
from rq.job import Job

from bench.dead_letters import broker

QUEUES, JOBS, WORKERS = 100, 100_000, 50
DEAD_SHARE, FUNCTIONS, ERRORS = 5, 20, 10
"""One job in five is dead, in 200 groups."""

RUNS = 5
LIMIT_S = 3.0
AT_ONCE = 2_000


def jobs(client: redis.Redis, now: datetime) -> Iterator[None]:
    """Writes one job at each turn, in the way that RQ does; the pipeline is the caller's."""
    template = {key: value for key, value in Job.create("shop.orders.send", args=(1,), connection=client).to_dict().items() if value != ""}
    dice = random.Random(8)
    for number in range(JOBS):
        job_id, queue = f"job-{number}", f"queue-{number % QUEUES}"
        function = f"shop.part_{dice.randrange(FUNCTIONS)}.run"
        at = now - timedelta(seconds=JOBS - number)
        is_dead = number // QUEUES % DEAD_SHARE == 0
        fields = template | {"origin": queue, "description": f"{function}({number})", "enqueued_at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}
        if is_dead:
            fields |= {"status": "failed", "ended_at": fields["enqueued_at"], "worker_name": "worker-0"}
            client.zadd(f"rq:failed:{queue}", {job_id: at.timestamp() + 31_536_000})
            client.xadd(f"rq:results:{job_id}", {"type": "2", "exc_string": _trace(function, number, dice.randrange(ERRORS))})
        else:
            fields |= {"status": "queued"}
            client.rpush(f"rq:queue:{queue}", job_id)
        client.hset(f"rq:job:{job_id}", mapping=fields)
        yield


def _trace(function: str, number: int, error: int) -> bytes:
    lines = [f'  File "/srv/app/{function}.py", line {at}, in step_{at}\n    self.call({at})' for at in range(20)]
    text = "\n".join(["Traceback (most recent call last):", *lines, f"shop.errors.Error{error}: order {number}"])
    return base64.b64encode(zlib.compress(text.encode()))


def crew(client: redis.Redis, now: datetime) -> None:
    """Workers that are alive as long as the bench runs."""
    stamp = f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    for number in range(WORKERS):
        key = f"rq:worker:worker-{number}"
        queues = ",".join(f"queue-{at}" for at in range(number, QUEUES, WORKERS))
        seen: dict[Any, Any] = {"state": "idle", "birth": stamp, "last_heartbeat": stamp, "version": "3.0.0", "python_version": "3.11.7"}
        client.hset(key, mapping={**seen, "hostname": "host", "pid": str(100 + number), "queues": queues})
        client.expire(key, 480)
        client.sadd("rq:workers", key)
        for queue in queues.split(","):
            client.sadd(f"rq:workers:{queue}", key)


def fill(url: str) -> None:
    now = datetime.now(UTC)
    with redis.Redis.from_url(url) as client:
        client.sadd("rq:queues", *(f"rq:queue:queue-{number}" for number in range(QUEUES)))
        crew(client, now)
        pipeline = client.pipeline(transaction=False)
        turns = jobs(pipeline, now)
        while sum(1 for _ in islice(turns, AT_ONCE)):
            pipeline.execute()


def timed(command: list[str]) -> tuple[float, float, str]:
    """Median seconds of the whole process, seconds of a processor that it took, and what it printed."""
    times, printed, before = [], "", resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(RUNS):
        began = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        times.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy_s = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / RUNS
    return statistics.median(times), busy_s, printed


def main() -> int:
    with broker() as url:
        fill(url)
        ours, busy_s, printed = timed([sys.executable, "-m", "levqor.cli", "look", url, "--json"])
        theirs, their_busy_s, _ = timed([sys.executable, "-m", "rq.cli", "info", "--url", url])
    found = json.loads(printed)
    seen = sum(queue["waiting"] + queue["dead"] for queue in found["queues"])
    groups = len(found["dead"]["groups"])
    if (seen, len(found["queues"])) != (JOBS, QUEUES):
        print(f"not everything was seen: {seen:,} jobs, {len(found['queues'])} queues")
        return 1
    whole = f"{QUEUES} queues, {JOBS:,} jobs, {WORKERS} workers"
    dead = found["dead"]
    print(f"levqor look, {whole}: {ours:.2f} s, {busy_s:.2f} s of it on a processor; limit {LIMIT_S:g} s")
    print(f"  with {groups} of {FUNCTIONS * ERRORS} groups, from {dead['read']:,} of {dead['total']:,} dead jobs")
    print(f"rq info of the same broker (counts and workers alone): {theirs:.2f} s, {their_busy_s:.2f} s on a processor")
    return 0 if ours <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
