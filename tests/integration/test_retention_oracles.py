"""Random logs against two independent counts: a last-seen array, and plain SQL's COUNT(DISTINCT) (spec R2, R5)."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from tests.clock import ManualClock

from levqor.domain.retention import Event
from levqor.monitors.retention import RetentionDesk
from levqor.store.activity import drop_all_activity
from levqor.store.database import Database
from levqor.store.schema import SCHEMA, analytics_aggregates, installation, users

DAY = timedelta(days=1)
ZONES = {
    # Each with the night in which its clocks change: days of 23 and 25 hours, and one of half an hour's change.
    "Europe/London": datetime(2026, 3, 29, 12, tzinfo=UTC),
    "America/New_York": datetime(2026, 11, 1, 12, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 5, 12, tzinfo=UTC),
}


@dataclass(frozen=True)
class Log:
    """Events in the order in which they arrive, some twice, and who is forgotten after how many."""

    events: list[Event]
    forgotten: list[tuple[int, str]]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Up to 80 events over 70 days, out of order; minutes crowd around midnight, where a zone matters."""
    minutes = st.one_of(st.integers(-60 * 24 * 60, 10 * 24 * 60), st.integers(-840, 840).map(lambda minute: minute + 12 * 60))
    drawn = draw(
        st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6), minutes, st.sampled_from(["active", "active", "probe"])), max_size=80)
    )
    middle = datetime(1970, 1, 1, tzinfo=UTC)
    events = [Event(f"e{event}", f"u{user}", middle + timedelta(minutes=minute), kind) for event, user, minute, kind in drawn]
    forgotten = draw(st.lists(st.tuples(st.integers(0, len(events)), st.sampled_from(["u0", "u1", "u2"])), max_size=2))
    return Log(events, forgotten)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """By looking for the midnights around it, not by asking for its date: another way than the product's."""
    guess = moment.date() - 2 * DAY
    while datetime(guess.year, guess.month, guess.day, tzinfo=zone).astimezone(UTC) <= moment:
        guess += DAY
    return guess - DAY


def people(log: Log, zone: ZoneInfo) -> set[tuple[str, date]]:
    """Who is to be counted when: each id once; who comes back after being forgotten is somebody else."""
    ids: set[str] = set()
    lives: dict[str, int] = {}
    found: set[tuple[str, date]] = set()
    for number, event in enumerate([*log.events, None]):
        for _at, user in (forgot for forgot in log.forgotten if forgot[0] == number):
            lives[user] = lives.get(user, 0) + 1
        if event is None or event.id in ids:
            continue
        ids.add(event.id)
        if event.kind != "probe":
            found.add((f"{event.user_id}/{lives.get(event.user_id, 0)}", local_day(event.ts, zone)))
    return found


def by_last_seen(pairs: set[tuple[str, date]], days: list[date]) -> dict[date, tuple[int, int, int]]:
    """One pass over the days with an array of when each was last seen."""
    last: dict[str, date] = {}
    found = {}
    first = min([days[0], *(day for _user, day in pairs)])
    for day in (first + n * DAY for n in range((days[-1] - first).days + 1)):
        last |= {user: day for user, seen in pairs if seen == day}
        found[day] = tuple(sum((day - seen).days < length for seen in last.values()) for length in (1, 7, 30))
    return {day: found[day] for day in days}  # type: ignore[misc]


def by_sql(database: Database, days: list[date]) -> dict[date, tuple[int, ...]]:
    table = "activity" if database.is_sqlite else f"{SCHEMA}.activity"
    query = text(f"SELECT COUNT(DISTINCT user_id) FROM {table} WHERE day > :after AND day <= :day")

    def bound(day: date) -> object:
        return day.isoformat() if database.is_sqlite else day

    with database.read() as connection:
        return {
            day: tuple(connection.execute(query, {"after": bound(day - n * DAY), "day": bound(day)}).scalar_one() for n in (1, 7, 30))
            for day in days
        }


def written(database: Database) -> dict[date, tuple[int, int, int]]:
    with database.read() as connection:
        return {row.day: (row.dau, row.wau, row.mau) for row in connection.execute(select(analytics_aggregates))}


def play(desk: RetentionDesk, log: Log, at: datetime) -> None:
    """In three batches, with the aggregates written after the first: what comes later must correct them."""
    moved = [replace(event, ts=event.ts - datetime(1970, 1, 1, tzinfo=UTC) + at) for event in log.events]
    cuts = sorted({0, len(moved) // 3, 2 * len(moved) // 3, len(moved), *(number for number, _user in log.forgotten)})
    for number, (start, end) in enumerate(zip([0, *cuts], cuts, strict=False)):
        desk.record(moved[start:end])
        for _at, user in (forgot for forgot in log.forgotten if forgot[0] == end):
            if user in {event.user_id for event in moved[:end]}:
                _forget(desk, user)
        if number == 1:
            desk.aggregate(backfill=45)


def _forget(desk: RetentionDesk, user: str) -> None:
    from levqor.domain.errors import NotFound

    try:
        desk.forget(user, "test")
    except NotFound:
        return  # only probes were heard of them, or they were forgotten already


def emptied(database: Database) -> None:
    with database.write() as connection:
        drop_all_activity(connection)
        connection.execute(users.delete())
        connection.execute(installation.delete())


def by_hand(pairs: set[tuple[str, date]], start: date, closed: date) -> list[int | None]:
    """A cohort's row, person by person."""
    first = {user: min(day for somebody, day in pairs if somebody == user) for user, _day in pairs}
    return [
        sum((user, start + offset * DAY) in pairs for user, day in first.items() if day == start)
        if start + offset * DAY <= closed
        else None
        for offset in range(31)
    ]


@pytest.mark.parametrize("name", list(ZONES))
@given(log=logs())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_day_of_any_log_is_what_two_other_ways_of_counting_say(database: Database, name: str, log: Log) -> None:
    emptied(database)
    zone, change = ZoneInfo(name), ZONES[name]
    clock = ManualClock(change + 10 * DAY)
    desk = RetentionDesk(database, clock, zone)
    play(desk, log, change)

    days = [clock.now().astimezone(zone).date() - n * DAY for n in range(45, 0, -1)]
    moved = Log([replace(event, ts=event.ts - datetime(1970, 1, 1, tzinfo=UTC) + change) for event in log.events], log.forgotten)
    pairs = people(moved, zone)
    expected = by_last_seen(pairs, days)
    told = {date.fromisoformat(row["day"]): (row["dau"], row["wau"], row["mau"]) for row in desk.retention(45)["metrics"]}
    assert told == expected
    assert by_sql(database, days) == expected
    assert all(expected[day] == figures for day, figures in written(database).items())

    for row in desk.cohorts(count=40)["cohorts"]:
        assert row["retained"] == by_hand(pairs, date.fromisoformat(row["start"]), days[-1])

    desk.aggregate(backfill=45)
    assert written(database) == expected
    assert desk.aggregate(backfill=45)["changed"] == 0
