"""Kubernetes HPA on a queue, and KEDA before it: simplified re-implementations.

Sources: kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale (algorithm details, default behaviour),
keda.sh/docs (ScaledObject `pollingInterval`, the Redis lists scaler's `listLength`).
"""

import math
from collections.abc import Callable

from levqor.lab.baselines.history import Beat, Window
from levqor.lab.ticks import Tick

Metric = Callable[[Tick], int | None]

SYNC_S = 15.0
TOLERANCE = 0.1
DOWN_WINDOW_S = 300.0
UP_PODS = 4
UP_FACTOR = 2
DEPTH_PER_WORKER = 5.0
IN_SYSTEM_PER_WORKER = 1.25
KEDA_POLL_S = 30.0


def waiting(tick: Tick) -> int | None:
    return tick.depth


def in_system(tick: Tick) -> int | None:
    """Waiting and running."""
    return None if tick.depth is None or tick.busy is None else tick.depth + tick.busy + tick.draining


class Hpa:
    """External metric with an average value per worker, every 15 s; the highest wish of 300 s on the way down."""

    def __init__(self, metric: Metric, per_worker: float) -> None:
        self._metric = metric
        self._per_worker = per_worker
        self._beat = Beat(SYNC_S)
        self._wishes = Window(DOWN_WINDOW_S)

    def decide(self, tick: Tick) -> int:
        value = self._metric(tick)
        if not self._beat.is_due(tick.t) or value is None:
            return tick.target
        now = max(1, tick.target)
        is_near = abs(1 - value / (self._per_worker * now)) <= TOLERANCE
        self._wishes.add(tick.t, now if is_near else math.ceil(value / self._per_worker))
        wish = int(max(self._wishes.values()))
        if is_near or wish == now:
            return now
        return min(wish, max(now + UP_PODS, UP_FACTOR * now), tick.max_workers)


def hpa_depth() -> Hpa:
    """On waiting jobs, 5 a worker."""
    return Hpa(waiting, DEPTH_PER_WORKER)


def hpa_in_system() -> Hpa:
    """On waiting and running jobs, 1.25 a worker."""
    return Hpa(in_system, IN_SYSTEM_PER_WORKER)


class Keda:
    """Waiting jobs, read every 30 s, then the HPA with 5 a worker. Scaling to zero is left out: the pools here keep a minimum."""

    def __init__(self) -> None:
        self._poll = Beat(KEDA_POLL_S)
        self._read: int | None = None
        self._hpa = Hpa(lambda _tick: self._read, DEPTH_PER_WORKER)

    def decide(self, tick: Tick) -> int:
        if self._poll.is_due(tick.t):
            self._read = tick.depth
        return self._hpa.decide(tick)
