"""Taking activity in, counting, forgetting, on both databases (spec R1 to R5)."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pyroaring import BitMap
from sqlalchemy import func, insert, select
from tests.clock import ManualClock

from levqor.domain.errors import ConditionNotMet, NotFound, UsageError
from levqor.domain.retention import EARLIEST, Event, Mark, Mode, Profile, Span
from levqor.monitors.retention import RetentionDesk
from levqor.store.audit import list_changes
from levqor.store.database import Database
from levqor.store.day_bitmaps import BLOCK_BITS, Change, active_between, apply_change, blocks_of, newcomers_between
from levqor.store.event_ids import KEEP as KEEP_IDS
from levqor.store.event_ids import purge_event_ids
from levqor.store.imports import KEEP, purge_positions
from levqor.store.schema import activity, activity_days, analytics_aggregates, event_generations, event_ids, users

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
TODAY = NOON.date()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def desk(database: Database, clock: ManualClock) -> RetentionDesk:
    return RetentionDesk(database, clock, ZoneInfo("UTC"))


def event(number: int, user: str, days_ago: float = 0, **more: object) -> Event:
    return Event(f"e{number}", user, NOON - days_ago * DAY, **more)  # type: ignore[arg-type]


def dau(desk: RetentionDesk, days_ago: int) -> int:
    answer = desk.retention(60)
    rows = [answer["today"], *answer["metrics"]]
    return int(rows[days_ago]["dau"])


def kept(database: Database, table: object = activity) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def aggregated(database: Database) -> dict[int, tuple[int, int, int, bool]]:
    """By days ago."""
    with database.read() as connection:
        rows = connection.execute(select(analytics_aggregates)).all()
    return {(TODAY - row.day).days: (row.dau, row.wau, row.mau, row.mau_complete) for row in rows}


# Taking events


def test_an_event_is_taken_once_by_its_id_whatever_else_it_says(desk: RetentionDesk) -> None:
    first = desk.record([event(1, "a"), event(1, "b"), event(2, "a")])
    assert (first.accepted, first.duplicates) == (2, 1)
    again = desk.record([event(1, "c", 3), event(2, "a")])
    assert (again.accepted, again.duplicates) == (0, 2)
    assert desk.retention(4)["today"]["dau"] == 1
    with pytest.raises(NotFound):
        desk.user("b")


def test_an_empty_batch_is_nothing(desk: RetentionDesk) -> None:
    assert desk.record([]).accepted == 0


def test_a_batch_with_an_event_that_cannot_be_leaves_nothing(desk: RetentionDesk, database: Database) -> None:
    wrong = {
        "more than a day ahead": Event("x", "a", NOON + DAY + timedelta(seconds=1)),
        "too old": Event("x", "a", EARLIEST - timedelta(seconds=1)),
        "no zone": Event("x", "a", NOON.replace(tzinfo=None)),
        "a NUL": Event("x", "a\x00", NOON),
        "half a character": Event("x", "\ud800", NOON),
        "no id": Event("", "a", NOON),
        "too long": Event("x", "a" * 201, NOON),
    }
    for bad in wrong.values():
        with pytest.raises(UsageError, match="number 2"):
            desk.record([event(1, "a"), bad])
    assert (kept(database), kept(database, event_ids), kept(database, users)) == (0, 0, 0)


def test_the_bounds_of_time_themselves_are_taken(desk: RetentionDesk) -> None:
    assert desk.record([Event("x", "a", NOON + DAY), Event("y", "a", EARLIEST)]).accepted == 2


def test_ids_that_differ_in_case_or_spaces_are_different_people(desk: RetentionDesk) -> None:
    desk.record([event(1, "Ada"), event(2, "ada"), event(3, "ada "), event(4, "ädä'; --"), event(5, '"[1]"')])
    assert dau(desk, 0) == 5


def test_services_and_probes_do_not_count_but_their_ids_are_taken(desk: RetentionDesk, database: Database) -> None:
    recorded = desk.record([event(1, "bot", is_service=True), event(2, "check", kind="probe"), event(3, "a"), event(4, "bot")])
    assert (recorded.accepted, recorded.not_counted) == (4, 2)
    assert dau(desk, 0) == 2, "in the same batch the bot was a person too"
    assert desk.record([event(5, "svc", is_service=True)]).not_counted == 1
    assert desk.record([event(6, "svc")]).not_counted == 1, "a service stays one"
    assert desk.record([event(2, "a")]).duplicates == 1
    assert kept(database) == 2


def test_a_user_that_turns_out_to_be_a_service_leaves_every_count(desk: RetentionDesk, database: Database) -> None:
    desk.record([event(1, "bot", 40), event(2, "bot", 3), event(3, "a", 3)])
    desk.aggregate(backfill=5)
    assert aggregated(database)[3] == (2, 2, 2, True)
    assert desk.set_user("bot", is_service=True)["first_day"] is None
    assert aggregated(database)[3] == (1, 1, 1, False), "with the bot went the history's beginning"
    assert (dau(desk, 3), kept(database), desk.analytics()["users"]["total"]) == (1, 1, 1)
    assert all(row["users"] == 0 for row in desk.cohorts(count=60)["cohorts"] if row["start"] != (TODAY - 3 * DAY).isoformat())


def test_the_mark_of_an_import_is_kept_with_its_events_or_not_at_all(desk: RetentionDesk) -> None:
    desk.record([event(1, "a")], Mark("file", {"line": 1}))
    assert desk.position("file") == {"line": 1}
    with pytest.raises(UsageError):
        desk.record([event(2, "")], Mark("file", {"line": 2}))
    assert desk.position("file") == {"line": 1}
    assert desk.position("other") is None


def test_two_writers_at_once_neither_fail_nor_double(desk: RetentionDesk, database: Database) -> None:
    batches = [[event(n + 50 * start, f"u{n % 40}", n % 10) for n in range(200)] for start in range(3)]
    accepted: list[int] = []
    errors: list[Exception] = []

    def write(order: Iterable[int]) -> None:
        try:
            accepted.extend(desk.record(batches[number]).accepted for number in order)
        except Exception as error:  # noqa: BLE001 (whatever it is, the test tells it)
            errors.append(error)

    threads = [threading.Thread(target=write, args=(order,)) for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert sum(accepted) == kept(database, event_ids) == 300
    assert kept(database, users) == 40
    with database.read() as connection:
        held = active_between(connection, TODAY - 20 * DAY, TODAY)
    assert sum(map(len, held.values())) == kept(database)


def test_nothing_acknowledged_is_lost_by_kill_9(database: Database, desk: RetentionDesk, tmp_path: Path) -> None:
    """R5: acknowledged after the commit."""
    script = tmp_path / "writer.py"
    script.write_text(
        """
