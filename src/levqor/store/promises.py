"""Promises of a clear queue, and what became of them (spec A11, P1): time accrued, never two moments of a wall clock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from levqor.policies.promise import Promise, PromiseState
from levqor.store.memories import read_memory, write_memory
from levqor.store.schema import promises

KEEP = timedelta(days=91)
"""As long as the decisions that made them, with their slack."""

TOTALS = "promises"
"""The memory that counts every promise that ended, so that the counts outlive the rows."""


def make_promise(
    connection: Connection, now: datetime, fleet: str, decision_id: int, *, depth: float, target: int, clear_in_s: float
) -> None:
    """Write down a promise that was just given."""
    rest = {"depth": depth, "target": target, "clear_in_s": clear_in_s, "waited_s": 0.0, "state": PromiseState.OPEN.value}
    connection.execute(insert(promises).values(at=now, fleet=fleet, decision_id=decision_id, **rest))


def open_promises(connection: Connection, fleet: str) -> dict[int, Promise]:
    """Those that wait to be kept, by number."""
    chosen = (promises.c.fleet == fleet) & (promises.c.state == PromiseState.OPEN.value)
    rows = connection.execute(select(promises).where(chosen).order_by(promises.c.id))
    return {row.id: Promise(row.clear_in_s, row.waited_s) for row in rows}


def write_promise(connection: Connection, now: datetime, number: int, promise: Promise) -> None:
    """What a tick found; one that ended is counted."""
    ended_at = None if promise.state is PromiseState.OPEN else now
    values = {"waited_s": promise.waited_s, "state": promise.state.value, "ended_at": ended_at}
    connection.execute(update(promises).where(promises.c.id == number).values(**values))
    if ended_at is not None:
        totals = read_memory(connection, TOTALS)
        write_memory(connection, now, TOTALS, {**totals, promise.state.value: totals.get(promise.state.value, 0) + 1})


def count_ended(connection: Connection) -> dict[str, int]:
    """How many promises were kept, missed or void since the installation's first day."""
    totals = read_memory(connection, TOTALS)
    return {state.value: int(totals.get(state.value, 0)) for state in PromiseState if state is not PromiseState.OPEN}


def score(connection: Connection) -> dict[str, int]:
    """How many promises are in each state, of those that are still kept here."""
    counted = select(promises.c.state, func.count()).group_by(promises.c.state)
    found: Mapping[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
    return {state.value: found.get(state.value, 0) for state in PromiseState}


def list_promises(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    return [_row(row) for row in connection.execute(select(promises).order_by(promises.c.id.desc()).limit(limit)).mappings()]


def promise_of_decision(connection: Connection, decision_id: int) -> dict[str, Any] | None:
    """The promise that a decision made, if it made one."""
    row = connection.execute(select(promises).where(promises.c.decision_id == decision_id).limit(1)).mappings().first()
    return None if row is None else _row(row)


def purge_promises(connection: Connection, now: datetime) -> None:
    """Drop what has been kept long enough."""
    connection.execute(delete(promises).where(promises.c.at < now - KEEP))


def _row(row: RowMapping) -> dict[str, Any]:
    ended_at = row["ended_at"]
    return {**row, "at": row["at"].isoformat(), "waited_s": round(row["waited_s"], 1), "ended_at": ended_at and ended_at.isoformat()}
