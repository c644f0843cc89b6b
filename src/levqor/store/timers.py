"""Persisted timers: time accrued, checkpointed each tick (spec P1)."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from levqor.store.schema import timers


def quiet_timer(fleet: str) -> str:
    """The name of a fleet's quiet timer."""
    return f"quiet:{fleet}"


def read_timer(connection: Connection, name: str) -> float:
    """Seconds accrued; 0 for a timer that was never checkpointed."""
    accrued = connection.execute(select(timers.c.accrued_s).where(timers.c.name == name)).scalar_one_or_none()
    return 0.0 if accrued is None else float(accrued)


def checkpoint_timer(connection: Connection, name: str, accrued_s: float, now: datetime) -> None:
    """Write the time accrued, within the caller's fenced transaction."""
    values = {"accrued_s": accrued_s, "updated_at": now}
    if connection.execute(update(timers).where(timers.c.name == name).values(**values)).rowcount == 0:
        connection.execute(insert(timers).values(name=name, **values))


def forget_timer(connection: Connection, name: str) -> None:
    connection.execute(delete(timers).where(timers.c.name == name))
