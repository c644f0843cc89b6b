"""What the web part is handed: the doors to everything that it shows or asks for, as far as it uses them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from levqor.client.recorder import Recorder
from levqor.ports import Clock
from levqor.settings import Settings

if TYPE_CHECKING:  # types alone: at run time the real ones are handed in
    from levqor.store.idempotency import Claim
    from levqor.store.telemetry import Telemetry
    from levqor.web.metrics import Reading

Answer = dict[str, Any]
"""A JSON-able answer."""


class Operations(Protocol):
    """What an operator may ask or order. Every method raises LevqorError's children, and nothing else on purpose."""

    def reading(self) -> "Reading": ...
    def dryrun(self, what_if: dict[str, float]) -> Answer: ...
    def apply(self, dry_run: bool, actor: str) -> Answer: ...
    def status(self) -> Answer: ...
    def uptime(self) -> Answer: ...
    def queue_health(self) -> Answer: ...
    def ready(self) -> Answer: ...
    def decisions(
        self, limit: int = 50, since: datetime | None = None, until: datetime | None = None, changes: bool = True
    ) -> list[Answer]: ...
    def decision_at(self, at: datetime) -> Answer | None: ...
    def action_counts(self) -> dict[str, int]: ...
    def scale(self, count: int | None, delta: int | None, owner: str, why: str, for_s: float | None) -> Answer: ...
    def scale_auto(self, owner: str) -> Answer: ...
    def hold(self, owner: str, why: str, for_s: float | None) -> Answer: ...
    def holds(self) -> list[Answer]: ...
    def release(self, owner: str, hold_id: int | None) -> Answer: ...
    def pause(self, queue: str, owner: str, why: str) -> Answer: ...
    def resume(self, queue: str, owner: str) -> Answer: ...
    def paused(self) -> list[Answer]: ...
    def flags(self) -> Answer: ...
    def set_flag(self, name: str, value: bool | int, actor: str) -> Answer: ...
    def restart(self, worker: str | None, actor: str) -> Answer: ...
    def episodes(self, open_only: bool = True) -> list[Answer]: ...
    def audit(self, limit: int) -> list[Answer]: ...
    def configuration(self) -> Answer: ...


class JobEngine(Protocol):
    """The queue as the intake uses it. Raises EngineDown when the broker does not answer."""

    def submit(
        self,
        job_id: str,
        handler: str,
        payload: dict[str, Any],
        queue: str,
        max_attempts: int,
        backoff: list[float],
        timeout_s: float,
        keep_s: float,
    ) -> None:
        """Idempotent by `job_id`."""
        ...

    def job(self, job_id: str) -> Any:
        """The job's status (attributes `job_id, status, attempts, enqueued_at, ...`) or None."""
        ...


class Idempotency(Protocol):
    """Keys that act once. Raises DatabaseDown."""

    def claim(self, scope: str, key: str, body: bytes) -> "Claim": ...
    def answer(self, scope: str, key: str, status: int, answer: Answer) -> None: ...
    def abandon(self, scope: str, key: str) -> None: ...


def nothing() -> None:
    """A hook that does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that `create_app` needs; built by `bootstrap`, or by a test."""

    settings: Settings
    operations: Operations
    engine: JobEngine | None
    """None where the intake is left out."""
    idempotency: Idempotency
    telemetry: "Telemetry"
    clock: Clock
    version: str
    handlers: Sequence[str] = ()
    """Names of the handlers that the intake accepts."""
    recorder: Recorder | None = None
    """Counts the requests; None counts nothing."""
    on_start: Callable[[], None] = field(default=nothing)
    on_stop: Callable[[], None] = field(default=nothing)
