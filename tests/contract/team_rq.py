"""What a team's program does with its own version of RQ: `python team_rq.py URL enqueue|fetch < JSON`. Prints JSON."""

import json
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import redis
from rq import Queue, Retry
from rq.job import Job
from tests.contract import team_jobs


def enqueue(client: redis.Redis, orders: list[dict[str, Any]]) -> list[str]:
    """Each order: function, queue, path (for its argument), retries, delay_s."""
    ids = []
    for order in orders:
        queue = Queue(order.get("queue", "default"), connection=client)
        function = getattr(team_jobs, order["function"])
        arguments = [Path(order["path"])] if "path" in order else [Decimal("1.5"), Decimal(2)] if order["function"] == "add" else []
        arguments += [order["times"]] if "times" in order else []
        options = {"retry": Retry(max=order["retries"])} if "retries" in order else {}
        if "delay_s" in order:
            job = queue.enqueue_in(timedelta(seconds=order["delay_s"]), function, *arguments, **options)
        else:
            job = queue.enqueue(function, *arguments, **options)
        ids.append(job.id)
    return ids


def fetch(client: redis.Redis, job_ids: list[str]) -> list[dict[str, str]]:
    """What this version says of the jobs and their results."""
    jobs = [Job.fetch(job_id, connection=client) for job_id in job_ids]
    return [{"status": str(getattr(job.get_status(), "value", job.get_status())), "result": repr(job.return_value())} for job in jobs]


if __name__ == "__main__":
    with redis.Redis.from_url(sys.argv[1]) as connection:
        orders = json.load(sys.stdin)
        print(json.dumps(enqueue(connection, orders) if sys.argv[2] == "enqueue" else fetch(connection, orders)))  # noqa: T201 (its answer)
