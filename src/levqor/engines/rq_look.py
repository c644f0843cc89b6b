"""Looking at a team's RQ through its broker's address alone. Only commands that read; no walk over all keys, no script.

The reads are few and bounded: a handful of round trips, whatever the number of jobs. Where a figure is a sample, the facts say so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import ResponseError

from levqor.client import rq_scripts as steps
from levqor.domain.dead_letters import DeadLetter
from levqor.domain.errors import UsageError
from levqor.engines import broker
from levqor.engines.rq_facts import LOST, UNKNOWN, Dead, Facts, Queue, Server, Worker, dead_groups
from levqor.engines.rq_letters import Entry, function_of, moment_of, read_letters, waiting_since
from levqor.engines.rq_version import PYTHON_FIELD, VERSION_FIELD
from levqor.ports import Clock

PREFIX = "rq"
MOST_QUEUES = 1_000
MOST_WORKERS = 1_000
HEAD_SIZE = 5
MOST_STARTED = 20
"""Running jobs of each queue whose worker is looked up; those that nobody keeps alive come first."""

MOST_DEAD = 3_000
DEAD_AT_ONCE = 500
DEAD_BUDGET_S = 0.7
"""A broker far away: no more dead jobs are read once this has passed."""

OVERDUE_S = 60.0
"""A scheduler looks every second; RQ's locks outlive it by a minute."""

AT_ONCE = 4_000
"""Commands in one pipeline: the broker serves others in between."""

_PREFIX = re.compile(r"[A-Za-z0-9_.:{}-]{1,100}")
_EXECUTION = re.compile(r"(.+):[0-9a-f]{32}")
_WORKER_FIELDS = (
    "state", "hostname", "pid", "queues", "last_heartbeat", "birth", "current_job", "shutdown_requested_date",
    VERSION_FIELD, PYTHON_FIELD, steps.IDENTITY,
)  # fmt: skip
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "Celery": ("_kombu.binding.celery", "_kombu.binding.celery.pidbox", "_kombu.binding.celeryev", "unacked", "celery"),
    "Dramatiq": ("dramatiq:__heartbeats__", "dramatiq:default", "dramatiq:default.msgs", "dramatiq:default.XQ"),
}
Command = tuple[Any, ...]


def look(url: str, *, clock: Clock, queues: Sequence[str] = (), prefix: str = PREFIX) -> Facts:
    """Everything that one look finds. Raises UsageError (a wrong address) and EngineDown (no answer), in one line each."""
    if not _PREFIX.fullmatch(prefix):
        raise UsageError("the prefix of RQ's keys holds only letters, digits and _ . : - { }")
    address = broker.address_of(url)
    with broker.connect(address) as client:
        broker.greet(client, address)
        with broker.in_words(address):
            return _Look(client, address, clock, prefix).facts(queues)


def look_at_server(url: str, *, clock: Clock) -> Facts:
    """The server alone, whatever it is used for. Raises as `look` does."""
    address = broker.address_of(url)
    with broker.connect(address) as client:
        broker.greet(client, address)
        with broker.in_words(address):
            return _Look(client, address, clock, PREFIX).server_facts()