import sys, threading
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from sqlalchemy import make_url
from levqor.domain.retention import Event
from levqor.host import SystemClock
from levqor.monitors.retention import RetentionDesk
from levqor.store.database import Database
desk = RetentionDesk(Database(make_url(sys.argv[1])), SystemClock(), ZoneInfo("UTC"))
recorded = desk.record([Event(f"k{n}", f"u{n}", datetime(2026, 3, 31, tzinfo=UTC)) for n in range(500)])
print(recorded.accepted, flush=True)
threading.Event().wait(60)
"""
    )
    url = database.url.render_as_string(hide_password=False)
    with subprocess.Popen([sys.executable, str(script), url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "500\n"
        writer.send_signal(signal.SIGKILL)
    assert (kept(database), dau(desk, 0)) == (500, 500)
    assert desk.record([Event("k7", "u7", NOON)]).duplicates == 1


# Late events and aggregates


def test_a_late_event_corrects_its_day_and_each_window_that_holds_it(desk: RetentionDesk, database: Database) -> None:
    """Seen from yesterday's row: its week holds the days from 1 to 7 days ago, its month those from 1 to 30."""
    desk.record([event(1, "a", 60), event(2, "a", 1)])
    desk.aggregate(backfill=40)
    expected = {0: (1, 1, 1), 31: (1, 1, 1), 30: (1, 1, 2), 8: (1, 1, 3), 7: (1, 2, 4), 1: (2, 3, 5)}
    for number, (ago, figures) in enumerate(expected.items()):
        desk.record([event(10 + number, f"late {ago}", ago)])
        assert aggregated(database)[1] == (*figures, True)
    before = aggregated(database)
    assert desk.aggregate(backfill=40)["changed"] == 0, "there is nothing left to correct"
    assert aggregated(database) == before


