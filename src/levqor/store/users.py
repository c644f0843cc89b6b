"""Known users: a dense number for each, their first active day, and what may be forgotten about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Column, Connection, Date, Integer, bindparam, case, func, insert, select, update
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from levqor.store.columns import among, insert_rows, is_sqlite
from levqor.store.schema import users

SOURCES = 10
"""Top referral sources that are told."""


PROFILE = ("created_day", "referral_source")
"""What many people's rows are given at once."""


@dataclass(frozen=True, slots=True)
class Known:
    """What taking an event needs of its user."""

    number: int
    first_day: date | None
    is_service: bool


def find_users(connection: Connection, external_ids: Iterable[str]) -> dict[str, Known]:
    """Those of them that are known."""
    wanted = sorted(external_ids)
    if not wanted:
        return {}
    query = select(users.c.external_id, users.c.id, users.c.first_day, users.c.is_service)
    rows = connection.execute(query.where(among(connection, users.c.external_id, wanted))).all()
    return {name: Known(number, first_day, is_service) for name, number, first_day, is_service in rows}


def number_users(connection: Connection, first_days: Mapping[str, date], services: set[str]) -> dict[str, Known]:
    """Give a number to each new user, people with their first active day; the caller holds the writers' lock."""
    names = [*sorted(first_days), *sorted(services - first_days.keys())]
    columns: dict[str, list[Any]] = {
        "external_id": names,
        "first_day": [first_days.get(name) for name in names],
        "is_service": [name not in first_days for name in names],
    }
    insert_rows(connection, users, columns)
    return find_users(connection, names)


def move_first_days(connection: Connection, days: Mapping[int, date | None]) -> None:
    """Set users' first active days, by number."""
    if not days:
        return
    if is_sqlite(connection):
        this = update(users).where(users.c.id == bindparam("number")).values(first_day=bindparam("day"))
        connection.execute(this, [{"number": number, "day": day} for number, day in days.items()])
        return
    given = func.unnest(bindparam("numbers", list(days), ARRAY(Integer)), bindparam("days", list(days.values()), ARRAY(Date)))
    table = given.table_valued(named("number", Integer), named("day", Date)).render_derived(name="given")
    connection.execute(update(users).where(users.c.id == table.c.number).values(first_day=table.c.day))


def user_row(connection: Connection, external_id: str) -> dict[str, Any] | None:
    """Everything that is kept of one user."""
    found = connection.execute(select(users).where(users.c.external_id == external_id)).mappings().first()
    return None if found is None else dict(found)


def put_user(connection: Connection, external_id: str, values: Mapping[str, Any]) -> bool:
    """Make the user known or change these columns; was it new? The caller holds the writers' lock."""
    this = users.c.external_id == external_id
    if connection.execute(select(users.c.id).where(this)).first() is None:
        connection.execute(insert(users).values(**{"external_id": external_id, "is_service": False, **values}))
        return True
    if values:
        connection.execute(update(users).where(this).values(**values))
    return False


def put_users(connection: Connection, wanted: Mapping[str, Mapping[str, Any]]) -> int:
    """Make people known or change these columns of them; how many were new or changed. The caller holds the writers' lock."""
    if not wanted:
        return 0
    query = select(users.c.external_id, users.c.created_day, users.c.referral_source)
    held = {row.external_id: row for row in connection.execute(query.where(among(connection, users.c.external_id, list(wanted)))).all()}
    new = [name for name in wanted if name not in held]
    columns: dict[str, list[Any]] = {name: [wanted[user].get(name) for user in new] for name in PROFILE}
    insert_rows(connection, users, {"external_id": new, "is_service": [False] * len(new), **columns})
    full = {user: {name: wanted[user].get(name, getattr(row, name)) for name in PROFILE} for user, row in held.items()}
    changed = [user for user, row in held.items() if any(full[user][name] != getattr(row, name) for name in PROFILE)]
    if changed:
        this = update(users).where(users.c.external_id == bindparam("who"))
        values: dict[str, Any] = {name: bindparam(f"now_{name}") for name in PROFILE}
        rows = [{"who": user, **{f"now_{name}": full[user][name] for name in PROFILE}} for user in changed]
        connection.execute(this.values(**values), rows)
    return len(new) + len(changed)


def erase_user(connection: Connection, external_id: str) -> bool:
    """Take away who somebody was, and leave the number and its first active day; was there such a user?"""
    nobody = {"external_id": None, "referral_source": None, "created_day": None}
    return connection.execute(update(users).where(users.c.external_id == external_id).values(**nobody)).rowcount > 0


def names_of(connection: Connection, numbers: Sequence[int]) -> dict[int, str | None]:
    """Their ids; None for people who were forgotten."""
    rows = connection.execute(select(users.c.id, users.c.external_id).where(among(connection, users.c.id, numbers)))
    return {number: name for number, name in rows}


def drop_first_days(connection: Connection) -> None:
    """Nobody was ever active."""
    connection.execute(update(users).values(first_day=None))


def count_people(connection: Connection, since: Sequence[date], until: date) -> tuple[int, list[int]]:
    """Known people, and how many of them are new since each of these days: by the day they signed up, else were first active."""
    new_on: Column[Any] | Any = func.coalesce(users.c.created_day, users.c.first_day)
    sums = [func.coalesce(func.sum(case((new_on.between(day, until), 1), else_=0)), 0) for day in since]
    row = connection.execute(select(func.count(), *sums).where(users.c.external_id.is_not(None), users.c.is_service.is_(False))).one()
    return row[0], [int(found) for found in row[1:]]


def top_sources(connection: Connection) -> list[dict[str, Any]]:
    """Where most people came from, those who said so."""
    people = func.count().label("people")
    query = select(users.c.referral_source, people).where(users.c.referral_source.is_not(None), users.c.is_service.is_(False))
    rows = connection.execute(query.group_by(users.c.referral_source).order_by(people.desc(), users.c.referral_source).limit(SOURCES))
    return [{"source": source, "users": number} for source, number in rows]
