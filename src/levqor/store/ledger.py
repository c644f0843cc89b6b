"""The ledger (spec C1): written once per key, read as exact sums by currency."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from levqor.domain.spending import EXACT, WORKER_HOURS, WORKERS, Category, Entry, EntryStatus, day_start, total
from levqor.policies.spreading import part_within, rounded
from levqor.store.exact_sums import exact_sum, utc_day
from levqor.store.schema import installation, ledger
from levqor.store.usage import first_minute, worker_spend

DAY = timedelta(days=1)
REVISION = "ledger_revision"
KEYS_AT_ONCE = 400

Line = tuple[Category, str]


@dataclass(frozen=True, slots=True)
class LastFigures:
    """The last UTC day for which a source has figures, and its sums by category."""

    day: date
    by_category: Mapping[Category, Decimal]


def lock_ledger(connection: Connection) -> int:
    """Let no other transaction write the ledger until this one ends; the revision."""
    query = select(installation.c.value).where(installation.c.name == REVISION).with_for_update()
    found = connection.execute(query).scalar_one_or_none()
    if found is not None:
        return int(found)
    try:
        with connection.begin_nested():
            connection.execute(insert(installation).values(name=REVISION, value=0, updated_at=day_start(date(1970, 1, 1))))
    except IntegrityError:  # another one was first, and has committed
        return int(connection.execute(query).scalar_one())
    return 0


def write_entries(connection: Connection, now: datetime, entries: Iterable[Entry]) -> int:
    """Insert or correct entries by (source, key) and return how many changed; all in the caller's transaction.

    What is there already changes nothing. A final entry is corrected by a final one and never goes back to provisional.
    The revision moves when anything but a line of worker-hours changed: those change with every minute.
    """
    wanted = {(entry.source, entry.key): entry for entry in entries}
    if not wanted:
        return 0
    revision = lock_ledger(connection)
    known = _known(connection, wanted)
    new = [entry for key, entry in wanted.items() if key not in known]
    corrected = [(known[key], entry) for key, entry in wanted.items() if key in known and _corrects(entry, known[key])]
    if new:
        connection.execute(insert(ledger), [{**_values(entry), "written_at": now} for entry in new])
    for row, entry in corrected:
        connection.execute(update(ledger).where(ledger.c.id == row.id).values(**_values(entry), written_at=now))
    changed = [*new, *(entry for _row, entry in corrected)]
    if not all(entry.is_worker_hours for entry in changed):
        moved = update(installation).where(installation.c.name == REVISION)
        connection.execute(moved.values(value=revision + 1, updated_at=now))
    return len(changed)


def ledger_revision(connection: Connection) -> int:
    """Moves with every change but worker-hours; 0 for a ledger that was never written."""
    found = connection.execute(select(installation.c.value).where(installation.c.name == REVISION)).scalar_one_or_none()
    return 0 if found is None else int(found)


def spend_between(connection: Connection, start: datetime, end: datetime, categories: Collection[Category], currency: str) -> Decimal:
    """Exact sum of the categories' entries in (start, end], in the reporting currency.

    A day's amount is spread over its UTC day, a provisional one over the part of it that had passed when it was written.
    Worker-hours are counted by the minute, at the price that was in force, as long as their minutes are kept (40 days).
    """
    return _spend(connection, start, end, categories, currency, worker_end=end)


def spend_last_24h(connection: Connection, now: datetime, categories: Collection[Category], currency: str) -> Decimal:
    """`spend_between` over (now - 24 h, now]; what was written before the wall clock was set back still counts."""
    return _spend(connection, now - DAY, now, categories, currency, worker_end=None)


def _spend(
    connection: Connection,
    start: datetime,
    end: datetime,
    categories: Collection[Category],
    currency: str,
    worker_end: datetime | None,
) -> Decimal:
    """`worker_end` None: whatever came after `start`, also what is stamped later than `end` because the clock was set back."""
    until = ledger.c.at <= end
    if worker_end is None:
        until = or_(until, and_(ledger.c.written_at > end, ledger.c.at <= ledger.c.written_at))
    rows = _rows(connection, start, until, ledger.c.currency == currency, ledger.c.category.in_(list(categories)))
    parts = [_share(row, start, max(end, row.at) if row.day is None else end) for row in rows]
    if Category.WORKERS in categories:
        parts.append(worker_spend(connection, start, worker_end))
    return rounded(total(parts))


def other_currencies(connection: Connection, start: datetime, end: datetime, currency: str) -> dict[str, dict[Category, Decimal]]:
    """Exact sums in (start, end] of every currency but the reporting one; nothing is converted."""
    sums: dict[str, dict[Category, Decimal]] = {}
    for row in _rows(connection, start, ledger.c.at <= end, ledger.c.currency != currency):
        of_currency = sums.setdefault(row.currency, {})
        category = Category(row.category)
        of_currency[category] = EXACT.add(of_currency.get(category, Decimal(0)), _share(row, start, end))
    return {name: {category: rounded(amount) for category, amount in found.items()} for name, found in sorted(sums.items())}


def _rows(connection: Connection, start: datetime, *conditions: ColumnElement[bool]) -> list[Row[Any]]:
    """Entries that may have a part after `start`. Of worker-hours only the days whose minutes are gone."""
    first = first_minute(connection)
    if first is not None:
        conditions = (*conditions, or_(~is_worker_hours(), ledger.c.at < day_start(first.date())))
    # A day's amount is stamped with its midnight, so that it may begin up to a day before `start`.
    near = ledger.c.at > start - DAY, or_(ledger.c.at > start, ledger.c.day.is_not(None))
    return list(connection.execute(select(ledger).where(*near, *conditions)))


def _share(row: Row[Any], start: datetime, end: datetime) -> Decimal:
    """The part of an entry that lies in (start, end]."""
    amount: Decimal = row.amount
    if row.day is None:
        return amount if start < row.at <= end else Decimal(0)
    until = row.at + DAY
    if row.status == EntryStatus.PROVISIONAL and row.at < row.written_at < until:
        until = row.written_at  # so far: nothing of it belongs to the hours that were still to come
    return part_within(amount, row.at, until, start, end)


def daily_totals(connection: Connection, first_day: date, last_day: date, currency: str) -> dict[Line, dict[date, Decimal]]:
    """Sums by (category, line item) and UTC day, both days included; a day without an entry is absent.

    Costs are positive; revenue is positive under `revenue`, refunds negative beside it under line items of their own.
    """
    totals: dict[Line, dict[date, Decimal]] = {}
    is_within = ledger.c.at >= day_start(first_day), ledger.c.at < day_start(last_day) + DAY, ledger.c.currency == currency
    day_column, sum_column = utc_day(connection, ledger.c.at).label("of_day"), exact_sum(connection, ledger.c.amount).label("summed")
    by = ledger.c.source, ledger.c.status, ledger.c.category, ledger.c.line_item
    settled: set[date] = set()
    for row in connection.execute(select(*by, day_column, sum_column).where(*is_within).group_by(*by, day_column)):
        day = date.fromisoformat(str(row.of_day))
        if row.source == WORKERS and row.line_item == WORKER_HOURS:
            if row.status != EntryStatus.FINAL:
                continue
            settled.add(day)
        _add(totals, (Category(row.category), row.line_item), day, Decimal(str(row.summed)))
    for day, amount in _unsettled_workers(connection, first_day, last_day, settled):
        _add(totals, (Category.WORKERS, WORKER_HOURS), day, amount)
    return totals


def _add(totals: dict[Line, dict[date, Decimal]], line: Line, day: date, amount: Decimal) -> None:
    days = totals.setdefault(line, {})
    days[day] = EXACT.add(days.get(day, Decimal(0)), amount)


def _unsettled_workers(connection: Connection, first_day: date, last_day: date, settled: set[date]) -> list[tuple[date, Decimal]]:
    """Worker-hours of the days that have no final line yet, from their minutes."""
    first = first_minute(connection)
    if first is None:
        return []
    begin = max(first_day, first.date())
    days = [begin + DAY * number for number in range((last_day - begin).days + 1)]
    found = [(day, day_spend(connection, day)) for day in days if day not in settled]
    return [(day, amount) for day, amount in found if amount]


def day_spend(connection: Connection, day: date) -> Decimal:
    """Money for the worker-hours of one UTC day, from its minutes."""
    # A minute is counted where it begins: (midnight - 1 us, the next midnight - 1 us].
    just_before = day_start(day) - timedelta(microseconds=1)
    return rounded(worker_spend(connection, just_before, just_before + DAY))


def last_figures(connection: Connection, source: str, before: date, currency: str) -> LastFigures | None:
    """The source's sums on its last day before `before` that has any; None where it never had one."""
    is_his = and_(ledger.c.source == source, ledger.c.currency == currency, ledger.c.at < day_start(before))
    latest = connection.execute(select(ledger.c.at).where(is_his).order_by(ledger.c.at.desc()).limit(1)).scalar_one_or_none()
    if latest is None:
        return None
    midnight = day_start(latest.date())
    summed = exact_sum(connection, ledger.c.amount).label("summed")
    query = select(ledger.c.category, summed).where(is_his, ledger.c.at >= midnight).group_by(ledger.c.category)
    return LastFigures(midnight.date(), {Category(row.category): Decimal(str(row.summed)) for row in connection.execute(query)})


def is_worker_hours() -> ColumnElement[bool]:
    """A line that stands for minutes of worker-hours."""
    return and_(ledger.c.source == WORKERS, ledger.c.line_item == WORKER_HOURS)


def _known(connection: Connection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Row[Any]]:
    """The rows that are there already, by source and key."""
    known: dict[tuple[str, str], Row[Any]] = {}
    for source in {source for source, _key in wanted}:
        keys = [key for its_source, key in wanted if its_source == source]
        for first in range(0, len(keys), KEYS_AT_ONCE):
            query = select(ledger).where(ledger.c.source == source, ledger.c.key.in_(keys[first : first + KEYS_AT_ONCE]))
            known.update({(source, row.key): row for row in connection.execute(query)})
    return known


def _corrects(entry: Entry, row: Row[Any]) -> bool:
    if row.status == EntryStatus.FINAL and entry.status is EntryStatus.PROVISIONAL:
        return False
    return any(getattr(row, name) != value for name, value in _values(entry).items())


def _values(entry: Entry) -> dict[str, Any]:
    plain = {name: getattr(entry, name) for name in ("source", "key", "at", "day", "line_item", "currency", "amount", "note")}
    return {**plain, "category": entry.category.value, "type": entry.type.value, "status": entry.status.value}
