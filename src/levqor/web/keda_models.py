"""What KEDA and HireFire are answered."""

from levqor.web.models import Shape


class Target(Shape):
    """The target in force and what it rests on. What is not known is no number here but a 503."""

    desired_workers: int
    queue_depth: int
    oldest_age_s: float | None
    backlog: int
    as_of: str
    decision_id: int
    reason: str


class Dyno(Shape):
    """How many processes of a name there should be."""

    name: str
    value: int
