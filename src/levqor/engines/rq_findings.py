"""What is to be mended in a team's RQ and its broker: pure judgement over what a look found, each with the line that mends it.

What the broker does not tell is `unknown`, never fine.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from levqor.engines.rq_facts import Facts, Server, Worker
from levqor.engines.rq_version import Support

Severity = Literal["ok", "warn", "fail", "unknown"]

OLDEST_SERVER = (6, 2)
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 30.0
FULL_WARN, FULL_FAIL = 0.75, 0.9
SLOW_S = 0.1
SPARSE_S = 60
"""Snapshots that may be further apart than this lose more than a minute of jobs."""

PROMPT_S = 120.0
"""An abandoned job that is looked for within this time is nothing to speak of."""

MAINTENANCE_S = 600.0
"""RQ's --maintenance-interval where nobody sets it."""

TAKES_BACK_SOON = "--worker-ttl 30 --maintenance-interval 15 --job-monitoring-interval 5"
NAMED_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing; `mend` is what to type or set, empty where all is well."""

    code: str
    severity: Severity
    text: str
    mend: str = ""


def findings(facts: Facts) -> list[Finding]:
    """Everything that was checked, in the order of its weight: what fails first, what is well last."""
    found = [*server_findings(facts)]
    if facts.has_rq or facts.missing:
        found += rq_findings(facts)
    return sorted(found, key=lambda finding: _WEIGHT[finding.severity])


_WEIGHT: dict[Severity, int] = {"fail": 0, "warn": 1, "unknown": 2, "ok": 3}


def server_findings(facts: Facts) -> Iterator[Finding]:
    """The server itself, whatever it is used for."""
    server, cli = facts.server, f"redis-cli -u {facts.typed}"
    yield _version(server)
    yield _eviction(server, cli)
    yield _durability(server, cli)
    yield _memory(server, cli)
    yield _clock(server)
    yield from _role(server)
    yield _password(facts, cli)
    yield from _load(server, cli)


def rq_findings(facts: Facts) -> Iterator[Finding]:
    """What RQ makes of it."""
    yield from _missing(facts)
    yield _unserved(facts)
    yield from _suspended(facts)
    yield _lost(facts)
    yield _abandoned(facts)
    yield from _abandoned_defaults(facts)
    yield _scheduler(facts)
    yield from _rq_version(facts)


# The server


def _version(server: Server) -> Finding:
    if server.version is None:
        return _untold("version", "which version it is", "ask your provider: it has to be 6.2 or later")
    parts = tuple(int(part) for part in server.version.split(".")[:2] if part.isdigit())
    if parts >= OLDEST_SERVER:
        return Finding("version", "ok", f"{server.product} {server.version}")
    return Finding("version", "fail", f"{server.product} {server.version} is too old: current RQ wants 6.2", "upgrade it to 6.2 or later")


def _eviction(server: Server, cli: str) -> Finding:
    if server.eviction is None:
        mend = "see that maxmemory-policy is noeviction in your provider's console"
        return _untold("eviction", "what it does when it is full (maxmemory-policy)", mend)
    if server.eviction == "noeviction":
        return Finding("eviction", "ok", "maxmemory-policy noeviction")
    mend = f"`{cli} config set maxmemory-policy noeviction`, and the same in its configuration: with any other, jobs may vanish"
    return Finding("eviction", "fail", f"maxmemory-policy {server.eviction}: when it is full, it throws keys away", mend)


def _durability(server: Server, cli: str) -> Finding:
    mend = f"`{cli} config set appendonly yes`, and the same in its configuration: without it a restart may lose accepted jobs"
    if server.is_appending is None:
        return _untold("durability", "whether it keeps jobs over a restart", "see that persistence (AOF) is on in your provider's console")
    if server.append_failed or (server.snapshot_failed and not server.is_appending):
        return Finding("durability", "fail", "the last write to its disk failed", "free some disk on its host, then look into its log")
    if server.is_appending:
        return Finding("durability", "ok", "appendonly yes")
    if server.save_points is None:
        return Finding("durability", "unknown", "appendonly no; whether snapshots are written it does not tell", mend)
    gap_s = snapshot_gap_s(server.save_points)
    if gap_s is None:
        return Finding("durability", "fail", "appendonly no and no snapshots: a restart loses every job", mend)
    if gap_s > SPARSE_S:
        return Finding("durability", "warn", f"appendonly no; snapshots alone lose up to {gap_s} s of jobs", mend)
    return Finding("durability", "ok", f"appendonly no; a snapshot at least every {gap_s} s")


def snapshot_gap_s(save_points: str) -> int | None:
    """How long a lone change may wait for its snapshot; None: for ever. `3600 1 300 100` waits an hour for one change."""
    numbers = [int(word) for word in save_points.split() if word.isdigit()]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    return min((seconds for seconds, changes in pairs if changes <= 1), default=max((seconds for seconds, _ in pairs), default=None))


def _memory(server: Server, cli: str) -> Finding:
    if server.memory_used is None or server.memory_limit is None:
        return _untold("memory", "how full it is", "watch its memory in your provider's console")
    limit, of_what = (server.memory_limit, "maxmemory") if server.memory_limit else (server.memory_of_host, "its host's memory")
    used = f"{server.memory_used / 1e6:.0f} MB used"
    if not limit:
        return Finding("memory", "ok", f"{used}, no limit")
    share = server.memory_used / limit
    said = f"{used}, {share:.0%} of {of_what}"
    if share < FULL_WARN:
        return Finding("memory", "ok", said)
    double = f"`{cli} config set maxmemory {2 * limit}` where its host has room" if server.memory_limit else "give its host more memory"
    mend = f"{double}, or remove dead jobs and results that nobody needs"
    return Finding("memory", "fail" if share >= FULL_FAIL else "warn", f"{said}: full, it refuses new jobs", mend)


def _clock(server: Server) -> Finding:
    if server.skew_s is None:
        return _untold("clock", "its time, so waits are by this host's clock", "let the user run TIME: `ACL SETUSER NAME +time`")
    skew_s = abs(server.skew_s)
    severity: Severity = "ok" if skew_s <= SKEW_WARN_S else "warn" if skew_s <= SKEW_FAIL_S else "fail"
    mend = "" if severity == "ok" else "let both hosts keep time (`timedatectl set-ntp true`)"
    return Finding("clock", severity, f"{skew_s:.1f} s apart from this host's", mend)


def _role(server: Server) -> Iterator[Finding]:
    if server.is_cluster:
        mend = "use a server that is no cluster: RQ's steps touch several keys at once"
        yield Finding("role", "fail", "a node of a Redis Cluster, which RQ cannot use", mend)
    elif server.role in ("slave", "replica"):
        linked = "" if server.is_linked is not False else "; its link to the master is down, so what is shown may be old"
        mend = "name the master in your apps' and workers' REDIS_URL"
        yield Finding("role", "warn", f"a replica: it can be read, and no worker can take a job from it{linked}", mend)


def _password(facts: Facts, cli: str) -> Finding:
    if facts.is_near:
        return Finding("password", "ok", "reached on this machine")
    if facts.has_password:
        return Finding("password", "ok", "wants a password")
    mend = f'`{cli} config set requirepass "$(openssl rand -hex 24)"`, and the same in its configuration and in REDIS_URL'
    return Finding("password", "warn", "reached over the network without a password: whoever reaches it can read and remove jobs", mend)


def _load(server: Server, cli: str) -> Iterator[Finding]:
    if server.round_trip_s is not None and server.round_trip_s > SLOW_S:
        mend = f"`{cli} slowlog get 10` shows what keeps it busy; else look from a host near it"
        yield Finding("latency", "warn", f"a round trip takes {server.round_trip_s * 1000:.0f} ms", mend)
    if server.clients is not None and server.clients_limit and server.clients >= FULL_FAIL * server.clients_limit:
        mend = f"`{cli} config set maxclients {2 * server.clients_limit}`, or find who opens so many (`{cli} client list`)"
        yield Finding("clients", "warn", f"{server.clients} of {server.clients_limit} connections are taken", mend)


def _untold(code: str, what: str, mend: str) -> Finding:
    return Finding(code, "unknown", f"unknown: the server does not tell {what}", mend)


# RQ


def _missing(facts: Facts) -> Iterator[Finding]:
    if facts.missing:
        mend = "see that name and prefix are right (`--prefix`, where RQ_KEY_PREFIX is set); RQ knows a queue from its first job on"
        yield Finding("missing", "warn", f"RQ knows no queue {named(facts.missing)}", mend)


def _unserved(facts: Facts) -> Finding:
    names = [queue.name for queue in facts.unserved]
    if facts.workers_unread:
        return Finding("unserved", "unknown", "unknown: there are more workers than were read", "`rq info --by-queue` lists them all")
    if names:
        whom = "no worker serves" if facts.living else "no worker lives that could serve"
        return Finding("unserved", "fail", f"jobs wait in {named(names)}, which {whom}", start_worker(facts, names))
    unread = any(queue.waiting is None or queue.delayed is None for queue in facts.queues)
    if unread:
        return _untold("unserved", "how many jobs wait", "let the user read RQ's keys: `ACL SETUSER NAME ~rq:* +@read`")
    return Finding("unserved", "ok", "every queue with jobs has a worker")


def _suspended(facts: Facts) -> Iterator[Finding]:
    if facts.is_suspended:
        mend = f"`rq resume --url {facts.typed}`"
        yield Finding("suspended", "warn", "all workers are suspended (`rq suspend`): they take no job", mend)


def _lost(facts: Facts) -> Finding:
    lost = [worker.name for worker in facts.workers if not worker.is_alive]
    if not lost:
        return Finding("lost", "ok", "every registered worker is heard of")
    mend = "see on its host whether it lives, and let its supervisor start it again; RQ forgets such names at its next clean-up"
    return Finding("lost", "warn", f"registered and not heard of any more: {named(lost)}", mend)


def _abandoned(facts: Facts) -> Finding:
    held = [queue for queue in facts.queues if queue.abandoned]
    if any(queue.abandoned is None for queue in facts.queues):
        return _untold("abandoned", "which jobs run", "let the user read RQ's keys: `ACL SETUSER NAME ~rq:* +@read`")
    if not held:
        return Finding("abandoned", "ok", "no job is marked as running without a worker")
    count = sum(queue.abandoned or 0 for queue in held)
    names = [queue.name for queue in held]
    one, them = ("job is", "it") if count == 1 else ("jobs are", "them")
    said = f"{count} {one} marked as running in {named(names)}, and no living worker has {them}"
    return Finding("abandoned", "fail", said, f"{_tidy(facts, names)} hands {them} to the retries, or to the dead jobs")


def _tidy(facts: Facts, names: Sequence[str]) -> str:
    """RQ's own clean-up, at once, by a line that a shell takes as it stands."""
    url = 'os.environ["REDIS_URL"]' if facts.typed.startswith('"$') else json.dumps(facts.place)
    code = (
        f"import os, redis; from rq.registry import StartedJobRegistry as R; c = redis.from_url({url}); "
        f"[R(q, connection=c).cleanup() for q in {json.dumps(list(names))}]"
    )
    return f"`{_environment(facts)}python -c {shlex.quote(code)}`"


