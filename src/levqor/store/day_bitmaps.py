"""The days' bitmaps: what `activity` says, kept as sets (docs/decisions/0014)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyroaring import BitMap
from sqlalchemy import Column, Connection, bindparam, delete, func, insert, select, update

from levqor.store.columns import among
from levqor.store.schema import activity, activity_days, users

BLOCK_BITS = 16
"""65,536 numbers to a block: a roaring bitmap's own containers."""

Sets = dict[date, BitMap]


@dataclass(slots=True)
class Change:
    """Users' numbers that come into or leave a day's sets."""

    active: defaultdict[date, BitMap] = field(default_factory=lambda: defaultdict(BitMap))
    inactive: defaultdict[date, BitMap] = field(default_factory=lambda: defaultdict(BitMap))
    newcomers: defaultdict[date, BitMap] = field(default_factory=lambda: defaultdict(BitMap))
    no_newcomers: defaultdict[date, BitMap] = field(default_factory=lambda: defaultdict(BitMap))

    def by_block(self) -> dict[tuple[date, int], "BlockChange"]:
        """Cut into blocks."""
        found: defaultdict[tuple[date, int], BlockChange] = defaultdict(BlockChange)
        for name in ("active", "inactive", "newcomers", "no_newcomers"):
            for day, numbers in getattr(self, name).items():
                for block, part in blocks_of(numbers):
                    setattr(found[day, block], name, part)
        return found


@dataclass(slots=True)
class BlockChange:
    """A change inside one block of one day."""

    active: BitMap = field(default_factory=BitMap)
    inactive: BitMap = field(default_factory=BitMap)
    newcomers: BitMap = field(default_factory=BitMap)
    no_newcomers: BitMap = field(default_factory=BitMap)

    def applied(self, active: BitMap, newcomers: BitMap) -> tuple[BitMap, BitMap]:
        return (active | self.active) - self.inactive, (newcomers - self.no_newcomers) | self.newcomers


def blocks_of(numbers: BitMap) -> Iterator[tuple[int, BitMap]]:
    """The numbers, block by block."""
    while numbers:
        block = numbers.min() >> BLOCK_BITS
        end = (block + 1) << BLOCK_BITS
        if numbers.max() < end:
            yield block, numbers
            return
        part = BitMap(range(block << BLOCK_BITS, end)) & numbers
        yield block, part
        numbers = numbers - part


def active_between(connection: Connection, first: date, last: date) -> Sets:
    """Who was active on each day, both ends included; a day without anybody is not in it."""
    return _load(connection, activity_days.c.active, first, last)


def newcomers_between(connection: Connection, first: date, last: date) -> Sets:
    """Whose first day each day was."""
    return _load(connection, activity_days.c.newcomers, first, last)


def both_between(connection: Connection, first: date, last: date) -> tuple[Sets, Sets]:
    """Active and newcomers by day, as they were at one moment."""
    within = activity_days.c.day.between(first, last)
    rows = connection.execute(select(activity_days.c.day, activity_days.c.active, activity_days.c.newcomers).where(within)).all()
    return _gathered((day, blob) for day, blob, _new in rows), _gathered((day, blob) for day, _active, blob in rows)


def _load(connection: Connection, column: Column[Any], first: date, last: date) -> Sets:
    query = select(activity_days.c.day, column).where(activity_days.c.day.between(first, last), column.is_not(None))
    return _gathered((day, blob) for day, blob in connection.execute(query))


def _gathered(rows: Iterable[tuple[date, bytes | None]]) -> Sets:
    parts: defaultdict[date, list[BitMap]] = defaultdict(list)
    for day, blob in rows:
        if blob is not None:
            parts[day].append(BitMap.deserialize(blob))
    return {day: found[0] if len(found) == 1 else BitMap.union(*found) for day, found in parts.items()}


