"""Deploy marks: which version of the team's app came when, so that what changed after it can be told from what did not."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select

from levqor.store.schema import deploys

KEEP = timedelta(days=366)


def record_deploy(connection: Connection, now: datetime, sha: str, note: str, actor: str) -> dict[str, Any]:
    """Write a mark; the mark."""
    values = {"at": now, "sha": sha, "note": note, "actor": actor[:200]}
    number = int(connection.execute(insert(deploys).values(**values).returning(deploys.c.id)).scalar_one())
    return {"id": number, **values, "at": now.isoformat()}


def list_deploys(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    return _rows(connection, select(deploys).order_by(deploys.c.id.desc()).limit(limit))


def deploys_between(connection: Connection, begin: datetime, end: datetime, limit: int = 100) -> list[dict[str, Any]]:
    """The last marks from `begin` to `end`, both included; the oldest first."""
    within = select(deploys).where(deploys.c.at >= begin, deploys.c.at <= end)
    return _rows(connection, within.order_by(deploys.c.at.desc(), deploys.c.id.desc()).limit(limit))[::-1]


def purge_deploys(connection: Connection, now: datetime) -> None:
    """Drop what has been kept long enough."""
    connection.execute(delete(deploys).where(deploys.c.at < now - KEEP))


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [_row(row) for row in connection.execute(query).mappings()]


def _row(row: RowMapping) -> dict[str, Any]:
    return {**row, "at": row["at"].isoformat()}
