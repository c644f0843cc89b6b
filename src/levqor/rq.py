"""What a team types for its own workers: `rq worker -w levqor.rq.Worker high default`."""

from levqor.client.rq_drain import Drained
from levqor.client.rq_hook import Reported, SimpleWorker, Worker

__all__ = ["Drained", "Reported", "SimpleWorker", "Worker"]
