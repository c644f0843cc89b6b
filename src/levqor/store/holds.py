"""Holds: a person's word, or act, that nothing automatic acts (spec L2), and paused queues."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from levqor.domain.decisions import Hold
from levqor.domain.errors import Conflict
from levqor.store.schema import holds, paused_queues

KEEP = timedelta(days=366)
MANUAL = "manual"
PERSON = "person"
OUTSIDE = "outside"
"""Somebody set the workers by other means."""

BY_COUNT = frozenset({MANUAL, OUTSIDE})
"""Holds that keep a count: a newer count ends them."""


def open_holds(connection: Connection) -> list[dict[str, Any]]:
    """Every hold in force, the newest first."""
    rows = connection.execute(select(holds).where(holds.c.ended_at.is_(None)).order_by(holds.c.id.desc())).mappings()
    return [dict(row) for row in rows]


def longest_hold(rows: list[dict[str, Any]]) -> Hold | None:
    """The hold that will end last; one without an end beats all."""
    if not rows:
        return None
    row = max(rows, key=lambda hold: float("inf") if hold["remaining_s"] is None else hold["remaining_s"])
    return Hold(row["owner"], row["why"], row["remaining_s"], row["id"], row["kind"])


def place_hold(connection: Connection, now: datetime, kind: str, owner: str, why: str, for_s: float | None) -> int:
    """Begin a hold; one that keeps a count replaces those that kept another. Its id."""
    if kind in BY_COUNT:
        end_count_holds(connection, now, owner)
    values = {"kind": kind, "owner": owner[:200], "why": why[:500], "remaining_s": for_s, "created_at": now}
    return int(connection.execute(insert(holds).values(**values).returning(holds.c.id)).scalar_one())


def end_holds(connection: Connection, now: datetime, by: str, *, hold_id: int | None = None, kind: str | None = None) -> int:
    """End one hold, one kind of holds, or all; how many ended."""
    ending = update(holds).where(holds.c.ended_at.is_(None))
    if hold_id is not None:
        ending = ending.where(holds.c.id == hold_id)
    if kind is not None:
        ending = ending.where(holds.c.kind == kind)
    return connection.execute(ending.values(ended_at=now, ended_by=by[:200])).rowcount


def end_count_holds(connection: Connection, now: datetime, by: str) -> int:
    """End every hold that keeps a count; how many ended."""
    return sum(end_holds(connection, now, by, kind=kind) for kind in sorted(BY_COUNT))


def count_down_holds(connection: Connection, now: datetime, elapsed_s: float) -> None:
    """Take `elapsed_s` off every timed hold and end those that have run out."""
    timed = holds.c.ended_at.is_(None) & holds.c.remaining_s.is_not(None)
    connection.execute(update(holds).where(timed).values(remaining_s=holds.c.remaining_s - elapsed_s))
    connection.execute(update(holds).where(timed & (holds.c.remaining_s <= 0)).values(ended_at=now, ended_by="expiry", remaining_s=0.0))


def paused(connection: Connection) -> list[dict[str, Any]]:
    """Every paused queue with who paused it, when and why."""
    rows = connection.execute(select(paused_queues).order_by(paused_queues.c.queue)).mappings()
    return [{**row, "paused_at": row["paused_at"].isoformat()} for row in rows]


def pause_queue(connection: Connection, now: datetime, queue: str, owner: str, why: str) -> None:
    """Raises Conflict where it is paused already."""
    try:
        with connection.begin_nested():
            connection.execute(insert(paused_queues).values(queue=queue, owner=owner[:200], why=why[:500], paused_at=now))
    except IntegrityError:
        raise Conflict("that queue is paused already") from None


def resume_queue(connection: Connection, queue: str) -> bool:
    """Was it paused?"""
    return connection.execute(delete(paused_queues).where(paused_queues.c.queue == queue)).rowcount == 1


def purge_holds(connection: Connection, now: datetime) -> None:
    """Drop holds that ended long ago; those in force stay, however old."""
    connection.execute(delete(holds).where(holds.c.ended_at < now - KEEP))