def test_history_that_begins_earlier_completes_windows_far_after_it(desk: RetentionDesk, database: Database) -> None:
    desk.record([event(1, "a", 20)])
    desk.aggregate(backfill=25)
    assert not aggregated(database)[1][3]
    desk.record([event(2, "a", 100)])
    assert all(found[3] for found in aggregated(database).values())
    assert desk.aggregate(backfill=25)["changed"] == 0


def test_thirty_days_make_the_month_complete_and_the_ratio_known(desk: RetentionDesk) -> None:
    desk.record([event(1, "a", 29), event(2, "b", 1), event(3, "a", 1)])
    row = desk.retention()["metrics"][0]
    assert (row["mau"], row["mau_complete"]) == (2, False)
    assert desk.retention()["stickiness"]["ratio"] is None
    desk.record([event(4, "c", 30)])
    answer = desk.retention()
    assert (answer["metrics"][0]["mau"], answer["metrics"][0]["mau_complete"]) == (3, True)
    assert answer["stickiness"]["ratio"] == pytest.approx(2 / 3)
    assert answer["stickiness"]["mean_7d"] is None, "six of its seven days are not complete"


def test_today_stands_apart_and_is_partial(desk: RetentionDesk) -> None:
    desk.record([event(1, "a"), event(2, "b", 1)])
    answer = desk.retention()
    assert (answer["today"]["day"], answer["today"]["dau"], answer["today"]["partial"]) == ("2026-03-31", 1, True)
    assert [row["day"] for row in answer["metrics"]] == [(TODAY - n * DAY).isoformat() for n in range(1, 31)]
    assert json.loads(json.dumps(answer)) == answer


def test_days_before_the_first_event_say_that_nothing_was_recorded(desk: RetentionDesk) -> None:
    desk.record([event(1, "a", 2)])
    answer = desk.retention(3)
    assert answer["history_from"] == "2026-03-29"
    assert [(row["dau"], row["is_recorded"]) for row in answer["metrics"]] == [(0, True), (1, True), (0, False)]


def test_questions_out_of_bounds_are_refused(desk: RetentionDesk) -> None:
    for days in (0, -1, 367):
        with pytest.raises(UsageError, match="days"):
            desk.retention(days)
    for count in (0, 121):
        with pytest.raises(UsageError, match="count"):
            desk.cohorts(count=count)
    for day, backfill in ((TODAY - DAY, 2), (None, -1), (None, 3_661), (date(1800, 1, 1), 0)):
        with pytest.raises(UsageError):
            desk.aggregate(day, backfill)


def test_a_day_is_aggregated_only_after_its_end(desk: RetentionDesk, clock: ManualClock) -> None:
    with pytest.raises(ConditionNotMet, match="not over yet in UTC"):
        desk.aggregate(TODAY)
    clock.advance(12 * 3600 - 1)
    with pytest.raises(ConditionNotMet):
        desk.aggregate(TODAY)
    clock.advance(1)
    assert [row["day"] for row in desk.aggregate()["days"]] == [TODAY.isoformat()]


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        pytest.param(date(2026, 3, 29), datetime(2026, 3, 29, 23, tzinfo=UTC), id="23 hours"),
        pytest.param(date(2026, 10, 25), datetime(2026, 10, 26, 0, tzinfo=UTC), id="25 hours"),
    ],
)
def test_a_day_of_23_or_25_hours_ends_when_the_zone_says(database: Database, day: date, ends: datetime) -> None:
    london = ZoneInfo("Europe/London")
    clock = ManualClock(ends - timedelta(seconds=1))
    desk = RetentionDesk(database, clock, london)
    starts = datetime(day.year, day.month, day.day, tzinfo=london).astimezone(UTC)
    edges = {"before": starts - timedelta(seconds=1), "first": starts, "last": ends - timedelta(seconds=1), "after": ends}
    desk.record([Event(name, name, moment) for name, moment in edges.items()])
    with pytest.raises(ConditionNotMet):
        desk.aggregate(day)
    clock.advance(1)
    assert desk.aggregate(day)["days"][0]["dau"] == 2