def _abandoned_defaults(facts: Facts) -> Iterator[Finding]:
    """A job whose worker's host died waits until an idle worker wakes, and finds that it is time to tidy."""
    workers = [worker for worker in facts.living if not worker.is_levqors]
    if not workers:
        return
    wakes = [wake for worker in workers if (wake := worker.wakes_every_s) is not None]
    mend = start_worker(facts, _served_by(workers), TAKES_BACK_SOON)
    if not wakes:
        said = "unknown while no worker is idle: how soon an abandoned job is given back"
        yield Finding("takes_back", "unknown", said, f"look again later, or make it soon: {mend}")
        return
    tidied = max((queue.tidied_within_s for queue in facts.queues if queue.tidied_within_s is not None), default=None)
    after_s = looked_for_after_s(max(wakes), tidied)
    if after_s <= PROMPT_S:
        yield Finding("takes_back", "ok", f"an idle worker wakes every {max(wakes):.0f} s at the latest")
        return
    said = f"a job whose worker dies with its host is marked as running for up to {after_s:.0f} s"
    why = f"an idle worker wakes every {max(wakes):.0f} s, and tidies every {MAINTENANCE_S:.0f} s by default"
    yield Finding("takes_back", "warn", f"{said}: {why}", mend)


def looked_for_after_s(wakes_every_s: float, tidied_within_s: float | None) -> float:
    """The first waking at which it is time to tidy: with RQ's defaults 405 s twice, so 810 s.

    RQ does not tell its maintenance interval. A worker that wakes often was set up by somebody who knows, unless RQ 3's mark lasts longer.
    """
    is_default = wakes_every_s > PROMPT_S or (tidied_within_s is not None and tidied_within_s > PROMPT_S)
    return ceil(MAINTENANCE_S / wakes_every_s) * wakes_every_s if is_default else wakes_every_s


