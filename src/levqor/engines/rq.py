"""RQ as the engine: queues and workers read without changing them, and jobs moved in atomic steps."""

import base64
import binascii
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
from levqor.domain.dead_letters import DeadLetter, Requeued
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

MOVED_AT_ONCE = 500
"""Dead letters that one atomic step moves: others wait for the broker meanwhile, a few milliseconds."""

TRACE_BYTES = 200_000
ERROR_LENGTH = 500

JobState = Literal["queued", "running", "succeeded", "failed", "dead"]
Outcome = Callable[[tuple[str, ...]], None]
"""Takes a counter's series: ("job", queue, handler, "lost" | "returned" | "dead" | "requeued" | "quarantined")."""

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
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*)(?:\(|$)")
_LETTER_FIELDS = (
    "status", "origin", "description", "ended_at", "failure_ttl", steps.HANDLER, steps.ERROR, steps.DIED_AT,
    steps.ATTEMPTS, steps.LOSSES, steps.FLUSHES, steps.QUARANTINED_AT, steps.QUARANTINED_WHY,
)  # fmt: skip


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
        state = _state(status, attempts) or "queued"
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

    # Dead letters

    def dead_letters(self, queue: str, *, cursor: int = 0, limit: int = 100, since: datetime | None = None) -> list[DeadLetter]:
        """The last to die first, by metadata alone; `cursor` is how many to pass over. Fewer than `limit` need not be the end.

        With `since`, only those of the page that died at or after it, by what is recorded.
        """
        with self._deadline():
            if since is None:
                return self._letters(queue, self._entries(f"{PREFIX}:failed:{queue}", cursor, limit))
            entries = self._entries_since(queue, cursor, limit, since)
            return [letter for letter in self._letters(queue, entries) if letter.died_at is not None and letter.died_at >= since]

    def quarantined(self, queue: str, *, cursor: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Those that were put apart, the last one first."""
        with self._deadline():
            return self._letters(queue, self._entries(f"{steps.QUARANTINE}:{queue}", cursor, limit))

    def count_quarantined(self, queues: Sequence[str]) -> int:
        with self._deadline():
            pipeline = self._client.pipeline(transaction=False)
            for queue in queues:
                pipeline.zcard(f"{steps.QUARANTINE}:{queue}")
            return sum(pipeline.execute())

    def find_dead(self, job_ids: Sequence[str]) -> list[DeadLetter]:
        """Those of these jobs that are dead letters, quarantined or not, in that order."""
        known = [job_id for job_id in dict.fromkeys(job_ids) if _JOB_ID.fullmatch(job_id)]
        with self._deadline():
            pipeline = self._client.pipeline(transaction=False)
            for job_id in known:
                pipeline.hget(f"{PREFIX}:job:{job_id}", "origin")
            origins = {job_id: text(origin) for job_id, origin in zip(known, pipeline.execute(), strict=True) if origin is not None}
            for job_id, origin in origins.items():
                pipeline.zscore(f"{PREFIX}:failed:{origin}", job_id)
                pipeline.zscore(f"{steps.QUARANTINE}:{origin}", job_id)
            scores = pipeline.execute()
            dead: dict[str, list[tuple[str, float]]] = {}
            for at, (job_id, origin) in enumerate(origins.items()):
                score = scores[2 * at] if scores[2 * at] is not None else scores[2 * at + 1]
                if score is not None:
                    dead.setdefault(origin, []).append((job_id, float(score)))
            letters = {letter.job_id: letter for origin, found in dead.items() for letter in self._letters(origin, found)}
        return [letters[job_id] for job_id in known if job_id in letters]

    def trace(self, job_id: str) -> str | None:
        """The traceback of a job's last failure, where it is kept. Text alone: nothing that was pickled is opened."""
        if not _JOB_ID.fullmatch(job_id):
            return None
        with self._deadline():
            return self._traces([job_id])[job_id] or None

    def fates(self, job_ids: Sequence[str]) -> dict[str, JobState | None]:
        """What became of these jobs; None: gone, since a job that ended is kept for a while only."""
        with self._deadline():
            pipeline = self._client.pipeline(transaction=False)
            for job_id in job_ids:
                pipeline.hmget(f"{PREFIX}:job:{job_id}", "status", steps.ATTEMPTS)
            answers = pipeline.execute()
        return {job_id: _state(status, attempts) for job_id, (status, attempts) in zip(job_ids, answers, strict=True)}

    def requeue_dead(self, queue: str, job_ids: Sequence[str], *, batch_id: str, allow_foreign: bool = False) -> Requeued:
        """Dead letters back to the end of their queue, with all attempts before them; 500 in each atomic step.

        What was cut halfway, by a kill or a lost answer, is called again with the same batch id: nothing is moved twice.
        """
        job_ids = list(dict.fromkeys(job_ids))
        fates: list[str] = []
        remaining = 0
        for chunk in _chunks(job_ids, MOVED_AT_ONCE):
            with self._deadline():
                remaining, told, counts = self._steps.run(steps.REQUEUE_DEAD, queue, batch_id, int(allow_foreign), *chunk)
            fates += [text(fate) for fate in told]
            for handler, count in zip(counts[::2], counts[1::2], strict=True):
                self._count("requeued", queue, text(handler), int(count))
        ours = tuple(job_id for job_id, fate in zip(job_ids, fates, strict=True) if fate in ("moved", "already"))
        number = {fate: fates.count(fate) for fate in ("moved", "already", "foreign", "skipped")}
        return Requeued(number["moved"], number["skipped"], int(remaining), number["already"], number["foreign"], ours)

    def quarantine(self, queue: str, job_ids: Sequence[str], why: str) -> int:
        """Puts dead letters apart, where no flush finds them; answers how many. Their error is kept, for a year."""
        moved = 0
        for chunk in _chunks(job_ids, MOVED_AT_ONCE):
            with self._deadline():
                handlers = self._steps.run(steps.QUARANTINE_DEAD, queue, why[:ERROR_LENGTH], *chunk)
            moved += len(handlers)
            for handler in handlers:
                self._count("quarantined", queue, text(handler), 1)
        return moved

    def release_quarantined(self, queue: str, job_ids: Sequence[str]) -> int:
        """Quarantined jobs are dead letters like others again, as if never flushed; answers how many."""
        return self._sum(steps.RELEASE_QUARANTINED, queue, job_ids)

    def drop_dead(self, queue: str, job_ids: Sequence[str]) -> int:
        """Removes dead letters, quarantined or not, for good; answers how many."""
        return self._sum(steps.DROP_DEAD, queue, job_ids)

    def _sum(self, step: str, queue: str, job_ids: Sequence[str]) -> int:
        total = 0
        for chunk in _chunks(job_ids, MOVED_AT_ONCE):
            with self._deadline():
                total += int(self._steps.run(step, queue, *chunk))
        return total

    def _count(self, outcome: str, queue: str, handler: str, times: int) -> None:
        if self._on_outcome is not None:
            for _ in range(times):
                self._on_outcome(("job", queue, handler or "other", outcome))

    def _entries(self, key: str, cursor: int, limit: int) -> list[tuple[str, float]]:
        found: Any = self._client.zrange(key, cursor, cursor + limit - 1, desc=True, withscores=True) if limit > 0 else []
        return [(text(job_id), float(score)) for job_id, score in found]

    def _entries_since(self, queue: str, cursor: int, limit: int, since: datetime) -> list[tuple[str, float]]:
        """Sorted out in the broker: a backlog of years need not cross the wire."""
        stamp = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        flat = self._steps.run(steps.DEAD_SINCE, queue, cursor, cursor + limit - 1, f"{since.timestamp():.6f}", stamp)
        return [(text(job_id), float(score)) for job_id, score in zip(flat[::2], flat[1::2], strict=True)]

    def _letters(self, queue: str, entries: Sequence[tuple[str, float]]) -> list[DeadLetter]:
        """An entry whose job is gone is no letter any more."""
        pipeline = self._client.pipeline(transaction=False)
        for job_id, _ in entries:
            pipeline.hmget(f"{PREFIX}:job:{job_id}", _LETTER_FIELDS)
        rows = zip(entries, pipeline.execute(), strict=True)
        known = [
            (job_id, score, {name: text(value) for name, value in zip(_LETTER_FIELDS, row, strict=True) if value is not None})
            for (job_id, score), row in rows
            if row[0] is not None
        ]
        traces = self._traces([job_id for job_id, _, facts in known if steps.HANDLER not in facts])
        return [_letter(job_id, queue, score, facts, traces.get(job_id, "")) for job_id, score, facts in known]

    def _traces(self, job_ids: Sequence[str]) -> dict[str, str]:
        pipeline = self._client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.xrevrange(f"{PREFIX}:results:{job_id}", count=1)
            pipeline.hget(f"{PREFIX}:job:{job_id}", "exc_info")
        answers = pipeline.execute() if job_ids else []
        return {job_id: _trace(answers[2 * at], answers[2 * at + 1]) for at, job_id in enumerate(job_ids)}

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


def _state(status: Any, attempts: Any) -> JobState | None:
    """A job's state by RQ's word for it; `scheduled` is a retry that is due, or a job that was never tried."""
    if status is None:
        return None
    word = text(status)
    return "failed" if word == "scheduled" and int(attempts or 0) else _STATES.get(word, "queued")


def _letter(job_id: str, queue: str, score: float, facts: Mapping[str, str], trace: str) -> DeadLetter:
    handler, is_foreign = facts.get(steps.HANDLER), steps.HANDLER not in facts
    quarantined_at = facts.get(steps.QUARANTINED_AT)
    return DeadLetter(
        job_id=job_id,
        queue=queue,
        handler=_function(facts.get("description", "")) if handler is None else handler,
        error=(_last_line(trace) if is_foreign else facts.get(steps.ERROR)) or None,
        died_at=_died_at(facts, score, is_quarantined=quarantined_at is not None),
        attempts=None if is_foreign else int(facts.get(steps.ATTEMPTS, 0)),
        losses=None if is_foreign else int(facts.get(steps.LOSSES, 0)),
        flushes=int(facts.get(steps.FLUSHES, 0)),
        is_foreign=is_foreign,
        quarantined_at=None if quarantined_at is None else datetime.fromtimestamp(float(quarantined_at), UTC),
        why=facts.get(steps.QUARANTINED_WHY),
    )


def _function(description: str) -> str:
    """A foreign job's function by its description, without the arguments; `other` where somebody described it in words."""
    found = _FUNCTION.match(description)
    return found[1] if found else "other"


def _died_at(facts: Mapping[str, str], score: float, *, is_quarantined: bool) -> datetime | None:
    """As recorded; else when RQ says that it ended; else by when the registry lets go of it. None: nobody knows."""
    if facts.get(steps.DIED_AT):
        return datetime.fromtimestamp(float(facts[steps.DIED_AT]), UTC)
    if facts.get("ended_at"):
        return _moment(facts["ended_at"])
    if is_quarantined or not 0 < score < float("inf"):
        return None
    return datetime.fromtimestamp(max(0.0, score - float(facts.get("failure_ttl") or steps.DEAD_TTL_S)), UTC)


def _trace(results: Any, exc_info: bytes | None) -> str:
    """The traceback that RQ keeps beside a job: zipped text."""
    if results:
        packed = dict(results[0][1]).get(b"exc_string", b"")
        try:
            return _unzipped(base64.b64decode(packed, validate=True)) if packed else ""
        except (binascii.Error, zlib.error):
            return ""
    if not exc_info:
        return ""
    try:
        return _unzipped(exc_info)
    except zlib.error:
        return exc_info[:TRACE_BYTES].decode(errors="replace")


def _unzipped(data: bytes) -> str:
    return zlib.decompressobj().decompress(data, TRACE_BYTES).decode(errors="replace")


def _last_line(trace: str) -> str:
    """`ValueError: no such user`: the line that a traceback ends with, before any further lines of its message."""
    lines = [line for line in trace.splitlines() if line and not line[0].isspace() and _FUNCTION.match(line.partition(":")[0])]
    return lines[-1][:ERROR_LENGTH] if lines else trace.strip().rpartition("\n")[2][:ERROR_LENGTH]


def _chunks(job_ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(job_ids), size):
        yield job_ids[start : start + size]


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