def test_aggregating_twice_and_twice_at_once_changes_nothing(desk: RetentionDesk, database: Database) -> None:
    desk.record([event(n, f"u{n % 7}", n % 50) for n in range(200)])
    desk.aggregate(backfill=45)
    with database.read() as connection:
        before = connection.execute(select(analytics_aggregates).order_by(analytics_aggregates.c.day)).all()
    threads = [threading.Thread(target=desk.aggregate, kwargs={"backfill": 45}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with database.read() as connection:
        assert connection.execute(select(analytics_aggregates).order_by(analytics_aggregates.c.day)).all() == before


def test_a_bitmap_that_is_not_what_activity_says_is_built_anew(desk: RetentionDesk, database: Database) -> None:
    desk.record([event(1, "a", 1), event(2, "b", 1), event(3, "a", 2)])
    with database.write() as connection:
        connection.execute(activity_days.delete().where(activity_days.c.day == TODAY - DAY))
    assert dau(desk, 1) == 0
    assert desk.aggregate(backfill=3)["rebuilt"] == ["2026-03-30"]
    assert dau(desk, 1) == 2
    assert desk.aggregate(backfill=3)["rebuilt"] == []
    assert desk.cohorts(count=3)["cohorts"][0]["users"] == 1, "whose first day it was is built anew too"


# One zone


def test_another_zone_is_refused_with_what_to_do(database: Database, clock: ManualClock, desk: RetentionDesk) -> None:
    desk.record([event(1, "a")])
    other = RetentionDesk(database, clock, ZoneInfo("Europe/Berlin"))
    for refused in (lambda: other.record([event(2, "a")]), other.retention, other.cohorts, other.analytics, other.aggregate):
        with pytest.raises(UsageError, match=r"counted in days of UTC.*set ANALYTICS_TZ=UTC, or .*retention rezone"):
            refused()
    assert desk.record([event(2, "a")]).accepted == 1


def test_any_zone_may_look_before_the_first_event(database: Database, clock: ManualClock, desk: RetentionDesk) -> None:
    assert RetentionDesk(database, clock, ZoneInfo("Asia/Tokyo")).retention()["history_from"] is None
    desk.record([event(1, "a")])


def test_starting_over_settles_on_the_new_zone_and_takes_the_events_again(
    database: Database, clock: ManualClock, desk: RetentionDesk
) -> None:
    late_evening = Event("x", "a", datetime(2026, 3, 29, 23, 30, tzinfo=UTC))
    desk.record([late_evening], Mark("pull:events", {"since": "2026"}))
    desk.set_user("a", referral_source="friends")
    desk.aggregate(backfill=3)
    other = RetentionDesk(database, clock, ZoneInfo("Europe/Berlin"))
    other.start_over("cli")
    assert (kept(database), kept(database, analytics_aggregates), other.position("pull:events")) == (0, 0, None)
    assert other.record([late_evening]).accepted == 1
    assert other.user("a")["first_day"] == "2026-03-30", "in Berlin the day had begun"
    assert other.user("a")["referral_source"] == "friends"


# People


def test_forgetting_leaves_the_counts_and_no_way_back(desk: RetentionDesk, database: Database) -> None:
    desk.set_user("ada@example.org", created_at=NOON - 3 * DAY, referral_source="a friend of ada")
    desk.record([event(1, "ada@example.org", 2), event(2, "b", 2)])
    before = (desk.retention(), desk.cohorts(Span.WEEK))
    assert desk.forget("ada@example.org", "admin") == {"ok": True, "forgotten": 1}
    assert (desk.retention(), desk.cohorts(Span.WEEK)) == before
    with database.read() as connection:
        everything = "".join(str(connection.execute(select(table)).all()) for table in (users, activity, event_ids)) + json.dumps(
            list_changes(connection, 10), default=str
        )
        assert "ada" not in everything
        assert [change["what"] for change in list_changes(connection, 10)] == ["users.forget"]
    assert desk.analytics()["referral_sources"] == []
    assert desk.record([event(1, "ada@example.org", 2)]).duplicates == 1, "an event that was taken does not bring them back"
    with pytest.raises(NotFound):
        desk.forget("ada@example.org", "admin")
    with pytest.raises(NotFound):
        desk.user("ada@example.org")
    assert [(row.day, row.user_id) for row in desk.export()] == [(TODAY - 2 * DAY, None), (TODAY - 2 * DAY, "b")]


def test_who_comes_back_after_being_forgotten_is_somebody_new(desk: RetentionDesk) -> None:
    desk.record([event(1, "a", 2)])
    desk.forget("a", "admin")
    desk.record([event(2, "a", 1)])
    assert desk.user("a")["first_day"] == "2026-03-30"
    assert desk.retention()["metrics"][0]["wau"] == 2


def test_a_users_first_day_moves_earlier_and_never_later(desk: RetentionDesk) -> None:
    desk.record([event(1, "a", 5)])
    desk.record([event(2, "a", 2)])
    assert desk.user("a")["first_day"] == "2026-03-26"
    desk.record([event(3, "a", 9)])
    assert desk.user("a")["first_day"] == "2026-03-22"
    users_of = {row["start"]: row["users"] for row in desk.cohorts(count=30)["cohorts"]}
    assert (users_of["2026-03-22"], users_of["2026-03-26"]) == (1, 0)


def test_a_user_is_made_known_and_changed_by_what_is_given(desk: RetentionDesk) -> None:
    made = desk.set_user("a", created_at=NOON, referral_source="search")
    assert made == {
        "id": "a",
        "first_day": None,
        "created_day": "2026-03-31",
        "referral_source": "search",
        "is_service": False,
        "created": True,
    }
    changed = desk.set_user("a", referral_source="ads")
    assert (changed["created"], changed["created_day"], changed["referral_source"]) == (False, "2026-03-31", "ads")


def test_a_user_that_cannot_be_is_refused(desk: RetentionDesk) -> None:
    with pytest.raises(UsageError, match="id: "):
        desk.set_user("")
    for source in ("", "x" * 101, "a\nb"):
        with pytest.raises(UsageError, match="referral_source: "):
            desk.set_user("a", referral_source=source)
    for moment in (NOON + 2 * DAY, NOON.replace(tzinfo=None)):
        with pytest.raises(UsageError, match="created_at: "):
            desk.set_user("a", created_at=moment)
    with pytest.raises(NotFound):
        desk.user("a")


def test_many_people_are_made_known_at_once(desk: RetentionDesk) -> None:
    people = [Profile(f"u{n}", NOON - n * DAY, "search" if n % 2 else None) for n in range(20)]
    assert desk.set_users(people) == 20
    assert desk.set_users(people) == 0
    assert desk.set_users([Profile("u3", None, "ads"), Profile("u4", NOON)]) == 2
    assert (desk.user("u3")["referral_source"], desk.user("u3")["created_day"]) == ("ads", "2026-03-28")
    assert desk.user("u4")["created_day"] == "2026-03-31"


def test_analytics_counts_people_new_ones_and_who_came_again(desk: RetentionDesk) -> None:
    desk.record([event(1, "old", 40), event(2, "old", 3), event(3, "week", 6), event(4, "month", 7), event(5, "month", 0)])
    desk.set_user("signed up", created_at=NOON - 29 * DAY, referral_source="search")
    desk.set_user("long ago", created_at=NOON - 30 * DAY, referral_source="search")
    for number in range(12):
        desk.set_user(f"s{number}", created_at=NOON - 400 * DAY, referral_source=f"source {number:02}")
    desk.set_user("bot", is_service=True, referral_source="search")
    answer = desk.analytics()
    assert answer["users"] == {"total": 17, "new_7d": 1, "new_30d": 3, "returning_7d": 2, "returning_30d": 1}
    assert answer["referral_sources"][0] == {"source": "search", "users": 2}
    assert len(answer["referral_sources"]) == 10


# Cohorts and export


def test_the_cohorts_table_answers_for_the_newest_first_and_leaves_open_what_is_not_over(desk: RetentionDesk) -> None:
    desk.record([event(1, "a", 3), event(2, "b", 3), event(3, "a", 2), event(4, "b", 1), event(5, "a", 0)])
    on = desk.cohorts(count=2)
    assert (on["columns"], on["as_of"]) == (list(range(31)), "2026-03-30")
    assert [row["start"] for row in on["cohorts"]] == ["2026-03-30", "2026-03-29"]
    oldest = desk.cohorts(count=3)["cohorts"][-1]
    assert (oldest["users"], oldest["retained"][:4], oldest["rates"][:4]) == (2, [2, 1, 1, None], [1.0, 0.5, 0.5, None])
    assert desk.cohorts(mode=Mode.ON_OR_AFTER)["cohorts"][-1]["retained"][:4] == [2, 2, 1, None]
    pools = desk.retention()["cohorts"]
    assert pools["d1"] == {"rate": 0.5, "retained": 1, "users": 2, "cohorts": 1}
    assert pools["d7"] == {"rate": None, "retained": 0, "users": 0, "cohorts": 0}


def test_the_export_goes_on_from_page_to_page(desk: RetentionDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("levqor.store.activity.PAGE", 3)
    desk.record([event(n, f"u{n % 5}", n // 5) for n in range(20)])
    rows = list(desk.export())
    assert len(rows) == len(set(rows)) == 20
    assert [(row.day, row.number) for row in rows] == sorted((row.day, row.number) for row in rows)
    assert {row.day for row in desk.export(TODAY - 2 * DAY, TODAY - DAY)} == {TODAY - 2 * DAY, TODAY - DAY}


# What is kept, and how


def test_event_ids_are_kept_for_35_days_and_no_longer(desk: RetentionDesk, database: Database) -> None:
    desk.record([event(n, "a") for n in range(300)])
    for now, left in ((NOON + KEEP_IDS, 300), (NOON + KEEP_IDS + DAY, 0)):
        with database.write() as connection:
            purge_event_ids(connection, now)
        assert (kept(database, event_ids), kept(database, event_generations)) == (left, bool(left))
    assert desk.record([event(1, "a")]).accepted == 1


@pytest.mark.parametrize("size", [pytest.param(3, id="one by one"), pytest.param(300, id="by the filters")])
def test_an_id_is_known_in_whichever_generation_it_lies(
    desk: RetentionDesk, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("levqor.store.event_ids.SIZE", size)
    for start in range(3):
        desk.record([event(start * size + n, f"u{n % 5}") for n in range(size)])
    assert kept(database, event_generations) == 3
    again = [event(n, f"u{n % 5}") for n in range(3 * size + size // 3)]
    assert desk.record(again).duplicates == 3 * size
    assert desk.record(again).accepted == 0
    clock.advance(7 * 86_400)
    desk.record([event(10_000, "a")])
    assert kept(database, event_generations) == 5, "a week is the longest that one takes ids"
    assert kept(database, event_ids) == 3 * size + size // 3 + 1


def test_positions_are_forgotten_after_a_year(desk: RetentionDesk, database: Database) -> None:
    desk.record([], Mark("file", {"line": 1}))
    for now, left in ((NOON + KEEP, {"line": 1}), (NOON + KEEP + timedelta(seconds=1), None)):
        with database.write() as connection:
            purge_positions(connection, now)
        assert desk.position("file") == left


def test_numbers_are_cut_into_blocks_at_their_edges() -> None:
    edge = 1 << BLOCK_BITS
    numbers = BitMap([0, edge - 1, edge, 5 * edge + 3])
    assert [(block, list(part)) for block, part in blocks_of(numbers)] == [(0, [0, edge - 1]), (1, [edge]), (5, [5 * edge + 3])]
    assert list(blocks_of(BitMap())) == []


def test_a_days_sets_are_whole_again_over_all_their_blocks(database: Database) -> None:
    edge = 1 << BLOCK_BITS
    change = Change()
    change.active[TODAY], change.newcomers[TODAY] = BitMap([1, edge, 2 * edge + 7]), BitMap([edge])
    with database.write() as connection:
        apply_change(connection, change)
    gone = Change()
    gone.inactive[TODAY], gone.no_newcomers[TODAY] = BitMap([edge]), BitMap([edge])
    with database.write() as connection:
        assert active_between(connection, TODAY, TODAY) == {TODAY: BitMap([1, edge, 2 * edge + 7])}
        assert newcomers_between(connection, TODAY, TODAY) == {TODAY: BitMap([edge])}
        apply_change(connection, gone)
        assert active_between(connection, TODAY, TODAY) == {TODAY: BitMap([1, 2 * edge + 7])}
        assert newcomers_between(connection, TODAY, TODAY) == {}
    assert kept(database, activity_days) == 2


def test_people_beyond_the_first_block_are_counted_like_the_others(desk: RetentionDesk, database: Database) -> None:
    with database.write() as connection:
        far = [{"id": 65_535, "external_id": "edge", "is_service": False}, {"id": 65_536, "external_id": "next", "is_service": False}]
        connection.execute(insert(users), far)
    desk.record([event(1, "edge", 1), event(2, "next", 1), event(3, "next", 0)])
    assert (dau(desk, 1), dau(desk, 0)) == (2, 1)
    assert desk.set_user("next", is_service=True)["first_day"] is None
    assert (dau(desk, 1), dau(desk, 0)) == (1, 0)