def _scheduler(facts: Facts) -> Finding:
    levqors = {queue for worker in facts.living if worker.is_levqors for queue in worker.queues}
    delayed = [queue for queue in facts.queues if queue.delayed and queue.name not in levqors]
    without = [queue for queue in delayed if queue.has_scheduler is False]
    if without:
        count = sum(queue.delayed or 0 for queue in without)
        names = [queue.name for queue in without]
        what = f"{count} {'retry or scheduled job' if count == 1 else 'retries or scheduled jobs'}"
        said = f"{what} in {named(names)}, and no scheduler runs that puts them back: they wait for ever"
        return Finding("scheduler", "fail", said, start_worker(facts, names, "--with-scheduler"))
    if any(queue.delayed is None or (queue.delayed and queue.has_scheduler is None) for queue in facts.queues):
        return _untold("scheduler", "whether a scheduler runs", "let the user read RQ's keys: `ACL SETUSER NAME ~rq:* +@read`")
    late = [queue.name for queue in delayed if queue.overdue]
    if late:
        mend = "restart the worker that runs the scheduler, and see that its host keeps time"
        return Finding("scheduler", "warn", f"retries or scheduled jobs in {named(late)} are due for more than a minute", mend)
    return Finding("scheduler", "ok", "whatever is delayed has a scheduler" if delayed else "nothing is delayed")


