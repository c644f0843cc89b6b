"""Who changed what, when."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from levqor.store.schema import audit

KEEP = timedelta(days=2 * 366)


def record_change(
    connection: Connection, now: datetime, actor: str, what: str, before: Any = None, after: Any = None, note: str | None = None
) -> None:
    """Write one line of the audit log, in the transaction that makes the change."""
    connection.execute(insert(audit).values(at=now, actor=actor[:200], what=what, before=before, after=after, note=note))


def list_changes(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest changes first."""
    rows = connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit)).mappings()
    return [{**row, "at": row["at"].isoformat()} for row in rows]


def purge_changes(connection: Connection, now: datetime) -> None:
    connection.execute(delete(audit).where(audit.c.at < now - KEEP))
