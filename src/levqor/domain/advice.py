"""What a rule would have made of the work that came: the figures of the advice report. None is unknown, never zero."""

from dataclasses import dataclass
from datetime import datetime

RECORDED = "as it was"
"""The side that had the workers that really ran."""

FULL = "always the maximum"


@dataclass(frozen=True, slots=True)
class Side:
    """One way of having had workers. `late`: the share of jobs that waited longer than the objective (0..1)."""

    name: str
    worker_h: float
    p95_wait_s: float | None
    worst_wait_s: float | None
    late: float | None
    steps_up: int = 0
    steps_down: int = 0


@dataclass(frozen=True, slots=True)
class LateSpan:
    """A time in which jobs would have been late under the rule; beside it what really was."""

    start: datetime
    end: datetime
    late: int
    worst_wait_s: float
    was_worst_wait_s: float | None
    was_workers: float


@dataclass(frozen=True, slots=True)
class Proposed:
    """A step that was decided and not put in force, as it was recorded."""

    at: datetime
    current: int
    target: int
    reason: str


@dataclass(frozen=True, slots=True)
class Advice:
    """The whole comparison over [since, until)."""

    since: datetime
    until: datetime
    covered_s: float
    """Of that time the work and the workers are known."""
    jobs: int
    mean_service_s: float
    objective_s: float
    rule: str
    """The name of the side that the installation's own rule had."""
    measured: Side
    """As it was, measured: its P95 is of the minutes' oldest waits, each counted by its arrivals."""
    sides: tuple[Side, ...]
    """In the lab, all on the same arrivals: as it was, each rule, and always the maximum."""
    late_spans: tuple[LateSpan, ...]
    proposed: tuple[Proposed, ...]
    proposed_count: int
    hourly_cost: float | None

    def side(self, name: str) -> Side:
        return next(side for side in self.sides if side.name == name)
