"""What a replay saw: each request, each job's end, a sample a second, the decisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from levqor.lab.records import SeenDecision, moment_of

ENDED = frozenset({"succeeded", "dead"})


@dataclass(frozen=True, slots=True)
class Posted:
    """One request: when it was due, how late it left, and what came back. `status` is None where nothing came back."""

    due_s: float
    late_s: float
    status: int | None
    job_id: str | None = None
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.job_id is not None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """A job as its status says at the end. `status` is `unknown` where the service does not know the job."""

    job_id: str
    status: str
    attempts: int | None = None
    losses: int | None = None
    wait_s: float | None = None

    @classmethod
    def read(cls, job_id: str, answer: Mapping[str, Any]) -> "JobEnd":
        queued, started = moment_of(answer.get("enqueued_at")), moment_of(answer.get("started_at"))
        wait_s = None if queued is None or started is None else max(0.0, (started - queued).total_seconds())
        return cls(job_id, str(answer["status"]), answer.get("attempts"), answer.get("losses"), wait_s)

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one moment; None is unknown."""

    at_s: float
    depth: float | None = None
    oldest_s: float | None = None
    target: int | None = None
    running: int | None = None
    mode: str = ""

    @classmethod
    def read(cls, at_s: float, status: Mapping[str, Any]) -> "Sample":
        signals = status.get("signals") or {}
        depth, oldest = _value(signals.get("queue_depth")), _value(signals.get("oldest_wait_s"))
        if depth == 0 and oldest is None:
            oldest = 0.0 if (signals.get("oldest_wait_s") or {}).get("state") == "no_traffic" else None
        return cls(at_s, depth, oldest, status.get("target"), status.get("running"), str(status.get("mode") or ""))


def _value(signal: Mapping[str, Any] | None) -> float | None:
    return None if signal is None or signal.get("value") is None else float(signal["value"])


@dataclass(slots=True)
class Recording:
    """Everything that a replay saw, in the order of its coming."""

    trace: str
    handler: str
    started_at: datetime
    due_s: list[float]
    posted: list[Posted] = field(default_factory=list)
    jobs: dict[str, JobEnd] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    decisions: list[SeenDecision] = field(default_factory=list)
    has_decisions: bool = True
    """False where the service did not let us read them."""

    @property
    def accepted(self) -> list[str]:
        return [one.job_id for one in self.posted if one.job_id is not None]
