"""What the web part is handed: the doors to everything that it shows or asks for, as far as it uses them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from levqor.client.recorder import Recorder
from levqor.domain.dead_letters import Selection
from levqor.domain.incidents import Call
from levqor.domain.retention import Event, Mode, Recorded, Span
from levqor.domain.spending import Category
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
    def slo(self) -> Answer: ...
    def audit(self, limit: int) -> list[Answer]: ...
    def configuration(self) -> Answer: ...


class AlertDesk(Protocol):
    """What was told, and whether telling works. Raises DatabaseDown; UsageError where there is no channel."""

    def list(self, limit: int = 50) -> Answer: ...
    def test(self, actor: str) -> Answer: ...


class IncidentDesk(Protocol):
    """Calls for recovery, and what is known of incidents. Raises GuardRefused, DependencyDown, NotFound."""

    def recover(self, call: Call, *, dry_run: bool, wait_s: float) -> tuple[bool, Answer]: ...
    def incidents(self, limit: int, open_only: bool) -> Answer: ...
    def incident(self, incident_id: int) -> Answer: ...
    def rearm(self, actor: str) -> Answer: ...


class Overview(Protocol):
    """What the dashboard draws. Raises DatabaseDown."""

    def answer(self) -> Answer: ...
    def chart(self, span: str) -> Answer: ...


class RetentionDesk(Protocol):
    """Takes activity in and counts who stays. Raises UsageError, NotFound, DatabaseDown."""

    def record(self, events: Sequence[Event]) -> Recorded:
        """Committed when it returns."""
        ...

    def set_user(
        self,
        user_id: str,
        *,
        created_at: datetime | None = None,
        referral_source: str | None = None,
        is_service: bool | None = None,
    ) -> Answer: ...
    def forget(self, user_id: str, actor: str) -> Answer: ...
    def retention(self, days: int = 30) -> Answer: ...
    def cohorts(self, by: Span = Span.DAY, mode: Mode = Mode.ON, count: int | None = None) -> Answer: ...
    def analytics(self) -> Answer: ...


class CostDesk(Protocol):
    """What is known of money. Raises DatabaseDown."""

    def forecast(self, refresh: bool = False) -> Answer: ...
    def today(self) -> Answer: ...
    def daily(self, days: int) -> Answer: ...
    def billing_health(self) -> Answer: ...
    def ledger(
        self, since: datetime | None, until: datetime | None, source: str | None, category: Category | None, limit: int
    ) -> Answer: ...
    def gauges(self) -> dict[str, float | None]: ...


class VerifyDesk(Protocol):
    """A verification of this installation, and what the last one found. Raises DatabaseDown."""

    def start(self, actor: str, wait_s: float) -> tuple[bool, Answer]: ...
    def latest(self) -> Answer: ...


class ScheduleDesk(Protocol):
    """What runs when, and a run now. Raises NotFound, Conflict, GuardRefused, DatabaseDown."""

    def schedule(self) -> Answer: ...
    def runs(self, job: str | None, limit: int) -> Answer: ...
    def run(self, job_id: str, actor: str) -> Answer: ...


class TargetDesk(Protocol):
    """The target for those who run the workers. Raises NotFound; DependencyDown where anything of it is unknown."""

    def metrics(self, fleet: str) -> Answer: ...
    def dynos(self) -> list[Answer]: ...


class DeployDesk(Protocol):
    """Which version came when. Raises DatabaseDown."""

    def mark(self, sha: str, note: str, actor: str) -> Answer: ...
    def deploys(self, limit: int) -> Answer: ...


class PromiseDesk(Protocol):
    """When the queue was said to be clear, and whether it was. Raises DatabaseDown."""

    def promises(self, limit: int) -> Answer: ...
    def ended(self) -> dict[str, int]: ...


class Session(Protocol):
    """A signed-in person; `id` is the cookie's secret half."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...


class SignIns(Protocol):
    """Sessions. Raises DatabaseDown."""

    def begin(self, name: str) -> Session: ...
    def find(self, session_id: str) -> Session | None: ...
    def end(self, session_id: str) -> None: ...


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


class DeadLetters(Protocol):
    """What an operator may ask or order about dead letters. Raises EngineDown, DatabaseDown, GuardRefused, NotFound."""

    def dead(self, queue: str | None = None, limit: int = 100, cursor: int = 0) -> Answer: ...
    def groups(self, queue: str | None = None) -> Answer: ...
    def show(self, job_id: str) -> Answer: ...
    def quarantined(self, queue: str | None = None, limit: int = 100, cursor: int = 0) -> Answer: ...
    def requeue(
        self, selection: Selection, actor: str, batch_id: str, *, dry_run: bool = False, at_once: bool = False, wait_s: float = 10.0
    ) -> tuple[bool, Answer]: ...
    def drop(self, selection: Selection, actor: str, *, dry_run: bool = False) -> Answer: ...
    def release(self, ids: Sequence[str] | None, actor: str, queue: str | None = None, *, dry_run: bool = False) -> Answer: ...


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
    dead_letters: DeadLetters | None = None
    """None where there is no queue engine."""
    recorder: Recorder | None = None
    """Counts the requests; None counts nothing."""
    alerts: AlertDesk | None = None
    """None leaves its routes out."""
    incidents: IncidentDesk | None = None
    """None leaves its routes out."""
    verification: VerifyDesk | None = None
    """None leaves its routes out."""
    costs: CostDesk | None = None
    """None leaves its routes out."""
    retention: RetentionDesk | None = None
    """None leaves its routes out."""
    overview: Overview | None = None
    """None leaves its routes out."""
    schedule: ScheduleDesk | None = None
    """None leaves its routes out."""
    targets: TargetDesk | None = None
    """None leaves its routes out."""
    deploys: DeployDesk | None = None
    """None leaves its routes out."""
    promises: PromiseDesk | None = None
    """None leaves its routes out."""
    site: Path | None = None
    """Where the built dashboard is; None or an empty folder: a small page stands in for it."""
    sign_ins: SignIns | None = None
    """None: nobody can sign in, tokens alone count."""
    on_start: Callable[[], None] = field(default=nothing)
    on_stop: Callable[[], None] = field(default=nothing)
