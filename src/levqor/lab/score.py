"""The score of a policy: its worker-hours against the oracle's, and its misses."""

from dataclasses import dataclass

from levqor.lab.oracle import oracle
from levqor.lab.simulator import PASS_MISS, Case, Run, play
from levqor.lab.ticks import Policy
from levqor.lab.workload import Workload

MISS_WEIGHT = 20.0


@dataclass(frozen=True, slots=True)
class Score:
    """A run beside the oracle's."""

    run: Run
    oracle_paid_s: float

    @property
    def miss(self) -> float:
        return self.run.miss

    @property
    def is_passed(self) -> bool:
        return self.run.is_passed

    @property
    def ratio(self) -> float:
        """Paid worker-hours over the oracle's."""
        return self.run.paid_s / self.oracle_paid_s

    @property
    def score(self) -> float:
        """Lower is better: the ratio, and every percent missed beyond the first adds a fifth."""
        return max(1.0, self.ratio) * (1.0 + MISS_WEIGHT * max(0.0, self.miss - PASS_MISS))

    @property
    def actions_per_hour(self) -> float:
        return self.run.actions_per_hour


class Contest:
    """One workload and one case, with its oracle."""

    def __init__(self, workload: Workload, case: Case) -> None:
        self.workload = workload
        self.case = case
        self.oracle = oracle(workload, case)

    def score(self, policy: Policy) -> Score:
        """Play a policy (an object that has not played yet)."""
        return Score(play(self.workload, policy, self.case), self.oracle.paid_s)
