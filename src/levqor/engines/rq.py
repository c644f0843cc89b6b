"""RQ as the engine: queues and workers read without changing them, and jobs moved in atomic steps."""

import json
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any, Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from levqor.client import rq_scripts as steps
from levqor.client.rq_scripts import PREFIX, text
from levqor.domain.errors import EngineDown, UsageError
from levqor.domain.fleet import QueueState, Worker, WorkerState
from levqor.handlers import RUN
from levqor.host import ProcessIdentity
from levqor.ports import Clock

TIMEOUT_S = 1.0
SETTLED_AFTER_S = 15.0
"""The broker must have answered for this long before a lapsed heartbeat means a dead worker: living ones get time to be heard."""

STUCK_AFTER_S = 30.0
SILENT_AFTER_S = 15.0
HEAD_SIZE = 5
URL_VARIABLE = "LEVQOR_REDIS_URL"

JobState = Literal["queued", "running", "succeeded", "failed", "dead"]
Outcome = Callable[[tuple[str, ...]], None]
"""Takes a counter's series: ("job", queue, handler, "lost" | "returned" | "dead")."""

_STATES: Mapping[str, JobState] = {
    "started": "running",
    "finished": "succeeded",
    "failed": "dead",
    "stopped": "dead",
    "canceled": "dead",
}
_WORKER_STATES = {
    "started": WorkerState.STARTING,
    "idle": WorkerState.IDLE,
    "suspended": WorkerState.IDLE,
    "busy": WorkerState.BUSY,
}
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job as its submitter sees it. `failed` means that a retry is due; `attempts` counts the one that runs."""

    job_id: str
    status: JobState
    attempts: int
    losses: int
    enqueued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    queue: str
    handler: str


class RqEngine:
    """Implements `levqor.ports.Engine`, and moves Levqor's own jobs. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        handlers: Mapping[str, str] | None = None,
        max_losses: int = steps.DEFAULT_MAX_LOSSES,
        on_outcome: Outcome | None = None,
        url_variable: str = URL_VARIABLE,
    ) -> None:
        # One retry, at once, of a connection that broke: the broker may have been restarted since its last use.
        # A timeout is not tried again, so that every answer comes within the deadline.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=retry)
        self._steps = steps.Steps(self._client)
        self._clock = clock
        self._handlers = dict(handlers or {})
        self._max_losses = max_losses
        self._on_outcome = on_outcome
        self._url_variable = url_variable
        self._answers_since: float | None = None

    def close(self) -> None:
        self._client.close()

    # Reading

    def queues(self, names: Sequence[str]) -> list[QueueState]:
        with self._deadline():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.time()
            for name in names:
                pipeline.llen(f"{PREFIX}:queue:{name}")
                pipeline.lrange(f"{PREFIX}:queue:{name}", 0, HEAD_SIZE - 1)
                for registry in ("wip", "scheduled", "failed"):
                    pipeline.zcard(f"{PREFIX}:{registry}:{name}")
            (seconds, micros), *answers = pipeline.execute()
            rows = [answers[at : at + 5] for at in range(0, len(answers), 5)]
            waits = self._waits([row[1] for row in rows], seconds + micros / 1e6)
        return [
            QueueState(name, depth, wait, running, delayed, dead)
            for name, wait, (depth, _, running, delayed, dead) in zip(names, waits, rows, strict=True)
        ]

    def _waits(self, heads: Sequence[list[bytes]], now: float) -> list[float | None]:
        """Age of the oldest of each queue's first jobs: one that was put back at the head may be younger than the next."""
        pipeline = self._client.pipeline(transaction=False)
        for head in heads:
            for job_id in head:
                pipeline.hmget(f"{PREFIX}:job:{text(job_id)}", steps.QUEUED_AT, "enqueued_at")
        answers = iter(pipeline.execute())
        since = [[_since(*next(answers)) for _ in head] for head in heads]
        return [max((max(0.0, now - at) for at in known if at is not None), default=None) for known in since]

    def queue_names(self) -> list[str]:
        with self._deadline():
            return sorted(text(key).removeprefix(f"{PREFIX}:queue:") for key in self._members(f"{PREFIX}:queues"))

    def workers(self) -> list[Worker]:
        with self._deadline():
            return [worker for worker, _, _ in self._registered()]

    def _registered(self) -> list[tuple[Worker, str | None, float | None]]:
        """Each worker with its identity, where it tells one, and the age of its last heartbeat."""
        prefix = f"{PREFIX}:worker:"
        names = sorted(text(key).removeprefix(prefix) for key in self._members(f"{PREFIX}:workers"))
        pipeline = self._client.pipeline(transaction=False)
        pipeline.time()
        for name in names:
            pipeline.hgetall(prefix + name)
            pipeline.smembers(f"{prefix}{name}:executions")
        (seconds, _), *answers = pipeline.execute()
        return [
            _worker(name, {text(key): text(value) for key, value in answers[at * 2].items()}, answers[at * 2 + 1], float(seconds))
            for at, name in enumerate(names)
        ]

    def job(self, job_id: str) -> JobStatus | None:
        """What became of a job; None where there is none, or none any more. Its payload is not looked at."""
        if not _JOB_ID.fullmatch(job_id):
            return None
        names = ("status", "origin", "created_at", "started_at", "ended_at", steps.ATTEMPTS, steps.LOSSES, steps.ERROR, steps.HANDLER)
        with self._deadline():
            values: list[Any] = self._client.hmget(f"{PREFIX}:job:{job_id}", names)
        if values[0] is None:
            return None
        status, origin, created, started, ended, attempts, losses, error, handler = ("" if v is None else text(v) for v in values)
        state: JobState = "failed" if status == "scheduled" and int(attempts or 0) else _STATES.get(status, "queued")
        return JobStatus(
            job_id=job_id,
            status=state,
            attempts=int(attempts or 0) + (state == "running"),
            losses=int(losses or 0),
            enqueued_at=_moment(created),
            started_at=_moment(started),
            ended_at=_moment(ended),
            error=error or None,
            queue=origin,
            handler=handler,
        )

    # Moving jobs

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
        """Puts a job at the end of its queue, in one round trip. A job that exists already is left as it is."""
        if not _JOB_ID.fullmatch(job_id):
            raise UsageError("a job's id holds only letters, digits, `_` and `-`")
        data = json.dumps([RUN, None, [], {"handler": handler, "payload": payload}], separators=(",", ":"), allow_nan=False)
        fields = {
            "data": zlib.compress(data.encode()),
            "description": handler,
            "timeout": max(1, ceil(timeout_s)),
            "result_ttl": max(1, ceil(keep_s)),
            steps.HANDLER: handler,
            steps.MAX_ATTEMPTS: max_attempts,
            steps.MAX_LOSSES: self._max_losses,
            steps.BACKOFF: json.dumps(backoff),
            steps.KEEP_S: max(1, ceil(keep_s)),
        }
        with self._deadline():
            self._steps.run(steps.SUBMIT, job_id, queue, *steps.flat(fields))

    def promote_due(self, queues: Sequence[str]) -> int:
        """Puts retries that are due back on their queues; answers how many."""
        with self._deadline():
            return int(self._steps.run(steps.PROMOTE, *queues))

    def give_back(self, worker_name: str, *, interrupted: bool = False) -> str | None:
        """Unregisters a worker whose process is gone; the job it was running goes back to the head of its queue.

        It uses up no attempt. It counts as a loss, unless the worker was `interrupted` on purpose.
        """
        with self._deadline():
            events = self._steps.run(steps.GIVE_BACK, worker_name, 0 if interrupted else 1)
        return next(iter(self._tell(events)), None)

    def reap(self, is_dead: Callable[[Worker], bool] | None = None) -> list[str]:
        """Gives back the jobs of workers that are gone, and of those that nobody hears of any more; answers the jobs.

        Without `is_dead`, a worker is gone when the process that it registered as does not live on this machine.
        """
        with self._deadline():
            registered = self._registered()
        returned = [
            job_id
            for worker, identity, silent_s in registered
            if (is_dead(worker) if is_dead else _is_gone(identity, silent_s)) and (job_id := self.give_back(worker.name))
        ]
        is_settled = self._answers_since is not None and self._clock.monotonic() - self._answers_since >= SETTLED_AFTER_S
        with self._deadline():
            events = self._steps.run(steps.SWEEP, STUCK_AFTER_S, SETTLED_AFTER_S, steps.LEASE_S, int(is_settled))
        return returned + self._tell(events)

    def worker_command(self, name: str, queues: Sequence[str]) -> list[str]:
        """How to start a worker. The broker's URL holds a password: it goes by the environment, in `url_variable`."""
        command = [sys.executable, "-m", "levqor.client.rq", "--url-env", self._url_variable, "--name", name, "--queues", ",".join(queues)]
        if self._handlers:
            command += ["--handlers", ",".join(f"{name}={path}" for name, path in self._handlers.items())]
        return command

    def _tell(self, events: Iterable[Sequence[bytes]]) -> list[str]:
        """Counts what became of jobs that lost their worker; answers those that still exist."""
        told = [tuple(text(part) for part in event) for event in events]
        for _, queue, handler, outcome in told:
            if self._on_outcome is not None and outcome != "gone":
                self._on_outcome(("job", queue, handler or "other", outcome))
        return [job_id for job_id, _, _, outcome in told if outcome != "gone"]

    def _members(self, key: str) -> set[bytes]:
        return self._client.smembers(key)  # type: ignore[return-value]

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Every broker trouble is `EngineDown`, in words that hold no password."""
        try:
            yield
        except (redis.RedisError, OSError) as error:
            self._answers_since = None
            where = self._client.connection_pool.connection_kwargs
            place = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"
            raise EngineDown(f"the queue's broker at {place} does not answer: {error}") from error
        if self._answers_since is None:
            self._answers_since = self._clock.monotonic()


def _moment(stamp: str) -> datetime | None:
    """RQ's way of writing a time."""
    return datetime.fromisoformat(stamp).astimezone(UTC) if stamp else None


