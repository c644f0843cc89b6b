"""Activity by day: the events that are taken in, each once (spec R5)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pyroaring import BitMap
from sqlalchemy import Connection, bindparam, delete, select, text

from levqor.domain.errors import UsageError
from levqor.domain.retention import PROBE, ActiveDay, Event, Recorded, event_problem
from levqor.store.aggregates import drop_aggregates, restate
from levqor.store.columns import insert_rows, is_sqlite
from levqor.store.day_bitmaps import BLOCK_BITS, Change, Sets, apply_change, history_from, missing
from levqor.store.event_ids import hash_of, take_ids
from levqor.store.installation import settle_zone
from levqor.store.schema import SCHEMA, activity, activity_days, event_generations, event_ids
from levqor.store.users import Known, drop_first_days, find_users, move_first_days, names_of, number_users

PAGE = 5_000

Days = Mapping[str, set[date]]


def lock_activity(connection: Connection) -> None:
    """One writer of activity at a time, to the transaction's end. SQLite's writers queue anyway."""
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('levqor.activity'))"))


def record_events(connection: Connection, now: datetime, events: Sequence[Event], zone: ZoneInfo) -> Recorded:
    """Take each event once, in the caller's transaction. Raises UsageError for an event that cannot be taken, or for another zone."""
    for number, event in enumerate(events):
        if problem := event_problem(event, now):
            raise UsageError(f"events: number {number + 1}: {problem}")
    lock_activity(connection)
    settle_zone(connection, now, zone)
    fresh = _take_ids(connection, now, events)
    services = {event.user_id for event in fresh if event.is_service and event.kind != PROBE}
    counted = _days_of_people(fresh, zone)
    known = find_users(connection, services.union(counted))
    people = {name: days for name, days in counted.items() if name not in known or not known[name].is_service}
    _count(connection, now, people, known, services, zone)
    is_person = people.keys()
    not_counted = sum(event.is_service or event.kind == PROBE or event.user_id not in is_person for event in fresh)
    return Recorded(len(fresh), len(events) - len(fresh), not_counted)


def _take_ids(connection: Connection, now: datetime, events: Sequence[Event]) -> list[Event]:
    """The events whose id was not seen before; from now on it was."""
    by_hash: dict[bytes, Event] = {}
    for event in events:
        by_hash.setdefault(hash_of(event.id), event)
    fresh = take_ids(connection, now, by_hash)
    return [event for found, event in by_hash.items() if found in fresh]


def _days_of_people(events: Sequence[Event], zone: ZoneInfo) -> defaultdict[str, set[date]]:
    found: defaultdict[str, set[date]] = defaultdict(set)
    day_of: dict[int, date] = {}
    for event in events:
        if not event.is_service and event.kind != PROBE:
            # No zone's midnight has lain inside a minute of UTC since long before EARLIEST.
            minute = int(event.ts.timestamp()) // 60
            day = day_of.get(minute)
            if day is None:
                day = day_of[minute] = event.ts.astimezone(zone).date()
            found[event.user_id].add(day)
    return found


def _count(connection: Connection, now: datetime, people: Days, known: Mapping[str, Known], services: set[str], zone: ZoneInfo) -> None:
    """Write who was active when, and what follows from it."""
    firsts = {name: min(days) for name, days in people.items()}
    new = number_users(connection, {name: day for name, day in firsts.items() if name not in known}, services - known.keys())
    everybody = {**known, **new}
    arrived: defaultdict[date, list[int]] = defaultdict(list)
    for name, days in people.items():
        for day in days:
            arrived[day].append(everybody[name].number)
    fresh = missing(connection, {day: BitMap(numbers) for day, numbers in arrived.items()})
    if not fresh:
        return
    rows = [(day, number) for day, numbers in sorted(fresh.items()) for number in numbers]
    insert_rows(connection, activity, {"day": [day for day, _number in rows], "user_id": [number for _day, number in rows]})
    began = history_from(connection)
    moved = {name: day for name, day in firsts.items() if name in known and _is_earlier(day, known[name].first_day)}
    apply_change(connection, _changed(fresh, firsts, known, new, moved))
    move_first_days(connection, {known[name].number: day for name, day in moved.items()})
    # Where the history now begins earlier, windows after its old beginning have become complete.
    restate(connection, now, zone.key, min(fresh), max(*fresh, began) if began is not None and min(fresh) < began else max(fresh))


def _is_earlier(day: date, first_day: date | None) -> bool:
    return first_day is None or day < first_day


def _changed(
    fresh: Sets, firsts: Mapping[str, date], known: Mapping[str, Known], new: Mapping[str, Known], moved: Mapping[str, date]
) -> Change:
    change = Change()
    change.active.update(fresh)
    newcomers: defaultdict[date, list[int]] = defaultdict(list)
    for name, found in new.items():
        if not found.is_service:
            newcomers[firsts[name]].append(found.number)
    left: defaultdict[date, list[int]] = defaultdict(list)
    for name, day in moved.items():
        newcomers[day].append(known[name].number)
        before = known[name].first_day
        if before is not None:
            left[before].append(known[name].number)
    change.newcomers.update({day: BitMap(numbers) for day, numbers in newcomers.items()})
    change.no_newcomers.update({day: BitMap(numbers) for day, numbers in left.items()})
    return change


def drop_activity_of(connection: Connection, now: datetime, number: int, first_day: date | None, zone: ZoneInfo) -> None:
    """Take one user out of every count: it is a service and not a person. The caller holds the writers' lock."""
    rows = connection.execute(select(activity_days.c.day, activity_days.c.active).where(activity_days.c.block == number >> BLOCK_BITS))
    days = [day for day, active in rows if active is not None and number in BitMap.deserialize(active)]
    if not days:
        return
    change = Change()
    change.inactive.update({day: BitMap([number]) for day in days})
    if first_day is not None:
        change.no_newcomers[first_day] = BitMap([number])
        move_first_days(connection, {number: None})
    began = history_from(connection)
    this = (activity.c.day == bindparam("at")) & (activity.c.user_id == number)
    connection.execute(delete(activity).where(this), [{"at": day} for day in days])
    apply_change(connection, change)
    begins = history_from(connection)
    restate(connection, now, zone.key, min(days), max(days) if begins == began else max(*days, begins or max(days)))


def active_days_between(connection: Connection, after: tuple[date, int], end: date | None) -> Iterator[ActiveDay]:
    """One page of the export: what follows `after`."""
    day, number = after
    query = select(activity).where((activity.c.day > day) | ((activity.c.day == day) & (activity.c.user_id > number)))
    if end is not None:
        query = query.where(activity.c.day <= end)
    rows = connection.execute(query.order_by(activity.c.day, activity.c.user_id).limit(PAGE)).all()
    names = names_of(connection, sorted({row.user_id for row in rows}))
    return (ActiveDay(row.day, row.user_id, names.get(row.user_id)) for row in rows)


def drop_all_activity(connection: Connection) -> None:
    """No day was ever counted; users stay known. The caller holds the writers' lock."""
    for table in (activity, activity_days, event_ids, event_generations):
        if is_sqlite(connection):
            connection.execute(delete(table))
        else:
            connection.execute(text(f"TRUNCATE {SCHEMA}.{table.name}"))
    drop_aggregates(connection)
    drop_first_days(connection)
