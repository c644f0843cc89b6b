"""Dead letters on a real broker without waiting for workers: jobs are claimed and die by the worker's own steps."""

import json
import zlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import redis
from tests.contract.conftest import Stage

from levqor.client import rq_scripts as steps
from levqor.handlers import RUN


def bury(stage: Stage, job_ids: Sequence[str], error: str = "ConnectionError: refused") -> None:
    """Lets jobs that are queued die of this error, one after another."""
    with stage.client as client:
        run = steps.Steps(client)
        for job_id in job_ids:
            member = run.run(steps.CLAIM, "undertaker", uuid4().hex, 60, "default")[1]
            assert member.decode().partition(":")[0] == job_id
            run.run(steps.SETTLE, "default", member, "hopeless", error, "undertaker", f"rq:results:{job_id}", "0.1")


def dead(stage: Stage, handler: str = "note", error: str = "ConnectionError: refused", **options: Any) -> str:
    """One dead letter."""
    job_id = stage.submit(handler, {"path": str(stage.witness), "word": uuid4().hex}, **options)
    bury(stage, [job_id], error)
    return job_id


def fill(client: redis.Redis, count: int, queue: str = "default") -> list[str]:
    """Many dead letters, written as the steps would leave them."""
    ids = [f"job-{n}" for n in range(count)]
    data = zlib.compress(json.dumps([RUN, None, [], {"handler": "note", "payload": {}}]).encode())
    facts: Any = {
        "data": data, "description": "note", "timeout": 30, "result_ttl": 600, "origin": queue, "created_at": "2026-03-01T12:00:00Z",
        steps.HANDLER: "note", steps.MAX_ATTEMPTS: 3, steps.BACKOFF: "[1, 5]", steps.KEEP_S: 600,
    }  # fmt: skip
    pipeline = client.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hset(f"rq:job:{job_id}", mapping=facts)
    pipeline.execute()
    die_again(client, ids, queue)
    return ids


DIE_AGAIN = f"""
redis.call('DEL', KEYS[1], KEYS[2])
for at, id in ipairs(ARGV) do
  redis.call('HSET', 'rq:job:' .. id, 'status', 'failed', '{steps.ERROR}', "KeyError: 'x'", '{steps.DIED_AT}', '1000000000',
    '{steps.ATTEMPTS}', 3)
  redis.call('ZADD', KEYS[2], 4000000000 + at, id)
end
"""


def die_again(client: redis.Redis, ids: Sequence[str], queue: str = "default") -> None:
    """All of them are dead letters, and none is queued."""
    client.eval(DIE_AGAIN, 2, f"rq:queue:{queue}", f"rq:failed:{queue}", *ids)