def _since(queued_at: bytes | None, enqueued_at: bytes | None) -> float | None:
    if queued_at:
        return float(queued_at)
    moment = _moment(text(enqueued_at)) if enqueued_at else None
    return moment.timestamp() if moment else None


def _worker(name: str, facts: Mapping[str, str], held: set[bytes], now: float) -> tuple[Worker, str | None, float | None]:
    heard = _moment(facts.get("last_heartbeat", ""))
    silent_s = now - heard.timestamp() if heard else None
    birth = _moment(facts.get("birth", ""))
    current = next((text(member).partition(":")[0] for member in sorted(held)), None) or facts.get("current_job")
    worker = Worker(
        name=name,
        host=facts.get("hostname", ""),
        pid=int(facts["pid"]) if facts.get("pid", "").isdigit() else None,
        state=_worker_state(facts, silent_s),
        job_id=current,
        queues=tuple(queue for queue in facts.get("queues", "").split(",") if queue),
        started_at=birth.timestamp() if birth else None,
    )
    return worker, facts.get(steps.IDENTITY) or None, silent_s


def _worker_state(facts: Mapping[str, str], silent_s: float | None) -> WorkerState:
    """RQ keeps a worker's facts only as long as its heartbeat is good for; Levqor's workers say how long that is."""
    if silent_s is None or silent_s > float(facts.get(steps.LOST_AFTER_S, "inf")):
        return WorkerState.LOST
    if facts.get("shutdown_requested_date"):
        return WorkerState.DRAINING
    return _WORKER_STATES.get(facts.get("state", ""), WorkerState.UNKNOWN)


def _is_gone(identity: str | None, silent_s: float | None) -> bool:
    """A silent worker whose process, by its own word one of this machine, does not live here."""
    if identity is None or silent_s is None or silent_s < SILENT_AFTER_S:
        return False
    process = ProcessIdentity.parse(identity)
    return process.is_local and not process.is_alive()
