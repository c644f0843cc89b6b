"""No autoscaling: a number of workers that never changes."""

from levqor.lab.ticks import Tick


class OneWorker:
    """The least a team can pay."""

    def decide(self, tick: Tick) -> int:
        return 1


class FullFleet:
    """The most a team can pay."""

    def decide(self, tick: Tick) -> int:
        return tick.max_workers
