"""AWS target tracking: simplified re-implementations on one-minute datapoints.

Source: docs.aws.amazon.com, Amazon EC2 Auto Scaling user guide (target tracking; scaling on Amazon SQS by backlog per
instance). The alarms (3 minutes above, 15 minutes below 90 %) are those that target tracking creates.
"""

import math
from abc import ABC, abstractmethod

from levqor.lab.ticks import Tick

DATAPOINT_S = 60.0
OUT_POINTS = 3
IN_POINTS = 15
IN_SHARE = 0.9
COOLDOWN_S = 300.0
BUSY_TARGET = 0.7


class TargetTracking(ABC):
    """Out in proportion after 3 minutes above the target, in by one after 15 minutes below 90 % of it; 300 s between."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._minute_ends: float | None = None
        self._above = 0
        self._below = 0
        self._out_at = -math.inf
        self._in_at = -math.inf

    @abstractmethod
    def measure(self, tick: Tick) -> float | None:
        """The tracked metric as a share of its target."""

    def decide(self, tick: Tick) -> int:
        share = self.measure(tick)
        if share is not None:
            self._samples.append(share)
        if self._minute_ends is None:
            self._minute_ends = tick.t - tick.dt + DATAPOINT_S
        if tick.t < self._minute_ends or not self._samples:
            return tick.target
        mean = sum(self._samples) / len(self._samples)
        self._samples.clear()
        self._minute_ends = tick.t + DATAPOINT_S
        self._above = self._above + 1 if mean > 1 else 0
        self._below = self._below + 1 if mean < IN_SHARE else 0
        return self._target(tick, mean)

    def _target(self, tick: Tick, mean: float) -> int:
        if self._above >= OUT_POINTS and tick.t - self._out_at >= COOLDOWN_S:
            self._out_at = tick.t
            return math.ceil(min(tick.target * mean, tick.max_workers))
        if self._below >= IN_POINTS and tick.t - max(self._in_at, self._out_at) >= COOLDOWN_S:
            self._in_at = tick.t
            return tick.target - 1
        return tick.target


class BacklogPerWorker(TargetTracking):
    """Waiting jobs a worker; the target is what one worker does within the SLO."""

    def measure(self, tick: Tick) -> float | None:
        if tick.depth is None or not tick.mean_service_s:
            return None
        return tick.depth / max(1, tick.workers) / (tick.slo_s / tick.mean_service_s)


class BusyShare(TargetTracking):
    """Busy workers, 70 % of them."""

    def measure(self, tick: Tick) -> float | None:
        return None if tick.utilisation is None else tick.utilisation / BUSY_TARGET