class _Look:
    def __init__(self, client: redis.Redis, address: broker.Address, clock: Clock, prefix: str) -> None:
        self._client, self._address, self._clock, self._prefix = client, address, clock, prefix
        self._began = clock.monotonic()

    def server_facts(self) -> Facts:
        server, keys, now = self._server()
        return Facts(
            place=self._address.place,
            typed=self._address.typed,
            is_near=self._address.is_near,
            has_password=self._address.has_password,
            prefix=self._prefix,
            server=server,
            keys=keys,
            looked_at=datetime.fromtimestamp(now, UTC),
            took_s=self._clock.monotonic() - self._began,
        )

    def facts(self, wanted: Sequence[str]) -> Facts:
        server = self.server_facts()
        now = server.looked_at.timestamp() if server.looked_at else self._clock.now().timestamp()
        names, workers, unread, others, is_suspended = self._registered()
        chosen = list(dict.fromkeys(wanted)) if wanted else sorted(names)[:MOST_QUEUES]
        queues, started = self._queues(chosen, now)
        seen = self._workers(sorted(workers)[:MOST_WORKERS], now)
        # Queues were read before workers, so that a job which began meanwhile is not taken for one that nobody runs.
        if len(workers) <= MOST_WORKERS and not unread[1]:
            queues = self._with_abandoned(queues, started, {worker.name for worker in seen if worker.is_alive})
        if not wanted:
            served = {name for worker in seen if worker.is_alive for name in worker.queues} - set(chosen)
            queues += [_idle_queue(name) for name in sorted(served)]
        return replace(
            server,
            has_rq=bool(names or workers),
            others=others,
            queues=tuple(queues),
            queues_unread=0 if wanted else max(0, unread[0]),
            missing=tuple(name for name in chosen if name not in names),
            workers=tuple(seen),
            workers_unread=max(0, unread[1]),
            dead=self._dead([(queue.name, queue.dead or 0) for queue in queues]),
            is_suspended=is_suspended,
            took_s=self._clock.monotonic() - self._began,
        )

    # The server

    def _server(self) -> tuple[Server, int | None, float]:
        """The server, its number of keys, and its time in epoch seconds: this host's where it does not tell."""
        asked_at = self._clock.monotonic()
        time, keys = self._ask([("TIME",), ("DBSIZE",)])
        round_trip_s = self._clock.monotonic() - asked_at
        ours = self._clock.now().timestamp() - round_trip_s / 2
        now = int(time[0]) + int(time[1]) / 1e6 if isinstance(time, tuple | list) else None
        info, saves = self._ask([("INFO",), ("CONFIG GET", "save")])
        facts = info if isinstance(info, dict) else {}
        server = Server(
            product=None if not facts else "Valkey" if "valkey_version" in facts else "Redis",
            version=_word(facts.get("valkey_version") or facts.get("redis_version")),
            memory_used=_whole(facts.get("used_memory")),
            memory_limit=_whole(facts.get("maxmemory")),
            memory_of_host=_whole(facts.get("total_system_memory")),
            eviction=_word(facts.get("maxmemory_policy")),
            is_appending=_flag(facts.get("aof_enabled")),
            append_failed=_differs(facts.get("aof_last_write_status"), "ok"),
            save_points=_word(_setting(saves, "save")),
            snapshot_failed=_differs(facts.get("rdb_last_bgsave_status"), "ok"),
            role=_word(facts.get("role")),
            is_linked=None if "master_link_status" not in facts else facts["master_link_status"] == "up",
            is_cluster=_flag(facts.get("cluster_enabled")),
            clients=_whole(facts.get("connected_clients")),
            clients_limit=_whole(facts.get("maxclients")),
            skew_s=None if now is None else ours - now,
            round_trip_s=round_trip_s,
            other_databases=self._other_databases(facts),
        )
        return server, _whole(keys), ours if now is None else now

    def _other_databases(self, info: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
        here = int(self._client.connection_pool.connection_kwargs.get("db") or 0)
        found = ((name.removeprefix("db"), figures) for name, figures in info.items() if re.fullmatch(r"db\d+", str(name)))
        return tuple((int(number), int(figures["keys"])) for number, figures in found if int(number) != here and isinstance(figures, dict))

    # What is registered

    def _registered(self) -> tuple[set[str], list[str], tuple[int, int], tuple[str, ...], bool | None]:
        """Names of queues and workers, how many of each were left unread, other libraries, and whether all workers are suspended.

        Both sets must be readable: an address whose rights do not reach so far is told so, not shown an empty picture.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.scard(self._key("queues"))
        pipeline.scard(self._key("workers"))
        count, crew = (int(answer) for answer in pipeline.execute())
        for kind, size, most in (("queues", count, MOST_QUEUES), ("workers", crew, MOST_WORKERS)):
            # A draw where there are more than anybody can look at.
            pipeline.smembers(self._key(kind)) if size <= most else pipeline.srandmember(self._key(kind), most)
        queues, workers = pipeline.execute()
        asked = [("EXISTS", key) for keys in _OTHERS.values() for key in keys]
        suspended, *answers = self._ask([("EXISTS", self._key("suspended")), *asked])
        there = {key for (_, key), answer in zip(asked, answers, strict=True) if answer == 1}
        others = tuple(name for name, keys in _OTHERS.items() if there.intersection(keys))
        names = {_text(key).removeprefix(self._key("queue:")) for key in queues}
        crew_names = [_text(key).removeprefix(self._key("worker:")) for key in workers]
        is_suspended = None if suspended is None else bool(suspended)
        return names, crew_names, (count - len(names), crew - len(crew_names)), others, is_suspended

    def _queues(self, names: Sequence[str], now: float) -> tuple[list[Queue], list[list[str]]]:
        """The queues, and of each the first of its running jobs."""
        commands: list[Command] = []
        for name in names:
            commands += [
                ("LLEN", self._key(f"queue:{name}")),
                ("LRANGE", self._key(f"queue:{name}"), 0, HEAD_SIZE - 1),
                ("ZCARD", self._key(f"wip:{name}")),
                ("ZCARD", self._key(f"scheduled:{name}")),
                ("ZCARD", self._key(f"failed:{name}")),
                ("ZCARD", self._key(f"deferred:{name}")),
                ("ZCOUNT", self._key(f"wip:{name}"), "0", f"({now:.6f}"),
                ("ZCOUNT", self._key(f"scheduled:{name}"), "-inf", f"{now - OVERDUE_S:.6f}"),
                ("EXISTS", self._key(f"scheduler-lock:{name}")),
                ("PTTL", self._key(f"clean_registries:{name}")),
                ("ZRANGE", self._key(f"wip:{name}"), 0, MOST_STARTED - 1),
            ]
        answers = self._ask(commands)
        rows = [answers[at : at + 11] for at in range(0, len(answers), 11)]
        waits = self._waits([row[1] or [] for row in rows], now)
        queues = [
            Queue(
                name=name,
                waiting=_whole(row[0]),
                oldest_wait_s=wait,
                running=_whole(row[2]),
                delayed=_whole(row[3]),
                dead=_whole(row[4]),
                deferred=_whole(row[5]),
                abandoned=_whole(row[6]),
                overdue=_whole(row[7]),
                has_scheduler=None if row[8] is None else bool(row[8]),
                tidied_within_s=None if row[9] is None or row[9] < 0 else row[9] / 1000,
            )
            for name, wait, row in zip(names, waits, rows, strict=True)
        ]
        return queues, [[_job_of(_text(member)) for member in row[10] or []] for row in rows]

    def _waits(self, heads: Sequence[Sequence[bytes]], now: float) -> list[float | None]:
        """Age of the oldest of each queue's first jobs: one that was put at the front may be younger than the next."""
        asked = [("HMGET", self._key(f"job:{_text(job_id)}"), steps.QUEUED_AT, "enqueued_at") for head in heads for job_id in head]
        answers = iter(self._ask(asked))
        since = [[waiting_since(*(next(answers) or (None, None))) for _ in head] for head in heads]
        return [max((max(0.0, now - at) for at in known if at is not None), default=None) for known in since]

    def _with_abandoned(self, queues: Sequence[Queue], started: Sequence[Sequence[str]], living: set[str]) -> list[Queue]:
        """Counts as abandoned also what a worker holds that is not registered any more, as far as the first running jobs tell."""
        asked = [("HMGET", self._key(f"job:{job_id}"), "status", "worker_name") for jobs in started for job_id in jobs]
        answers = iter(self._ask(asked))
        found = []
        for queue, jobs in zip(queues, started, strict=True):
            holders = [next(answers) for _ in jobs]
            orphans = sum(_is_orphan(holder, living) for holder in holders)
            found.append(queue if queue.abandoned is None else replace(queue, abandoned=max(queue.abandoned, orphans)))
        return found

    def _workers(self, names: Sequence[str], now: float) -> list[Worker]:
        commands: list[Command] = []
        for name in names:
            key = self._key(f"worker:{name}")
            commands += [("HMGET", key, *_WORKER_FIELDS), ("PTTL", key), ("SRANDMEMBER", f"{key}:executions", 1)]
        answers = self._ask(commands)
        workers = [_worker(name, answers[at * 3 : at * 3 + 3], now) for at, name in enumerate(names)]
        jobs = [worker.job_id for worker in workers if worker.job_id]
        told = self._ask([("HMGET", self._key(f"job:{job_id}"), steps.HANDLER, "description") for job_id in jobs])
        functions = {job_id: _function(*(answer or (None, None))) for job_id, answer in zip(jobs, told, strict=True)}
        return [replace(worker, function=functions.get(worker.job_id or "")) for worker in workers]

    # Dead jobs

    def _dead(self, counts: Sequence[tuple[str, int]]) -> Dead:
        """The newest of each queue, as many as there is room for; each queue has its share."""
        total = sum(count for _, count in counts)
        shares = _shares(dict(counts), MOST_DEAD)
        ranges: list[Command] = [("ZREVRANGE", self._key(f"failed:{name}"), 0, share - 1, "WITHSCORES") for name, share in shares.items()]
        entries: list[Entry] = []
        for name, found in zip(shares, self._ask(ranges), strict=True):
            entries += [(name, _text(job_id), float(score)) for job_id, score in _pairs(found)]
        return self._grouped(total, entries)

    def _grouped(self, total: int, entries: Sequence[Entry]) -> Dead:
        until, read = self._clock.monotonic() + DEAD_BUDGET_S, 0
        letters: list[DeadLetter] = []
        for chunk in _chunks(entries, DEAD_AT_ONCE):
            if self._clock.monotonic() > until:
                break
            letters += read_letters(self._client, self._prefix, chunk)
            read += len(chunk)
        # An entry whose job is gone was read as well: it is no dead job that was left out.
        return Dead(total, read, dead_groups(letters))

    # Asking

    def _key(self, rest: str) -> str:
        return f"{self._prefix}:{rest}"

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """One answer for each; None where the server does not do it, or does not let this user."""
        answers: list[Any] = []
        for chunk in _chunks(commands, AT_ONCE):
            pipeline = self._client.pipeline(transaction=False)
            for command in chunk:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            answers += pipeline.execute(raise_on_error=False)
        return [None if isinstance(answer, ResponseError) else answer for answer in answers]


def _worker(name: str, answers: Sequence[Any], now: float) -> Worker:
    row, left_ms, executions = answers
    facts = {field: _text(value) for field, value in zip(_WORKER_FIELDS, row or (), strict=False) if value is not None}
    heard_at = moment_of(facts.get("last_heartbeat", ""))
    held = _job_of(_text(executions[0])) if executions else facts.get("current_job")
    return Worker(
        name=name,
        state=_state(facts, is_known=row is not None),
        job_id=held or None,
        host=facts.get("hostname"),
        pid=_whole(facts.get("pid")),
        queues=tuple(queue for queue in facts.get("queues", "").split(",") if queue),
        heard_at=heard_at,
        silent_s=None if heard_at is None else max(0.0, now - heard_at.timestamp()),
        good_for_s=None if left_ms is None or left_ms < 0 else left_ms / 1000,
        started_at=moment_of(facts.get("birth", "")),
        rq_version=facts.get(VERSION_FIELD),
        python_version=facts.get(PYTHON_FIELD, "").partition(" ")[0] or None,
        is_levqors=steps.IDENTITY in facts,
    )


def _state(facts: Mapping[str, str], *, is_known: bool) -> str:
    """RQ keeps a worker's facts only as long as its heartbeat is good for: none left means that nobody hears of it."""
    if not is_known:
        return UNKNOWN
    if "last_heartbeat" not in facts and "birth" not in facts:
        return LOST
    return "draining" if facts.get("shutdown_requested_date") else facts.get("state", UNKNOWN)


def _is_orphan(holder: Sequence[bytes | None] | None, living: set[str]) -> bool:
    status, worker = holder or (None, None)
    return status == b"started" and bool(worker) and _text(worker) not in living


def _function(handler: bytes | None, description: bytes | None) -> str | None:
    if handler is not None:
        return _text(handler)
    return None if description is None else function_of(_text(description))


def _idle_queue(name: str) -> Queue:
    """Served, and nothing was ever put into it."""
    return Queue(name, 0, None, 0, 0, 0, 0, 0, 0, None, None)


def _shares(counts: Mapping[str, int], room: int) -> dict[str, int]:
    """How many of each to read: all of the small ones first, and what is left over is shared by the large ones."""
    shares: dict[str, int] = {}
    small_first = sorted((count, name) for name, count in counts.items() if count)
    for at, (count, name) in enumerate(small_first):
        shares[name] = min(count, room // (len(small_first) - at))
        room -= shares[name]
    return {name: share for name, share in shares.items() if share}


def _job_of(member: str) -> str:
    """A running job by its registry's entry: since RQ 2 with the id of its execution."""
    found = _EXECUTION.fullmatch(member)
    return found[1] if found else member


def _pairs(flat: Sequence[Any] | None) -> Iterator[tuple[Any, Any]]:
    flat = flat or ()
    return zip(flat[::2], flat[1::2], strict=False)


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _text(value: Any) -> str:
    """What somebody else wrote, whatever it is."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def _word(value: Any) -> str | None:
    return None if value is None else _text(value)


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _differs(value: Any, good: str) -> bool | None:
    return None if value is None else value != good


def _setting(answer: Any, name: str) -> Any:
    """One setting out of the answer to CONFIG GET, in whichever way the client gives it."""
    if not isinstance(answer, dict):
        return None
    return next((value for key, value in answer.items() if _text(key) == name), None)
