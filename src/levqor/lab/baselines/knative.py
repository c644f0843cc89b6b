"""Knative's pod autoscaler (KPA) on jobs in the system: a simplified re-implementation.

Source: knative.dev/docs/serving/autoscaling (concurrency, scale bounds, the autoscaler's global settings).
"""

import math

from levqor.lab.baselines.history import Window
from levqor.lab.ticks import Tick

TARGET = 0.7
STABLE_S = 60.0
PANIC_S = 6.0
PANIC_THRESHOLD = 2.0
UP_RATE = 1000.0
DOWN_RATE = 2.0


class Knative:
    """70 % of a worker's one slot over 60 s; twice too many over 6 s is a panic of 60 s, in which it never shrinks.

    Looks at each tick (the product: every 2 s).
    """

    def __init__(self) -> None:
        self._stable = Window(STABLE_S)
        self._panic = Window(PANIC_S)
        self._panics_until = -math.inf
        self._panic_target = 0

    def decide(self, tick: Tick) -> int:
        if tick.depth is None or tick.busy is None:
            return tick.target
        observed = tick.depth + tick.busy + tick.draining
        self._stable.add(tick.t, observed)
        self._panic.add(tick.t, observed)
        ready = max(1, tick.workers)
        lowest, highest = math.floor(ready / DOWN_RATE), math.ceil(UP_RATE * ready)
        stable_wish, panic_wish = math.ceil(self._stable.mean() / TARGET), math.ceil(self._panic.mean() / TARGET)
        stable, panic = (min(max(wish, lowest), highest) for wish in (stable_wish, panic_wish))
        if panic_wish / ready >= PANIC_THRESHOLD:
            if tick.t >= self._panics_until:
                self._panic_target = 0
            self._panics_until = tick.t + STABLE_S
        if tick.t < self._panics_until:
            self._panic_target = max(self._panic_target, stable, panic, ready)
            return self._panic_target
        return stable
