"""What a running job may ask about itself. Set by the worker in the process that runs the job."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The job that this process runs: which attempt it is, from 1, and where the worker's handlers are."""

    id: str
    attempt: int
    handlers: Mapping[str, str] = field(default_factory=dict)


_current: ContextVar[CurrentJob | None] = ContextVar("current job", default=None)


def enter(job: CurrentJob) -> None:
    """The worker says which job begins."""
    _current.set(job)


def current() -> CurrentJob | None:
    """The job that runs here; None outside of one."""
    return _current.get()
