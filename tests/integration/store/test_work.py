"""The work of each minute is kept once, whoever leads, and purged (spec A12, P5)."""

from datetime import UTC, datetime, timedelta

from levqor.store.database import Database
from levqor.store.work import KEEP, SLACK, Work, add_work, list_work, purge_work

NOW = datetime(2026, 3, 2, 12, 30, 10, tzinfo=UTC)
MINUTE = NOW.replace(second=0)


def listed(database: Database) -> list[tuple[datetime, Work]]:
    with database.read() as connection:
        return list_work(connection, "default", NOW - timedelta(days=60), NOW + timedelta(days=1))


def add(database: Database, at: datetime, seen: Work, fleet: str = "default") -> None:
    with database.write() as connection:
        add_work(connection, at, fleet, seen)


def test_ticks_add_up_within_their_minute(database: Database) -> None:
    add(database, NOW, Work(2.0, 3.0, 4.0, 1.5, 0.5))
    add(database, NOW + timedelta(seconds=2), Work(2.0, 1.0, 6.0, None, 7.0))
    add(database, NOW + timedelta(seconds=4), Work(2.0, 0.5, 6.0, 1.0, 2.0))
    add(database, NOW + timedelta(minutes=1), Work(2.0, 1.0, 4.0, None, None))
    assert listed(database) == [(MINUTE, Work(6.0, 4.5, 16.0, 1.0, 7.0)), (MINUTE + timedelta(minutes=1), Work(2.0, 1.0, 4.0, None, None))]


def test_what_was_not_known_at_first_may_be_known_later_in_the_minute(database: Database) -> None:
    add(database, NOW, Work(2.0, 0.0, 4.0, None, None))
    add(database, NOW, Work(2.0, 0.0, 4.0, None, 0.0))
    assert listed(database) == [(MINUTE, Work(4.0, 0.0, 8.0, None, 0.0))]


def test_another_fleet_is_another_story(database: Database) -> None:
    add(database, NOW, Work(2.0, 1.0, 2.0, 1.0, 0.0), fleet="other")
    assert listed(database) == []


def test_old_minutes_are_dropped_and_younger_ones_stay(database: Database) -> None:
    for at in (NOW - KEEP - SLACK - timedelta(minutes=1), NOW - KEEP - SLACK + timedelta(minutes=1)):
        add(database, at, Work(2.0, 1.0, 2.0, 1.0, 0.0))
    with database.write() as connection:
        purge_work(connection, NOW)
    assert len(listed(database)) == 1
