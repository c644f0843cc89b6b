"""Celery's `--autoscale`: a simplified re-implementation.

Source: docs.celeryq.dev, user guide "Workers" (autoscaling) and the settings `worker_prefetch_multiplier`, AUTOSCALE_KEEPALIVE.
"""

import math

from levqor.lab.ticks import Tick

KEEPALIVE_S = 30.0
PREFETCH = 4


class Celery:
    """Grows at once to the jobs that the worker has reserved (at most 4 a process), shrinks 30 s after it last grew.

    The product forks on its own machine: a start-up of tens of seconds is outside its design.
    """

    def __init__(self) -> None:
        self._grown_at = math.inf

    def decide(self, tick: Tick) -> int:
        if tick.depth is None or tick.busy is None:
            return tick.target
        reserved = min(tick.depth + tick.busy + tick.draining, PREFETCH * tick.max_workers)
        wish = min(max(reserved, tick.min_workers), tick.max_workers)
        if wish > tick.target:
            self._grown_at = tick.t
            return wish
        return wish if tick.t - self._grown_at > KEEPALIVE_S else tick.target
