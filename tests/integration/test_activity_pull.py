"""Activity pulled from a team's own database, on SQLite and PostgreSQL (spec R7)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine, text
from tests.clock import ManualClock

from levqor.domain.errors import DatabaseDown, UsageError
from levqor.domain.retention import Event, Mark, Recorded
from levqor.monitors.activity_pull import ActivityPull, instant
from levqor.monitors.retention import RetentionDesk
from levqor.store.database import Database, database_url
from levqor.store.team_database import PAGE

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EVENTS = "SELECT id, user_id, happened_at AS ts FROM team_events WHERE happened_at > :since ORDER BY id;"
USERS = "SELECT id, created_at, came_from AS referral_source FROM team_users WHERE created_at > :since"


class Team:
    """A team's own tables, beside Levqor's or in a file of their own."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url, self.engine = url, engine

    def run(self, sql: str, *rows: dict[str, object]) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql), list(rows) or None)

    def add(self, number: int, user: str, at: datetime) -> None:
        written = at.strftime("%Y-%m-%d %H:%M:%S") if self.engine.dialect.name == "sqlite" else at
        self.run("INSERT INTO team_events VALUES (:id, :user, :at)", {"id": number, "user": user, "at": written})

    def count(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT COUNT(*) FROM team_events")).scalar_one())


@pytest.fixture
def team(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Team]:
    url = f"sqlite:///{tmp_path}/team.db" if database.is_sqlite else request.getfixturevalue("postgres_url")
    engine = create_engine(database_url(url, tmp_path))
    made = Team(url, engine)
    moment = "TEXT" if database.is_sqlite else "TIMESTAMPTZ"
    made.run(f"CREATE TABLE team_events (id INTEGER, user_id TEXT, happened_at {moment})")
    made.run(f"CREATE TABLE team_users (id TEXT, created_at {moment}, came_from TEXT)")
    yield made
    made.run("DROP TABLE team_events")
    made.run("DROP TABLE team_users")
    engine.dispose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def desk(database: Database, clock: ManualClock) -> RetentionDesk:
    return RetentionDesk(database, clock, ZoneInfo("UTC"))


def pull(team: Team, desk: RetentionDesk, clock: ManualClock, events: str | None = EVENTS, users: str | None = None) -> dict[str, object]:
    return ActivityPull(desk, clock, team.url, users, events).pull()


def test_what_is_new_comes_in_once(team: Team, desk: RetentionDesk, clock: ManualClock) -> None:
    team.add(1, "a", NOON - 3 * DAY)
    team.add(2, "b", NOON - 2 * DAY)
    first = pull(team, desk, clock)
    assert first == {
        "ok": True,
        "users": 0,
        "events": {"accepted": 2, "duplicates": 0, "not_counted": 0},
        "skipped": 0,
        "since": "2026-03-29T12:00:00+00:00",
    }
    team.add(3, "a", NOON - DAY)
    assert pull(team, desk, clock)["events"] == {"accepted": 1, "duplicates": 1, "not_counted": 0}
    assert [row["dau"] for row in desk.retention(3)["metrics"]] == [1, 1, 1]


def test_a_row_that_was_committed_late_is_found_within_the_overlap(team: Team, desk: RetentionDesk, clock: ManualClock) -> None:
    team.add(1, "a", NOON - DAY)
    pull(team, desk, clock)
    team.add(2, "late", NOON - DAY - HOUR + timedelta(seconds=1))
    team.add(3, "too late", NOON - DAY - HOUR)
    assert pull(team, desk, clock)["events"] == {"accepted": 1, "duplicates": 1, "not_counted": 0}


def test_a_row_from_the_future_does_not_hide_those_before_it(team: Team, desk: RetentionDesk, clock: ManualClock) -> None:
    team.add(1, "a", NOON + DAY / 2)
    team.add(2, "a", NOON + 3 * DAY)
    assert pull(team, desk, clock)["skipped"] == 1
    team.add(3, "a", NOON)
    assert pull(team, desk, clock)["events"] == {"accepted": 1, "duplicates": 1, "not_counted": 0}


def test_rows_that_are_no_events_are_left_out_and_told(team: Team, desk: RetentionDesk, clock: ManualClock) -> None:
    team.add(1, "a", NOON - DAY)
    team.add(2, "", NOON - DAY)
    team.run("INSERT INTO team_events VALUES (3, NULL, (SELECT MAX(happened_at) FROM team_events)), (NULL, 'b', NULL)")
    answer = pull(team, desk, clock, "SELECT id, user_id, happened_at AS ts FROM team_events")
    assert (answer["events"], answer["skipped"]) == ({"accepted": 1, "duplicates": 0, "not_counted": 0}, 3)


def test_users_come_with_when_they_signed_up_and_whence(team: Team, desk: RetentionDesk, clock: ManualClock) -> None:
    at = "2026-03-20 10:00:00" + ("" if team.engine.dialect.name == "sqlite" else "+00")
    team.run(
        "INSERT INTO team_users VALUES (:id, :at, :source)",
        {"id": "a", "at": at, "source": "search"},
        {"id": "b", "at": at, "source": None},
    )
    assert pull(team, desk, clock, None, USERS)["users"] == 2
    assert pull(team, desk, clock, None, USERS)["users"] == 0
    assert (desk.user("a")["created_day"], desk.user("a")["referral_source"]) == ("2026-03-20", "search")


@pytest.mark.parametrize("statement", ["DELETE FROM team_events", "DELETE FROM team_events RETURNING id, user_id, happened_at AS ts"])
def test_the_connection_cannot_write(team: Team, desk: RetentionDesk, clock: ManualClock, statement: str) -> None:
    team.add(1, "a", NOON)
    with pytest.raises(UsageError, match=r"ANALYTICS_EVENTS_SQL: .*(readonly|syntax error)"):
        pull(team, desk, clock, statement)
    assert team.count() == 1


def test_a_select_that_locks_rows_is_refused_too(team: Team, desk: RetentionDesk, clock: ManualClock) -> None:
    """PostgreSQL itself says that the session is read-only; SQLite has no such SELECT."""
    with pytest.raises(UsageError, match="syntax error" if team.engine.dialect.name == "sqlite" else "read-only transaction"):
        pull(team, desk, clock, "SELECT id, user_id, happened_at AS ts FROM team_events FOR UPDATE")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("SELECT id, user_id FROM team_events", id="a column is missing"),
        pytest.param("SELECT id FROM no_such_table", id="no such table"),
        pytest.param("SELECTED", id="no SQL"),
        pytest.param(EVENTS.replace(":since", ":until"), id="another bound name"),
    ],
)
def test_wrong_sql_is_said_to_be_the_settings_fault(team: Team, desk: RetentionDesk, clock: ManualClock, wrong: str) -> None:
    with pytest.raises(UsageError, match=r"^ANALYTICS_EVENTS_SQL: "):
        pull(team, desk, clock, wrong)
    assert desk.position("pull:events") is None


