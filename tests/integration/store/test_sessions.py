"""Sessions on both databases (spec X2, P5)."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.clock import ManualClock

from levqor.store import sessions as store_sessions
from levqor.store.database import Database
from levqor.store.schema import sessions
from levqor.store.sessions import Sessions, purge_sessions

LASTS = timedelta(hours=12)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def desk(database: Database, clock: ManualClock) -> Sessions:
    return Sessions(database, clock, LASTS)


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(sessions)).scalar_one()


def test_it_lasts_until_its_end_and_no_longer(desk: Sessions, clock: ManualClock) -> None:
    begun = desk.begin("mia")
    assert begun.expires_at == clock.now() + LASTS
    clock.advance(LASTS.total_seconds() - 1)
    assert desk.find(begun.id) == begun
    clock.advance(1)
    assert desk.find(begun.id) is None


def test_signing_out_ends_it_for_every_process(desk: Sessions, database: Database, clock: ManualClock) -> None:
    elsewhere = Sessions(database, clock, LASTS)
    mine, other = desk.begin("mia"), desk.begin("mia")
    elsewhere.end(mine.id)
    assert desk.find(mine.id) is None
    assert desk.find(other.id) == other
    desk.end(mine.id)  # twice is no error


def test_the_table_holds_no_id_that_opens_anything(desk: Sessions, database: Database) -> None:
    begun = desk.begin("mia")
    with database.read() as connection:
        row = connection.execute(select(sessions)).one()
    assert begun.id not in str(row)
    assert desk.find(row.id_hash) is None


@pytest.mark.parametrize("guess", ["", "x", "ä", "\udcff", "x" * 10_000])
def test_what_was_never_begun_is_nobody(desk: Sessions, guess: str) -> None:
    assert desk.find(guess) is None


def test_what_has_expired_goes(desk: Sessions, database: Database, clock: ManualClock) -> None:
    desk.begin("old")
    clock.advance(LASTS.total_seconds() / 2)
    desk.begin("young")
    clock.advance(LASTS.total_seconds() / 2)
    with database.write() as connection:
        purge_sessions(connection, clock.now())
    assert count(database) == 1


def test_there_are_never_more_than_so_many(desk: Sessions, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_sessions, "MOST_SESSIONS", 3)
    begun = []
    for _ in range(5):
        clock.advance(1)
        begun.append(desk.begin("mia"))
    assert count(database) == 3
    assert [desk.find(one.id) is not None for one in begun] == [False, False, True, True, True]
