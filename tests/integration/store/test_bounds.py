"""Every table has something that keeps it from growing for ever (spec P5)."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Date, Float, Integer, LargeBinary, String, Table, Text, delete, func, insert, select, text

from levqor.bootstrap.database import migrate
from levqor.bootstrap.plane import ControlPlane, control_plane
from levqor.settings import load
from levqor.store import database as store_database
from levqor.store import schema
from levqor.store.schema import metadata

LONG_AGO = datetime(2019, 1, 1, tzinfo=UTC)

PURGED_BY_CARE = {
    "audit",
    "budget_alerts",
    "decisions",
    "deploys",
    "episodes",
    "forecasts",
    "holds",
    "imports",
    "incidents",
    "ledger",
    "orders",
    "promises",
    "recoveries",
    "recovery_steps",
    "rollups",
    "schedule_runs",
    "sessions",
    "slo_checks",
    "verifications",
    "work_minutes",
    "worker_usage",
}
"""The autopilot's `care` and the purges that `bootstrap` hands it drop what is old."""

BOUNDED_OTHERWISE = {
    "action_totals": "a row for each action",
    "activity": "a row for each user and day: the figures themselves; `levqor users forget` unlinks a person",
    "activity_days": "a row a day",
    "alert_deliveries": "goes with its alert",
    "alerts": "purge_alerts of the courier, which also knows what is on its way",
    "analytics_aggregates": "a row a day",
    "dead_letter_notes": "nothing is written to it",
    "event_generations": "purge_event_ids, a generation at a time",
    "event_ids": "purge_event_ids, a generation at a time",
    "flags": "a row for each flag",
    "idempotency": "each claim drops what is older than two days",
    "installation": "a row for each setting of the installation",
    "leases": "a row for each lease",
    "memories": "a row for each fleet and rule",
    "paused_queues": "a row for each paused queue",
    "schedule_jobs": "a row for each job",
    "slo_streaks": "a row for each series",
    "spend_sources": "a row for each source",
    "summaries": "a row for each day and week that was told",
    "timers": "a row for each timer",
    "users": "a row for each user",
}


def test_every_table_is_in_one_of_the_lists() -> None:
    """A new table belongs into one of them, with a purge or a reason."""
    names = {table.name for table in metadata.tables.values()}
    assert not PURGED_BY_CARE & set(BOUNDED_OTHERWISE)
    assert names == PURGED_BY_CARE | set(BOUNDED_OTHERWISE)


@pytest.fixture
def plane(tmp_path: Path) -> Any:
    configuration = load(
        {"redis_url": "redis://127.0.0.1:1/0"}, {"LEVQOR_DATA": str(tmp_path), "LEVQOR_FLAGS": str(tmp_path / "flags.json")}
    )
    migrate(configuration)
    made = control_plane(configuration, with_autopilot=True)
    yield made
    made.database.close()


def old_value(column: Column[Any]) -> Any:
    """Something of the column's type; a time is long ago."""
    kinds: dict[type, Any] = {
        schema.UtcDateTime: LONG_AGO,
        schema.DecimalText: None,
        Date: date(2019, 1, 1),
        Boolean: False,
        Float: 0.0,
        Integer: 1,
        LargeBinary: b"x",
        String: "x",
        Text: "x",
    }
    return next((value for kind, value in kinds.items() if isinstance(column.type, kind)), {})


def old_row(table: Table) -> dict[str, Any]:
    from decimal import Decimal

    row = {column.name: old_value(column) for column in table.columns}
    known: dict[str, dict[str, Any]] = {
        "ledger": {"amount": Decimal(1)},
        "rollups": {"resolution": "day"},
        "worker_usage": {"hourly_cost": "0"},
    }
    return {**row, **known.get(table.name, {})}


@pytest.mark.parametrize("name", sorted(PURGED_BY_CARE))
def test_care_drops_what_is_long_ago(plane: ControlPlane, name: str) -> None:
    autopilot = plane.autopilot
    assert autopilot is not None
    tables = {table.name: table for table in metadata.tables.values()}
    needed = {"recoveries": ["incidents"], "recovery_steps": ["incidents", "recoveries"]}.get(name, [])
    with plane.database.write() as connection:
        for one in [*needed, name]:
            connection.execute(delete(tables[one]))
            connection.execute(insert(tables[one]).values(**old_row(tables[one])))
    autopilot.renew()
    autopilot.care()
    with plane.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables[name])).scalar_one() == 0


def test_room_that_purges_free_is_given_back_bit_by_bit(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_database, "FREE_PAGES_MIN", 100)
    monkeypatch.setattr(store_database, "FREE_PAGES_AT_ONCE", 150)
    with plane.database.write() as connection:
        connection.execute(text("CREATE TABLE ballast (x BLOB)"))
        connection.execute(text("INSERT INTO ballast SELECT zeroblob(4000 * 200)"))
        connection.execute(text("DROP TABLE ballast"))
    before = pages(plane)
    assert plane.database.give_back_room() == 150
    assert plane.database.give_back_room() == 0  # what is left is too little to bother
    assert before - pages(plane) >= 150


def pages(plane: ControlPlane) -> int:
    with plane.database.read() as connection:
        return int(connection.execute(text("PRAGMA page_count")).scalar_one())