def test_a_pull_that_dies_is_made_up_for_by_the_next(
    team: Team, desk: RetentionDesk, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never half: the position moves only at the end, and what was taken before is not taken again."""
    monkeypatch.setattr("levqor.store.team_database.PAGE", 4)
    for number in range(10):
        team.add(number, f"u{number}", NOON - DAY)
    taken: list[Recorded] = []
    record = desk.record

    def dying(events: Sequence[Event], mark: Mark | None = None) -> Recorded:
        if len(taken) == 2:
            raise DatabaseDown("gone")
        taken.append(record(events, mark))
        return taken[-1]

    monkeypatch.setattr(desk, "record", dying)
    with pytest.raises(DatabaseDown):
        pull(team, desk, clock)
    assert (desk.position("pull:events"), sum(found.accepted for found in taken)) == (None, 8)
    monkeypatch.setattr(desk, "record", record)
    assert pull(team, desk, clock)["events"] == {"accepted": 2, "duplicates": 8, "not_counted": 0}
    assert PAGE == 10_000


def test_a_database_that_does_not_answer_is_said_to_be_down_without_its_password(
    database: Database, desk: RetentionDesk, clock: ManualClock, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/none.db" if database.is_sqlite else "postgresql://team:geheim@127.0.0.1:1/team"
    with pytest.raises(DatabaseDown, match="team's database") as caught:
        ActivityPull(desk, clock, url, None, EVENTS).pull()
    assert "geheim" not in str(caught.value)
    assert not (tmp_path / "none.db").exists()


def test_a_url_that_is_none_is_refused(desk: RetentionDesk, clock: ManualClock) -> None:
    with pytest.raises(UsageError, match=r"^ANALYTICS_DATABASE_URL"):
        ActivityPull(desk, clock, "mysql://u:p@host/x", None, EVENTS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),  # noqa: DTZ001 (a column without a zone)
        (date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600, datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600.0, datetime(2026, 1, 1, tzinfo=UTC)),
        (float("nan"), None),
        (1e300, None),
        (True, None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_time_is_read_as_databases_give_it(value: object, expected: datetime | None) -> None:
    assert instant(value) == expected
