"""What version 6.2 promised: uptime, queue health, billing health, analytics."""

from datetime import datetime
from typing import Any

from levqor.verify.checks import Check, NotAsExpected, Stage, field, listed, must, number, shown, table, text, whole
from levqor.verify.target import Target

FIGURES = ("depth", "oldest_age_s", "running", "dead", "workers")
PEOPLE = ("total", "new_7d", "new_30d", "returning_7d", "returning_30d")
MOST_SOURCES = 10


def v6_2(target: Target) -> Stage:
    """The four endpoints that dashboards and people read."""
    limit_s = 2 * target.timeout_s + 1
    return Stage(
        "v6_2",
        (
            Check("uptime", "/ops/uptime: since when, and availability from 0 to 1 or null", lambda: _uptime(target), limit_s),
            Check("queue_health", "/ops/queue_health: counts, and workers with pid, host, state, job", lambda: _queues(target), limit_s),
            Check("billing_health", "/billing/health: ok or not_configured", lambda: _billing(target), limit_s),
            Check("analytics", "/admin/analytics: counts of users, and their top sources", lambda: _analytics(target), limit_s),
        ),
    )


def _uptime(target: Target) -> str:
    answer = target.get("/ops/uptime").must_be(200).json()
    moment(answer, "started_at")
    for span, share in table(answer, "availability").items():
        is_share = isinstance(share, int | float) and not isinstance(share, bool) and 0 <= share <= 1
        must(share is None or is_share, f"availability over {span} is {shown(share)}")
    up_s = number(answer, "uptime_s")
    must(up_s >= 0, f"uptime_s is {up_s}")
    return f"up for {up_s:.0f} s"


def moment(document: dict[str, Any], name: str) -> datetime:
    """A time with its offset from UTC."""
    said = text(document, name)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise NotAsExpected(f"{name} is {shown(said)}") from None
    must(found.tzinfo is not None, f"{name} has no offset from UTC")
    return found


def _queues(target: Target) -> str:
    answer = target.read("/ops/queue_health").must_be(200).json()
    unknown = listed(answer, "unknown")
    for name in FIGURES:
        # The oldest wait of an empty queue is null and known.
        must(
            field(answer, name) is not None or name in unknown or name == "oldest_age_s", f"{name} is null, and `unknown` does not name it"
        )
    must("depth" not in unknown, f"unknown: {', '.join(map(str, unknown))}")
    depth, dead = whole(answer, "depth"), whole(answer, "dead")
    workers = [] if answer["workers"] is None else listed(answer, "workers")
    for worker in workers:
        must(isinstance(worker, dict), f"a worker is {shown(worker)}")
        missing = [name for name in ("pid", "host", "state", "job") if name not in worker]
        must(not missing, f"a worker without {', '.join(missing)}")
    return f"{depth} waiting, {dead} dead, {len(workers)} workers"


def _billing(target: Target) -> str:
    answer = target.read("/billing/health").must_be(200, 503).json()
    said = text(answer, "status")
    must(said in ("ok", "not_configured"), f"status {said}: {answer.get('detail') or 'no detail'}")
    return f"status {said}"


def _analytics(target: Target) -> str:
    answer = target.ask("GET", "/admin/analytics", target.admin()).must_be(200).json()
    must(field(answer, "ok") is True, f"ok is {shown(answer['ok'])}")
    users = table(answer, "users")
    counts = {name: whole(users, name) for name in PEOPLE}
    most = max(counts.values())
    must(most == counts["total"], f"of {counts['total']} users, {most} are new or returning")
    sources = listed(answer, "referral_sources")
    must(len(sources) <= MOST_SOURCES, f"{len(sources)} referral sources")
    for source in sources:
        must(isinstance(source, dict), f"a referral source is {shown(source)}")
        text(source, "source")
        whole(source, "users")
    return f"{counts['total']} users, {len(sources)} sources"
