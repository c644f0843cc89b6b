"""Put jobs into the queues: `python enqueue.py 200`."""

import os
import sys

import tasks
from redis import Redis
from rq import Queue

broker = Redis.from_url(os.environ["RQ_REDIS_URL"])  # noqa: TID251 (a sample has no settings of its own)
high, default = Queue("high", connection=broker), Queue("default", connection=broker)
for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 50):
    (high if number % 5 == 0 else default).enqueue(tasks.thumbnail, number)
default.enqueue(tasks.broken)
