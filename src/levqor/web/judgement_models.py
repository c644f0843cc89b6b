"""Shapes of the answers about deploy marks and promises; the dashboard's types are made from them."""

from typing import Literal

from levqor.web.models import PromiseScore, Shape


class DeployMark(Shape):
    """A version of the team's app that came, and who said so."""

    id: int
    at: str
    sha: str
    note: str
    actor: str


class Deploys(Shape):
    """The newest first."""

    deploys: list[DeployMark]


class ClearPromise(Shape):
    """When a step up said that the queue would be clear (`clear_in_s`), and what became of it after `waited_s`."""

    id: int
    at: str
    fleet: str
    decision_id: int
    depth: float
    target: int
    clear_in_s: float
    waited_s: float
    state: Literal["open", "kept", "missed", "void"]
    ended_at: str | None


class Promises(Shape):
    """The newest first, and how many of the last 90 days are in each state."""

    promises: list[ClearPromise]
    score: PromiseScore
