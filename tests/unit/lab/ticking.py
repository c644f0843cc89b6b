"""Ticks and policies for tests of the lab."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from levqor.lab.ticks import Policy, Tick, within_limits

CALM = Tick(
    t=5.0,
    dt=5.0,
    workers=1,
    starting=0,
    draining=0,
    target=1,
    min_workers=1,
    max_workers=4,
    depth=0,
    busy=0,
    oldest_wait_s=0.0,
    arrivals=0,
    started=0,
    p95_wait_s=None,
    mean_service_s=1.0,
    utilisation=0.0,
    slo_s=5.0,
    startup_s=2.0,
)


class Plan:
    """A policy that is a table: from which second on, which target."""

    def __init__(self, *steps: tuple[float, int]) -> None:
        self._steps = steps

    def decide(self, tick: Tick) -> int:
        return [1, *[target for at, target in self._steps if at <= tick.t]][-1]


class Witness:
    """Hands ticks on to a policy and keeps them, and what it answered."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.ticks: list[Tick] = []
        self.targets: list[int] = []

    def decide(self, tick: Tick) -> int:
        target = self._policy.decide(tick)
        self.ticks.append(tick)
        self.targets.append(target)
        return target


def targets(policy: Policy, times: Sequence[float], tick_at: Callable[[float], Tick], target: int = 1) -> list[int]:
    """What a policy answers in a pool that follows it at once."""
    answers = []
    for t in times:
        tick = replace(tick_at(t), t=t, target=target, workers=target)
        target = within_limits(policy.decide(tick), tick)
        answers.append(target)
    return answers