def history_from(connection: Connection) -> date | None:
    """The first day that anybody was active on; None where nothing was recorded yet."""
    first = select(activity_days.c.day).where(activity_days.c.active.is_not(None)).order_by(activity_days.c.day).limit(1)
    return connection.execute(first).scalar()


def missing(connection: Connection, arrived: Mapping[date, BitMap]) -> Sets:
    """Of those who are said to have been active, who is not in their day yet."""
    held = among_days(connection, arrived)
    return {day: fresh for day, numbers in arrived.items() if (fresh := numbers - held.get(day, BitMap()))}


def among_days(connection: Connection, wanted: Mapping[date, BitMap]) -> Sets:
    """The wanted days' active, in the blocks that the wanted numbers lie in."""
    keys = {(day, block) for day, numbers in wanted.items() for block, _part in blocks_of(numbers)}
    rows = _rows(connection, keys)
    return _gathered((day, active) for (day, _block), (active, _newcomers) in rows.items())


def apply_change(connection: Connection, change: Change) -> None:
    """Write the sets anew where they change; the caller holds the writers' lock."""
    changes = change.by_block()
    held = _rows(connection, set(changes))
    inserted: list[Row] = []
    updated: list[Row] = []
    emptied: list[Row] = []
    for key, wanted in changes.items():
        before = held.get(key, (None, None))
        active, newcomers = wanted.applied(*(BitMap() if blob is None else BitMap.deserialize(blob) for blob in before))
        if not active and not newcomers:
            emptied.append((key, None, None))
        else:
            (updated if key in held else inserted).append((key, _blob(active), _blob(newcomers)))
    _write(connection, inserted, updated, emptied)


Row = tuple[tuple[date, int], bytes | None, bytes | None]


def _write(connection: Connection, inserted: list[Row], updated: list[Row], emptied: list[Row]) -> None:
    this = (activity_days.c.day == bindparam("at")) & (activity_days.c.block == bindparam("part"))
    if inserted:
        rows = [{"day": day, "block": block, "active": active, "newcomers": new} for (day, block), active, new in inserted]
        connection.execute(insert(activity_days), rows)
    if updated:
        rows = [{"at": day, "part": block, "is_active": active, "is_new": new} for (day, block), active, new in updated]
        connection.execute(update(activity_days).where(this).values(active=bindparam("is_active"), newcomers=bindparam("is_new")), rows)
    if emptied:
        connection.execute(delete(activity_days).where(this), [{"at": day, "part": block} for (day, block), _active, _new in emptied])


def _blob(numbers: BitMap) -> bytes | None:
    return bytes(numbers.serialize()) if numbers else None


def _rows(connection: Connection, keys: set[tuple[date, int]]) -> dict[tuple[date, int], tuple[bytes | None, bytes | None]]:
    days = sorted({day for day, _block in keys})
    if not days:
        return {}
    query = select(activity_days).where(
        activity_days.c.day.in_(days) if len(days) <= 60 else activity_days.c.day.between(days[0], days[-1]),
        among(connection, activity_days.c.block, sorted({block for _day, block in keys})),
    )
    return {(row.day, row.block): (row.active, row.newcomers) for row in connection.execute(query) if (row.day, row.block) in keys}


def is_true(connection: Connection, day: date) -> bool:
    """Do the day's sets hold as many people as `activity` does?"""
    rows = connection.execute(select(func.count()).select_from(activity).where(activity.c.day == day)).scalar_one()
    return rows == len(active_between(connection, day, day).get(day, ()))


def rebuild(connection: Connection, day: date) -> None:
    """Build the day's sets anew from `activity` and from when each user was first active; the caller holds the writers' lock."""
    active = BitMap(connection.scalars(select(activity.c.user_id).where(activity.c.day == day)).all())
    newcomers = BitMap(connection.scalars(select(users.c.id).where(users.c.first_day == day)).all())
    connection.execute(delete(activity_days).where(activity_days.c.day == day))
    change = Change()
    change.active[day], change.newcomers[day] = active, newcomers
    apply_change(connection, change)
