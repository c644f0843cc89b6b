"""How far a file or a pull has come (spec R7)."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from levqor.domain.retention import Mark
from levqor.store.schema import imports

KEEP = timedelta(days=366)


def read_position(connection: Connection, key: str) -> dict[str, Any] | None:
    """None where it has not begun."""
    return connection.execute(select(imports.c.position).where(imports.c.key == key)).scalar()


def write_position(connection: Connection, now: datetime, mark: Mark) -> None:
    """Remember it, in the transaction that takes what lies before it."""
    values = {"position": mark.position, "updated_at": now}
    if connection.execute(update(imports).where(imports.c.key == mark.key).values(**values)).rowcount == 0:
        connection.execute(insert(imports).values(key=mark.key, **values))


def drop_positions(connection: Connection) -> None:
    """Every file and pull begins anew."""
    connection.execute(delete(imports))


def purge_positions(connection: Connection, now: datetime) -> None:
    """Forget what nothing has moved for a year."""
    connection.execute(delete(imports).where(imports.c.updated_at < now - KEEP))
