"""How far each source of spend has been read, and whether it answers (spec C6)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from levqor.domain.errors import Conflict
from levqor.domain.spending import SpendPage
from levqor.store.ledger import lock_ledger, write_entries
from levqor.store.schema import spend_sources

KNOWN = ("stripe", "openai", "infra")
STALE_AFTER = timedelta(hours=3)
"""Three of their own periods, since sources are read once an hour (spec S3)."""


def read_cursor(connection: Connection, source: str) -> dict[str, Any] | None:
    """Where the source goes on; None for one that was never read."""
    found: dict[str, Any] | None = connection.execute(
        select(spend_sources.c.cursor).where(spend_sources.c.source == source)
    ).scalar_one_or_none()
    return found


def save_page(connection: Connection, now: datetime, source: str, page: SpendPage, expected: Mapping[str, Any] | None) -> int:
    """Write a page and its cursor together; how many entries changed. Raises Conflict where another reader has moved on since."""
    lock_ledger(connection)
    if read_cursor(connection, source) != expected:
        raise Conflict(f"{source} is being read by another process")
    changed = write_entries(connection, now, page.entries)
    _put(connection, source, cursor=dict(page.cursor))
    return changed


def mark_synced(connection: Connection, now: datetime, source: str) -> None:
    """All that the source has is in the ledger."""
    _put(connection, source, synced_at=now, failed_at=None, failures=0, error=None)


def mark_failed(connection: Connection, now: datetime, source: str, error: str) -> None:
    """Its last figures stay; whoever answers with them says that they are stale."""
    failures = connection.execute(select(spend_sources.c.failures).where(spend_sources.c.source == source)).scalar_one_or_none() or 0
    _put(connection, source, failed_at=now, failures=failures + 1, error=error[:500])


def source_states(connection: Connection, now: datetime, configured: Collection[str]) -> list[dict[str, Any]]:
    """Each known source with its `status`, JSON-able.

    `not_configured`; `ok`; `down`: the last attempt failed; `stale`: not read for three hours, or never yet.
    `is_stale`: there are figures of it, but not of now.
    """
    rows = {row.source: row for row in connection.execute(select(spend_sources))}
    names = [*KNOWN, *sorted(set(configured) - set(KNOWN))]
    return [_state(name, rows.get(name), now, is_configured=name in configured) for name in names]


def _state(name: str, row: Any, now: datetime, *, is_configured: bool) -> dict[str, Any]:
    synced_at = None if row is None else row.synced_at
    status = _status(row, synced_at, now) if is_configured else "not_configured"
    return {
        "source": name,
        "status": status,
        "is_stale": status in ("down", "stale") and synced_at is not None,
        "synced_at": None if synced_at is None else synced_at.isoformat(),
        "failed_at": None if row is None or row.failed_at is None else row.failed_at.isoformat(),
        "failures": 0 if row is None else row.failures,
        "error": None if row is None or not is_configured else row.error,
        "left_out": [] if row is None else (row.cursor or {}).get("left_out", []),
    }


def _status(row: Any, synced_at: datetime | None, now: datetime) -> str:
    if row is not None and row.failures:
        return "down"
    # A stamp from the future is of before the clock was set back: nobody knows its age.
    return "ok" if synced_at is not None and abs(now - synced_at) <= STALE_AFTER else "stale"


def _put(connection: Connection, source: str, **values: Any) -> None:
    lock_ledger(connection)  # so that two first writers do not both insert
    if connection.execute(update(spend_sources).where(spend_sources.c.source == source).values(**values)).rowcount == 0:
        connection.execute(insert(spend_sources).values(**{"source": source, "failures": 0, **values}))
