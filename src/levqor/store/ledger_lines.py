"""The ledger's lines as they are listed and kept, and the lines that stand for worker-hours (spec C1, P5)."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select

from levqor.domain.spending import WORKER_HOURS, WORKERS, Category, Entry, EntryStatus, EntryType, day_start
from levqor.policies.spreading import rounded
from levqor.store.exact_sums import exact_sum
from levqor.store.ledger import DAY, is_worker_hours, write_entries
from levqor.store.schema import ledger
from levqor.store.usage import first_minute, fleet_spend

KEEP = timedelta(days=800)
"""Two years, and slack for a wall clock that jumps (spec P1, P5)."""


def list_entries(
    connection: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    source: str | None = None,
    category: Category | None = None,
    stale: Collection[str] = (),
    limit: int = 1_000,
) -> list[dict[str, Any]]:
    """JSON-able entries in [since, until), the newest first; amounts are text, so that no digit is lost.

    `stale`: sources that do not answer; what is provisional of theirs is said to be stale.
    """
    query = select(ledger).where(*_chosen(since, until, source, category)).order_by(ledger.c.at.desc(), ledger.c.id.desc())
    return [_shown(row, stale) for row in connection.execute(query.limit(limit))]


def sum_entries(
    connection: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    source: str | None = None,
    category: Category | None = None,
) -> tuple[int, dict[str, dict[str, str]]]:
    """How many entries there are in [since, until), and their exact sums by currency and category, as text."""
    by = ledger.c.currency, ledger.c.category
    query = select(*by, func.count().label("entries"), exact_sum(connection, ledger.c.amount).label("summed"))
    rows = connection.execute(query.where(*_chosen(since, until, source, category)).group_by(*by).order_by(*by)).all()
    sums: dict[str, dict[str, str]] = {}
    for row in rows:
        sums.setdefault(row.currency, {})[row.category] = f"{Decimal(str(row.summed)):f}"
    return sum(row.entries for row in rows), sums


def _chosen(since: datetime | None, until: datetime | None, source: str | None, category: Category | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if since is not None:
        conditions.append(ledger.c.at >= since)
    if until is not None:
        conditions.append(ledger.c.at < until)
    if source is not None:
        conditions.append(ledger.c.source == source)
    if category is not None:
        conditions.append(ledger.c.category == category)
    return conditions


def time_of(connection: Connection, source: str, key: str) -> tuple[datetime, date | None] | None:
    """When the entry of that key is, and its day where it is a whole day's; None where there is none."""
    query = select(ledger.c.at, ledger.c.day).where(ledger.c.source == source, ledger.c.key == key)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.at, row.day)


def purge_ledger(connection: Connection, now: datetime) -> None:
    """Drop what is older than two years; no figure reaches so far back."""
    connection.execute(delete(ledger).where(ledger.c.at < now - KEEP))


def write_worker_days(connection: Connection, now: datetime, currency: str) -> int:
    """A line per fleet and UTC day for the worker-hours, before their minutes are dropped; how many lines changed.

    Today's is provisional. A day that was closed is looked at once more on the day after it.
    """
    first = first_minute(connection)
    if first is None:
        return 0
    today = now.astimezone(UTC).date()
    is_closed = is_worker_hours(), ledger.c.status == EntryStatus.FINAL, ledger.c.at >= day_start(first.date())
    closed = {row.at.date() for row in connection.execute(select(ledger.c.at).where(*is_closed))}
    days = [first.date() + DAY * number for number in range((today - first.date()).days + 1)]
    wanted = [day for day in days if day >= today - DAY or day not in closed]
    return write_entries(connection, now, [entry for day in wanted for entry in _worker_lines(connection, day, today, currency)])


def _worker_lines(connection: Connection, day: date, today: date, currency: str) -> list[Entry]:
    # A minute is counted where it begins.
    just_before = day_start(day) - timedelta(microseconds=1)
    return [
        Entry(
            source=WORKERS,
            key=f"{fleet}:{day}",
            at=day_start(day),
            day=day,
            line_item=WORKER_HOURS,
            category=Category.WORKERS,
            type=EntryType.COST,
            currency=currency,
            amount=rounded(amount),
            status=EntryStatus.FINAL if day < today else EntryStatus.PROVISIONAL,
            note=f"fleet {fleet}",
        )
        for fleet, amount in fleet_spend(connection, just_before, just_before + DAY).items()
        if amount
    ]


def _shown(row: Row[Any], stale: Collection[str]) -> dict[str, Any]:
    is_stale = row.status == EntryStatus.PROVISIONAL and row.source in stale
    return {
        **{name: getattr(row, name) for name in ("source", "key", "line_item", "category", "type", "currency", "note")},
        "at": row.at.isoformat(),
        "day": None if row.day is None else row.day.isoformat(),
        "amount": f"{row.amount:f}",
        "status": EntryStatus.STALE.value if is_stale else row.status,
    }
