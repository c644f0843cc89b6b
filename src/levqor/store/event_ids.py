"""Which events were taken: each id once, for 35 days (spec R5).

Ids are hashes, so a new one lands anywhere in its tree, and in a large tree each of them touches another page. Therefore they
lie in generations, each a tree of bounded size: new ones go into the newest, and older ones are only looked into, where a
small filter says that it is worth it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pyroaring import BitMap
from sqlalchemy import Connection, delete, func, insert, select, update

from levqor.store.columns import insert_new, which
from levqor.store.schema import event_generations, event_ids

KEEP = timedelta(days=35)
"""A sender may repeat an event for so long."""

SIZE = 250_000
"""Ids in one generation: some 10 MB."""

SPAN = timedelta(days=7)
"""A generation takes ids for so many days at most; by that much more than 35 days may an id be kept."""

FEW = 200
"""So many ids are looked for in each generation without reading the filters first."""

FILTER_BITS = 28


def hash_of(event_id: str) -> bytes:
    """What is kept of an id: it can be recognised, and not read."""
    return hashlib.blake2b(event_id.encode(), digest_size=16).digest()


def take_ids(connection: Connection, now: datetime, hashes: Iterable[bytes]) -> set[bytes]:
    """Those that were not seen before; from now on they were. The caller holds the writers' lock."""
    wanted = sorted(hashes)
    if not wanted:
        return set()
    # First, since it may seal one: that one is looked into like the others then.
    generation = _open_generation(connection, now)
    sealed = list(connection.scalars(select(event_generations.c.generation).where(event_generations.c.filter.is_not(None))).all())
    seen = which(connection, event_ids, sealed, wanted) if len(wanted) <= FEW else _seen_by_filters(connection, wanted)
    new = [found for found in wanted if found not in seen] if seen else wanted
    fresh = insert_new(connection, event_ids, "hash", {"generation": [generation] * len(new), "hash": new})
    _grow(connection, now, generation, len(fresh))
    return fresh


def _seen_by_filters(connection: Connection, hashes: Sequence[bytes]) -> set[bytes]:
    at: defaultdict[int, list[bytes]] = defaultdict(list)
    for found in hashes:
        at[_position(found)].append(found)
    places = BitMap(at)
    seen: set[bytes] = set()
    query = select(event_generations.c.generation, event_generations.c.filter).where(event_generations.c.filter.is_not(None))
    for generation, kept in connection.execute(query).all():
        suspects = [found for place in places & BitMap.deserialize(kept) for found in at[place]]
        seen |= which(connection, event_ids, [generation], suspects)
    return seen


def _position(found: bytes) -> int:
    return int.from_bytes(found[:4], "big") >> (32 - FILTER_BITS)


def _open_generation(connection: Connection, now: datetime) -> int:
    """The one that takes new ids; a full or old one is sealed first."""
    row = connection.execute(select(event_generations).where(event_generations.c.filter.is_(None))).first()
    if row is not None and row.events < SIZE and now.date() - row.first_day < SPAN:
        return int(row.generation)
    if row is not None:
        _seal(connection, row.generation)
    newest = connection.execute(select(func.max(event_generations.c.generation))).scalar()
    generation = 0 if newest is None else int(newest) + 1
    day = now.date()
    connection.execute(insert(event_generations).values(generation=generation, events=0, first_day=day, last_day=day))
    return generation


def _seal(connection: Connection, generation: int) -> None:
    held = connection.scalars(select(event_ids.c.hash).where(event_ids.c.generation == generation)).all()
    found = BitMap([_position(bytes(one)) for one in held])
    this = event_generations.c.generation == generation
    connection.execute(update(event_generations).where(this).values(filter=bytes(found.serialize())))


def _grow(connection: Connection, now: datetime, generation: int, number: int) -> None:
    this = event_generations.c.generation == generation
    values = {"events": event_generations.c.events + number, "last_day": now.date()}
    connection.execute(update(event_generations).where(this).values(**values))


def purge_event_ids(connection: Connection, now: datetime) -> None:
    """Drop the oldest generation whose newest id is older than 35 days; one at a time, since each holds the lock for a moment."""
    old = event_generations.c.last_day < now.date() - KEEP
    generation = connection.execute(select(func.min(event_generations.c.generation)).where(old)).scalar()
    if generation is not None:
        connection.execute(delete(event_ids).where(event_ids.c.generation == generation))
        connection.execute(delete(event_generations).where(event_generations.c.generation == generation))