def _rq_version(facts: Facts) -> Iterator[Finding]:
    if not facts.living:
        return
    standing = facts.standing
    if standing.support is Support.ACTED:
        yield Finding("rq_version", "ok", f"RQ {', '.join(standing.rq_versions)}")
        return
    severities: dict[Support, Severity] = {Support.REFUSED: "fail", Support.OBSERVED: "warn", Support.UNKNOWN: "unknown"}
    said, _, mend = standing.sentence.partition(": ")
    yield Finding("rq_version", severities[standing.support], said, mend)


def start_worker(facts: Facts, queues: Sequence[str], options: str = "") -> str:
    """The line that starts a worker for these queues."""
    names = " ".join(shlex.quote(name) for name in queues)
    return f"`{_environment(facts)}rq worker --url {facts.typed}{f' {options}' if options else ''} {names}`"


def _environment(facts: Facts) -> str:
    """RQ 3 takes its prefix from there."""
    return "" if facts.prefix == "rq" else f"RQ_KEY_PREFIX={shlex.quote(facts.prefix)} "


def _served_by(workers: Iterable[Worker]) -> list[str]:
    return list(dict.fromkeys(queue for worker in workers for queue in worker.queues))[:NAMED_AT_MOST]


def named(names: Sequence[str]) -> str:
    """`high, default and 7 more`."""
    shown = ", ".join(names[:NAMED_AT_MOST])
    return shown if len(names) <= NAMED_AT_MOST else f"{shown} and {len(names) - NAMED_AT_MOST} more"
