"""What the database keeps: keys, holds, orders, episodes, usage, decisions, roll-ups; the schema and its versions."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from tests.clock import ManualClock

from levqor.domain.errors import Conflict, DatabaseDown, UsageError
from levqor.domain.incidents import Call, Cause, Step, StepName, StepStatus
from levqor.store import holds
from levqor.store.audit import list_changes, purge_changes, record_change
from levqor.store.database import VERSION_TABLE, Database, SchemaError, database_url
from levqor.store.decisions import count_actions, decision_at, list_decisions, purge_decisions, record_decision
from levqor.store.episodes import list_episodes, purge_episodes, sync_episodes
from levqor.store.idempotency import PENDING_FOR, Idempotency
from levqor.store.incidents import begin_incident, begin_recovery, close_incident, purge_incidents
from levqor.store.orders import answer_order, open_orders, place_order, read_answer, withdraw_order
from levqor.store.rollups import last_rollup, list_rollups, purge_rollups, put_rollup
from levqor.store.schema import SCHEMA, incidents, metadata, recoveries, recovery_steps
from levqor.store.usage import add_usage, spend_since


def test_the_migrations_make_exactly_the_schema(database: Database) -> None:
    with database.read() as connection:
        options = {
            "include_schemas": not database.is_sqlite,
            "version_table": VERSION_TABLE,
            "version_table_schema": None if database.is_sqlite else SCHEMA,
            "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        }
        made = {table.name for table in metadata.tables.values()}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata) if not database.is_sqlite else []
        assert differences == []
        query = (
            "SELECT name FROM sqlite_master WHERE type='table'"
            if database.is_sqlite
            else (f"SELECT table_name FROM information_schema.tables WHERE table_schema='{SCHEMA}'")
        )
        found = {row[0] for row in connection.execute(text(query))}
    assert made <= found


def test_a_newer_database_is_refused_untouched(database: Database) -> None:
    prefix = "" if database.is_sqlite else f"{SCHEMA}."
    with database.write() as connection:
        connection.execute(text(f"UPDATE {prefix}{VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer"):
        database.migrate()
    with pytest.raises(SchemaError):
        database.check()
    with database.write() as connection:
        connection.execute(text(f"UPDATE {prefix}{VERSION_TABLE} SET version_num = '0002'"))


def test_migrating_twice_and_at_once_changes_nothing(database: Database) -> None:
    threads = [Thread(target=database.migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.check()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://"])
def test_any_other_database_is_refused_by_name(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="DATABASE_URL"):
        database_url(url, tmp_path)


def test_a_database_that_does_not_answer_says_so_without_its_password(tmp_path: Path) -> None:
    gone = Database(database_url("postgresql://levqor:s3cret@127.0.0.1:1/x", tmp_path))
    with pytest.raises(DatabaseDown) as caught, gone.read():
        pytest.fail("nobody answers there")
    assert "s3cret" not in str(caught.value)
    gone.close()


def test_the_same_key_acts_once_and_answers_the_same(database: Database) -> None:
    """L3."""
    clock = ManualClock()
    keys = Idempotency(database, clock)
    claim = keys.claim("intake", "k1", b"body")
    assert claim.state == "new"
    assert keys.claim("intake", "k1", b"body").state == "pending"
    assert keys.claim("intake", "k1", b"other").state == "mismatch"
    assert keys.claim("apply", "k1", b"body").state == "new", "each route has its own keys"
    keys.answer("intake", "k1", 202, {"job_id": claim.token})
    again = keys.claim("intake", "k1", b"body")
    assert (again.state, again.status, again.answer, again.token) == ("answered", 202, {"job_id": claim.token}, claim.token)
    clock.advance(24 * 3600)
    assert keys.claim("intake", "k1", b"body").state == "answered", "honoured for 24 h"
    clock.advance(25 * 3600)
    assert keys.claim("intake", "k1", b"body").state == "new"


def test_a_request_that_died_is_taken_over_with_its_token(database: Database) -> None:
    """L3: acts once."""
    clock = ManualClock()
    keys = Idempotency(database, clock)
    first = keys.claim("intake", "k", b"")
    clock.advance(PENDING_FOR.total_seconds())
    second = keys.claim("intake", "k", b"")
    assert (second.state, second.token) == ("new", first.token)
    keys.abandon("intake", "k")
    assert keys.claim("intake", "k", b"").token != first.token


def test_a_key_claimed_by_many_at_once_is_new_for_one(database: Database) -> None:
    keys = Idempotency(database, ManualClock())
    states: list[str] = []
    threads = [Thread(target=lambda: states.append(keys.claim("intake", "k", b"x").state)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["new"] + ["pending"] * 7 or sorted(states) == sorted(["pending"] * 7 + ["new"])


def test_holds_end_by_time_that_the_leader_saw_pass(database: Database) -> None:
    """P1: a wall clock that jumps ends no hold."""
    clock = ManualClock()
    with database.write() as connection:
        holds.place_hold(connection, clock.now(), "person", "ana", "deploy", 100.0)
        clock.jump(3 * 3600)
        holds.count_down_holds(connection, clock.now(), 99.9)
        assert [row["owner"] for row in holds.open_holds(connection)] == ["ana"]
        holds.count_down_holds(connection, clock.now(), 0.2)
        assert holds.open_holds(connection) == []


def test_a_manual_count_replaces_the_one_before_and_the_longest_hold_shows(database: Database) -> None:
    now = ManualClock().now()
    with database.write() as connection:
        holds.place_hold(connection, now, "manual", "ana", "two", 50.0)
        holds.place_hold(connection, now, "manual", "bo", "three", 60.0)
        holds.place_hold(connection, now, "person", "cy", "until released", None)
        rows = holds.open_holds(connection)
        longest = holds.longest_hold(rows)
        assert [row["owner"] for row in rows] == ["cy", "bo"]
        assert longest is not None
        assert longest.owner == "cy"
        assert holds.end_holds(connection, now, "ana", kind="manual") == 1


def test_a_queue_is_paused_once(database: Database) -> None:
    now = ManualClock().now()
    with database.write() as connection:
        holds.pause_queue(connection, now, "high", "ana", "bad deploy")
        with pytest.raises(Conflict):
            holds.pause_queue(connection, now, "high", "bo", "again")
        assert [row["owner"] for row in holds.paused(connection)] == ["ana"]
        assert holds.resume_queue(connection, "high")
        assert not holds.resume_queue(connection, "high")


def test_an_order_is_answered_or_withdrawn_never_both(database: Database) -> None:
    now = ManualClock().now()
    with database.write() as connection:
        first, second = (place_order(connection, now, "apply", {}, "ana") for _ in range(2))
        assert {row["id"] for row in open_orders(connection)} == {first, second}
        assert answer_order(connection, first, {"applied": True})
        assert not withdraw_order(connection, first)
        assert withdraw_order(connection, second)
        assert not answer_order(connection, second, {})
        assert read_answer(connection, first) == {"applied": True}
        assert read_answer(connection, second) is None


def test_an_episode_opens_once_and_closes(database: Database) -> None:
    now = ManualClock().now()
    with database.write() as connection:
        assert sync_episodes(connection, now, {"freeze": ("ticket", "spent")}) == (["freeze"], [])
        assert sync_episodes(connection, now, {"freeze": ("ticket", "spent more")}) == ([], [])
        assert sync_episodes(connection, now, {}) == ([], ["freeze"])
        assert list_episodes(connection, open_only=True) == []
        assert [row["summary"] for row in list_episodes(connection, open_only=False)] == ["spent"]


def test_worker_hours_cost_what_was_the_price_when_they_ran(database: Database) -> None:
    """C1: no float touches money."""
    clock = ManualClock()
    with database.write() as connection:
        add_usage(connection, clock.now(), "default", 1_800, Decimal("0.10"))
        add_usage(connection, clock.now(), "default", 1_800, Decimal("0.10"))
        clock.advance(60)
        add_usage(connection, clock.now(), "default", 3_600, Decimal("0.30"))
        day_ago = clock.now() - timedelta(hours=24)
        assert spend_since(connection, day_ago) == Decimal("0.40")
        clock.advance(24 * 3600)
        assert spend_since(connection, clock.now() - timedelta(hours=24)) == 0


def record(action: str) -> dict[str, object]:
    return {"decision": {"action": action}}


def test_changes_are_kept_for_ninety_days_and_ticks_for_one(database: Database) -> None:
    """A11."""
    clock = ManualClock()
    with database.write() as connection:
        for is_change in (True, False):
            record_decision(
                connection, at=clock.now(), fleet="default", term=1, applied=False, is_change=is_change, record=record("scale_up")
            )
        asked = clock.now()
        assert decision_at(connection, asked) is not None
        assert decision_at(connection, asked - timedelta(seconds=1)) is None
        clock.jump(3 * 3600)
        assert purge_decisions(connection, clock.now() + timedelta(hours=21)) == 0, "a jump by hours purges nothing"
        assert purge_decisions(connection, clock.now() + timedelta(days=3)) == 1
        assert [row["is_change"] for row in list_decisions(connection, limit=9, changes=False)] == [True]
        assert purge_decisions(connection, clock.now() + timedelta(days=89)) == 0
        assert purge_decisions(connection, clock.now() + timedelta(days=92)) == 1
        assert count_actions(connection) == {"scale_up": 1}


def test_a_rollup_is_replaced_not_doubled(database: Database) -> None:
    now = ManualClock().now()
    with database.write() as connection:
        put_rollup(connection, "minute", now, {"n": 1})
        put_rollup(connection, "minute", now, {"n": 2})
        assert list_rollups(connection, "minute", now, now + timedelta(minutes=1)) == [(now, {"n": 2})]
        assert last_rollup(connection, "minute", now + timedelta(hours=1)) == now
        assert last_rollup(connection, "minute", now) is None
        purge_rollups(connection, now + timedelta(hours=47))
        assert last_rollup(connection, "minute", now + timedelta(hours=1)) == now
        purge_rollups(connection, now + timedelta(hours=49))
        assert last_rollup(connection, "minute", now + timedelta(hours=1)) is None


def test_everything_of_levqors_can_be_removed_and_nothing_else(database: Database) -> None:
    """P7: detach."""
    with database.write() as connection:
        connection.execute(text("CREATE TABLE theirs (x INTEGER)"))
    assert "decisions" in database.drop_everything()
    with database.write() as connection:
        connection.execute(text("SELECT count(*) FROM theirs"))
        connection.execute(text("DROP TABLE theirs"))
    database.migrate()


def test_what_has_been_closed_for_a_year_goes_and_nothing_younger(database: Database) -> None:
    """P5: everything is bounded."""
    now = ManualClock().now()
    with database.write() as connection:
        sync_episodes(connection, now, {"freeze": ("ticket", "spent")})
        sync_episodes(connection, now, {})
        number = begin_incident(connection, now, Cause("slo:1m", "errors", now, {}))
        begin_recovery(
            connection, now, number, Call("watchdog", is_automatic=True), (Step(StepName.FLUSH, StepStatus.PLANNED),), ("errors",)
        )
        record_change(connection, now, "ana", "hold")
        assert close_incident(connection, now, number)
        for days, left in ((365, 1), (367, 0)):
            later = now + timedelta(days=days)
            purge_episodes(connection, later)
            purge_incidents(connection, later)
            assert len(list_episodes(connection, open_only=False)) == left
            for table in (incidents, recoveries, recovery_steps):
                assert len(connection.execute(select(table)).all()) == left
        purge_changes(connection, now + timedelta(days=731))
        assert len(list_changes(connection, 9)) == 1
        purge_changes(connection, now + timedelta(days=733))
        assert list_changes(connection, 9) == []
