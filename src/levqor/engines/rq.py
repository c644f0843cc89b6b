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
from levqor.client.rq_scripts import DEFAULT_PREFIX, text
from levqor.domain.dead_letters import DeadLetter, Requeued
from levqor.domain.errors import EngineDown, UsageError
from levqor.domain.fleet import QueueState, Worker, WorkerState
from levqor.engines.broker import address_of, reason_of
from levqor.engines.rq_letters import ERROR_LENGTH, moment_of, read_letters, read_traces, waiting_since
from levqor.engines.rq_version import PYTHON_FIELD, VERSION_FIELD, Standing, Support, standing_of
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
        prefix: str = DEFAULT_PREFIX,
        acts_unseen: bool = True,
    ) -> None:
        """`acts_unseen`: jobs may be moved while no worker tells its version, as on a broker that only Levqor's own workers use."""
        # One retry, at once, of a connection that broke: the broker may have been restarted since its last use.
        # A timeout is not tried again, so that every answer comes within the deadline.
        retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        self._address = address_of(url)
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=retry)
        self._prefix = prefix
        self._steps = steps.Steps(self._client, prefix)
        self._acts_unseen = acts_unseen
        self._standing: Standing | None = None
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
                pipeline.llen(f"{self._prefix}:queue:{name}")
                pipeline.lrange(f"{self._prefix}:queue:{name}", 0, HEAD_SIZE - 1)
                for registry in ("wip", "scheduled", "failed"):
                    pipeline.zcard(f"{self._prefix}:{registry}:{name}")
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
                pipeline.hmget(f"{self._prefix}:job:{text(job_id)}", steps.QUEUED_AT, "enqueued_at")
        answers = iter(pipeline.execute())
        since = [[waiting_since(*next(answers)) for _ in head] for head in heads]
        return [max((max(0.0, now - at) for at in known if at is not None), default=None) for known in since]

    def queue_names(self) -> list[str]:
        with self._deadline():
            return sorted(text(key).removeprefix(f"{self._prefix}:queue:") for key in self._members(f"{self._prefix}:queues"))

    def workers(self) -> list[Worker]:
        with self._deadline():
            return [entry.worker for entry in self._registered()]

    def standing(self) -> Standing:
        """What may be done beside the workers that live now, by the versions of RQ that they run."""
        with self._deadline():
            return _standing(self._registered())

    def advice(self) -> list[str]:
        """What the last look at the workers told about their versions, where it limits what Levqor may do."""
        standing = self._standing
        if standing is None or not standing.sentence or (self._acts_unseen and standing.support is Support.UNKNOWN):
            return []
        return [standing.sentence]

    def _registered(self) -> list["_Entry"]:
        prefix = f"{self._prefix}:worker:"
        names = sorted(text(key).removeprefix(prefix) for key in self._members(f"{self._prefix}:workers"))
        pipeline = self._client.pipeline(transaction=False)
        pipeline.time()
        for name in names:
            pipeline.hgetall(prefix + name)
            pipeline.smembers(f"{prefix}{name}:executions")
        (seconds, _), *answers = pipeline.execute()
        entries = [
            _entry(name, {text(key): text(value) for key, value in answers[at * 2].items()}, answers[at * 2 + 1], float(seconds))
            for at, name in enumerate(names)
        ]
        self._standing = _standing(entries)
        return entries

    def _check_act(self) -> None:
        """Raises GuardRefused where the workers' versions forbid to move jobs."""
        self.standing().check_act(unseen=self._acts_unseen)

    def job(self, job_id: str) -> JobStatus | None:
        """What became of a job; None where there is none, or none any more. Its payload is not looked at."""
        if not _JOB_ID.fullmatch(job_id):
            return None
        names = ("status", "origin", "created_at", "started_at", "ended_at", steps.ATTEMPTS, steps.LOSSES, steps.ERROR, steps.HANDLER)
        with self._deadline():
            values: list[Any] = self._client.hmget(f"{self._prefix}:job:{job_id}", names)
        if values[0] is None:
            return None
        status, origin, created, started, ended, attempts, losses, error, handler = ("" if v is None else text(v) for v in values)
        state = _state(status, attempts) or "queued"
        return JobStatus(
            job_id=job_id,
            status=state,
            attempts=int(attempts or 0) + (state == "running"),
            losses=int(losses or 0),
            enqueued_at=moment_of(created),
            started_at=moment_of(started),
            ended_at=moment_of(ended),
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
        Raises GuardRefused beside workers of a version that is only observed.
        """
        self._check_act()
        return self._give_back(worker_name, interrupted=interrupted)

    def _give_back(self, worker_name: str, *, interrupted: bool = False) -> str | None:
        with self._deadline():
            events = self._steps.run(steps.GIVE_BACK, worker_name, 0 if interrupted else 1)
        return next(iter(self._tell(events)), None)

    def reap(self, is_dead: Callable[[Worker], bool] | None = None) -> list[str]:
        """Gives back the jobs of workers that are gone, and of those that nobody hears of any more; answers the jobs.

        Without `is_dead`, a worker is gone when the process that it registered as does not live on this machine. Beside workers of
        a version that is only observed, all of this is left to RQ.
        """
        with self._deadline():
            registered = self._registered()
        if not _standing(registered).allows_act(unseen=self._acts_unseen):
            return []
        returned = [
            job_id
            for entry in registered
            if (is_dead(entry.worker) if is_dead else entry.is_gone) and (job_id := self._give_back(entry.worker.name))
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
                return self._letters(queue, self._entries(f"{self._prefix}:failed:{queue}", cursor, limit))
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
                pipeline.hget(f"{self._prefix}:job:{job_id}", "origin")
            origins = {job_id: text(origin) for job_id, origin in zip(known, pipeline.execute(), strict=True) if origin is not None}
            for job_id, origin in origins.items():
                pipeline.zscore(f"{self._prefix}:failed:{origin}", job_id)
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
            return read_traces(self._client, self._prefix, [job_id])[job_id] or None

    def fates(self, job_ids: Sequence[str]) -> dict[str, JobState | None]:
        """What became of these jobs; None: gone, since a job that ended is kept for a while only."""
        with self._deadline():
            pipeline = self._client.pipeline(transaction=False)
            for job_id in job_ids:
                pipeline.hmget(f"{self._prefix}:job:{job_id}", "status", steps.ATTEMPTS)
            answers = pipeline.execute()
        return {job_id: _state(status, attempts) for job_id, (status, attempts) in zip(job_ids, answers, strict=True)}

    def requeue_dead(self, queue: str, job_ids: Sequence[str], *, batch_id: str, allow_foreign: bool = False) -> Requeued:
        """Dead letters back to the end of their queue, with all attempts before them; 500 in each atomic step.

        What was cut halfway, by a kill or a lost answer, is called again with the same batch id: nothing is moved twice.
        Raises GuardRefused, as all that moves jobs, beside workers of a version that is only observed.
        """
        self._check_act()
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
        self._check_act()
        moved = 0
        for chunk in _chunks(job_ids, MOVED_AT_ONCE):
            with self._deadline():
                handlers = self._steps.run(steps.QUARANTINE_DEAD, queue, why[:ERROR_LENGTH], *chunk)
            moved += len(handlers)
            for handler in handlers:
                self._count("quarantined", queue, text(handler), 1)
        return moved

    def release_quarantined(self, queue: str, job_ids: Sequence[str]) -> int:
        """Quarantined jobs are dead letters like others again, as if never flushed; answers how many.

        Beside workers of any version: who leaves Levqor can always take everything back.
        """
        return self._sum(steps.RELEASE_QUARANTINED, queue, job_ids)

    def drop_dead(self, queue: str, job_ids: Sequence[str]) -> int:
        """Removes dead letters, quarantined or not, for good; answers how many."""
        self._check_act()
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
        return read_letters(self._client, self._prefix, [(queue, job_id, score) for job_id, score in entries])

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
            raise EngineDown(f"the queue's broker at {place} does not answer: it {reason_of(error, self._address)}") from error
        if self._answers_since is None:
            self._answers_since = self._clock.monotonic()


def _state(status: Any, attempts: Any) -> JobState | None:
    """A job's state by RQ's word for it; `scheduled` is a retry that is due, or a job that was never tried."""
    if status is None:
        return None
    word = text(status)
    return "failed" if word == "scheduled" and int(attempts or 0) else _STATES.get(word, "queued")


def _chunks(job_ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(job_ids), size):
        yield job_ids[start : start + size]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A registered worker; with its identity, where it tells one, the age of its last heartbeat and the versions that it runs."""

    worker: Worker
    identity: str | None
    silent_s: float | None
    rq_version: str | None
    python_version: str | None

    @property
    def is_gone(self) -> bool:
        """Silent, and its process, by its own word one of this machine, does not live here."""
        if self.identity is None or self.silent_s is None or self.silent_s < SILENT_AFTER_S:
            return False
        process = ProcessIdentity.parse(self.identity)
        return process.is_local and not process.is_alive()


def _entry(name: str, facts: Mapping[str, str], held: set[bytes], now: float) -> _Entry:
    heard = moment_of(facts.get("last_heartbeat", ""))
    silent_s = now - heard.timestamp() if heard else None
    birth = moment_of(facts.get("birth", ""))
    current = next((text(member).partition(":")[0] for member in sorted(held)), None) or facts.get("current_job")
    ended = _sum(facts, "successful_job_count", "failed_job_count")
    worker = Worker(
        name=name,
        host=facts.get("hostname", ""),
        pid=int(facts["pid"]) if facts.get("pid", "").isdigit() else None,
        state=_worker_state(facts, silent_s),
        job_id=current,
        queues=tuple(queue for queue in facts.get("queues", "").split(",") if queue),
        started_at=birth.timestamp() if birth else None,
        ended_jobs=None if ended is None else int(ended),
        worked_s=_sum(facts, "total_working_time"),
    )
    return _Entry(worker, facts.get(steps.IDENTITY) or None, silent_s, facts.get(VERSION_FIELD), facts.get(PYTHON_FIELD))


def _sum(facts: Mapping[str, str], *names: str) -> float | None:
    """Of RQ's own counts, which begin as nothing; None where the worker has no facts, or one is no number."""
    try:
        return sum(float(facts.get(name, 0)) for name in names) if facts else None
    except ValueError:
        return None


def _standing(entries: Iterable[_Entry]) -> Standing:
    """Of the workers that are not lost: what those ran is no longer beside us."""
    return standing_of((entry.rq_version, entry.python_version) for entry in entries if entry.worker.state is not WorkerState.LOST)


def _worker_state(facts: Mapping[str, str], silent_s: float | None) -> WorkerState:
    """RQ keeps a worker's facts only as long as its heartbeat is good for; Levqor's workers say how long that is."""
    if silent_s is None or silent_s > float(facts.get(steps.LOST_AFTER_S, "inf")):
        return WorkerState.LOST
    if facts.get("shutdown_requested_date"):
        return WorkerState.DRAINING
    return _WORKER_STATES.get(facts.get("state", ""), WorkerState.UNKNOWN)
