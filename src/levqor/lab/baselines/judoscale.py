"""Steps by queue latency, as Judoscale documents them: a simplified re-implementation with thresholds of our own.

Source: judoscale.com/docs (autoscaling by queue time; up- and downscale delays). Its rule is closed and the range is the
user's: half the SLO and a tenth of it are invented here.
"""

import math

from levqor.lab.baselines.history import Beat
from levqor.lab.ticks import Tick

REPORT_S = 10.0
UP_SHARE = 0.5
DOWN_SHARE = 0.1
UP_DELAY_S = 60.0
DOWN_DELAY_S = 600.0


class Judoscale:
    """The oldest job's age in 10-s reports: one up above the range, one down after 10 minutes below it."""

    def __init__(self) -> None:
        self._report = Beat(REPORT_S)
        self._up_at = -math.inf
        self._quiet_since: float | None = None

    def decide(self, tick: Tick) -> int:
        if tick.oldest_wait_s is None or not self._report.is_due(tick.t):
            return tick.target
        if tick.oldest_wait_s >= DOWN_SHARE * tick.slo_s:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = tick.t
        if tick.oldest_wait_s > UP_SHARE * tick.slo_s and tick.t - self._up_at >= UP_DELAY_S:
            self._up_at = tick.t
            return tick.target + 1
        if self._quiet_since is not None and tick.t - self._quiet_since >= DOWN_DELAY_S:
            self._quiet_since = tick.t
            return tick.target - 1
        return tick.target
