"""What rules remember from tick to tick; it has one home, so that a successor goes on from it (spec P1, P6)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from levqor.store.schema import memories


def read_memory(connection: Connection, name: str) -> dict[str, Any]:
    """What was remembered under that name; empty where nothing was."""
    data = connection.execute(select(memories.c.data).where(memories.c.name == name)).scalar_one_or_none()
    return dict(data or {})


def write_memory(connection: Connection, now: datetime, name: str, data: dict[str, Any]) -> None:
    """Replace it, within the caller's fenced transaction."""
    values = {"data": data, "updated_at": now}
    if connection.execute(update(memories).where(memories.c.name == name).values(**values)).rowcount == 0:
        connection.execute(insert(memories).values(name=name, **values))


def names_of_memories(connection: Connection, begin: str) -> list[str]:
    """Names that begin so, the oldest first."""
    rows = select(memories.c.name).where(memories.c.name.startswith(begin, autoescape=True)).order_by(memories.c.updated_at)
    return list(connection.execute(rows).scalars())


def forget_memory(connection: Connection, name: str) -> None:
    connection.execute(delete(memories).where(memories.c.name == name))
