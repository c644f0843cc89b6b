"""Recovery over a real store, a real broker and both databases (spec I1-I8, W3-W5)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.conftest import Valkey
from tests.integration.responding import BREACH, Responding, RunningClock, StandinAgent, StandinReload, Witness
from tests.waiting import eventually

from levqor.domain.flags import INCIDENT_AUTORECOVER, NEW_QUEUE_ENABLED
from levqor.domain.fleet import FleetKind
from levqor.domain.incidents import Call
from levqor.monitors.incident_desk import IncidentDesk, IncidentDeskParts
from levqor.monitors.incident_response import ResponseRules
from levqor.monitors.slo_watchdog import Breach
from levqor.policies.recovery import RecoveryLimits
from levqor.policies.slo import Judgement, Standing
from levqor.store.database import Database
from levqor.store.holds import place_hold
from levqor.store.incidents import list_incidents, own_action_age, recoveries_of
from levqor.store.schema import alerts, metadata

PERSON = Call("ana")
QUICK = ResponseRules(
    limits=RecoveryLimits(cooldown_s=60.0, own_action_grace_s=20.0),
    settle_s=10.0,
    verify_s=40.0,
    quiet_s=30.0,
    each_worker_s=2.0,
    each_web_s=2.0,
)


@pytest.fixture
def place(database: Database, store_url: str, tmp_path: Path) -> Iterator[Responding]:
    place = Responding(database, store_url, tmp_path, RunningClock(), rules=QUICK)
    place.set_flag(INCIDENT_AUTORECOVER, True)
    place.store.set("test:dead", 4)
    place.settle()
    yield place
    place.response.close()


@pytest.fixture
def agent(place: Responding, store_url: str) -> Iterator[StandinAgent]:
    with StandinAgent(store_url, place.witness) as agent:
        yield agent


def rows(place: Responding) -> list[dict[str, Any]]:
    with place.database.read() as connection:
        return list_incidents(connection, 10)


def recoveries(place: Responding, incident_id: int) -> list[dict[str, Any]]:
    with place.database.read() as connection:
        return recoveries_of(connection, incident_id)


def told(place: Responding) -> list[str]:
    with place.database.read() as connection:
        return list(connection.execute(select(alerts.c.kind).order_by(alerts.c.id)).scalars())


def everything(place: Responding) -> dict[str, Any]:
    """All that could be changed: every row of every table but the lease's, and every key of the store but heartbeats."""
    found: dict[str, Any] = {}
    with place.database.read() as connection:
        for table in metadata.sorted_tables:
            if table.name != "leases":
                found[table.name] = sorted(map(str, connection.execute(select(table))))
    for key in sorted(map(str, place.store.keys("*"))):
        if "levqor:agent" not in key and "levqor:t:" not in key:
            found[key] = place.store.dump(key.removeprefix("b'").removesuffix("'"))
    return found


@pytest.mark.usefixtures("agent")
def test_the_watchdogs_call_flushes_restarts_and_says_what_it_measured(place: Responding, agent: StandinAgent) -> None:
    """I1, I2, I3, I5, I7, I8."""
    before = dict(agent.workers)
    answer = place.watchdog_calls()
    place.wait()
    assert place.witness.lines == ["flush recovery-1 4", "restart w0", "restart w1"]
    assert not set(before.values()) & set(agent.workers.values()), "other pids"
    (line,) = place.log_lines()
    assert (line["ok"], line["recovered"], line["incident_id"], line["actor"]) == (True, True, answer["incident_id"], "watchdog")
    flush, restart, rotate = line["steps"]
    assert (flush["status"], flush["after"]["moved"], flush["after"]["finished"]) == ("done", 4, 4)
    assert (restart["status"], restart["before"]["workers"], restart["after"]["replaced"]) == ("done", before, ["w0", "w1"])
    assert (rotate["status"], rotate["detail"]) == ("skipped", "NEW_QUEUE_ENABLED is false")
    (incident,) = rows(place)
    assert (incident["state"], incident["attempts"], incident["cause"]) == ("open", 1, BREACH.summary)
    assert told(place) == ["recovery"], "one alert per recovery"


def test_the_watchdogs_own_breach_is_understood(place: Responding, agent: StandinAgent) -> None:
    start = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
    found = Judgement(Standing.BREACHED, 1e-9, "12 of 60 requests failed")
    place.response.call_by_watchdog(Breach("1m", start, {"errors": found}))
    place.wait()
    (incident,) = rows(place)
    assert (incident["key"], incident["cause"]) == ("slo:1m", "12 of 60 requests failed")
    assert incident["evidence"]["began_at"] == "2026-03-01T11:59:00+00:00"
    assert incident["evidence"]["judgements"]["errors"]["p_value"] == 1e-9


@pytest.mark.usefixtures("agent")
def test_a_healthy_service_is_left_alone(place: Responding) -> None:
    """I1: `ok: true, recovered: false`."""
    place.recorder.announce("jobs")
    answer = place.response.recover(PERSON)
    assert answer is not None
    assert (answer["ok"], answer["recovered"], answer["incident_id"]) == (True, False, None)
    assert place.witness.lines == []
    assert rows(place) == []
    assert len(place.log_lines()) == 1


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("call", [PERSON, Call("watchdog", is_automatic=True, breach=BREACH)], ids=["person", "watchdog"])
def test_a_dry_run_changes_nothing_and_shows_the_plan_that_would_run(place: Responding, call: Call) -> None:
    """I2, I6: one log line, no incident, and the same plan as the real thing."""
    before = everything(place)
    answer = place.response.dry_run(call)
    assert everything(place) == before
    assert place.witness.lines == []
    assert (answer["ok"], answer["dry_run"], answer["incident_id"]) == (True, True, None)
    assert [line["dry_run"] for line in place.log_lines()] == [True]
    place.watchdog_calls()
    place.wait()
    (recovery,) = recoveries(place, rows(place)[0]["id"])
    assert recovery["plan"]["steps"] == answer["steps"]


def test_with_the_flag_off_it_is_recorded_and_told_and_nothing_is_touched(place: Responding, agent: StandinAgent) -> None:
    """W4."""
    place.set_flag(INCIDENT_AUTORECOVER, False)
    for _ in range(3):
        assert place.watchdog_calls()["refused"] == "autorecover_off"
    assert place.witness.lines == []
    (incident,) = rows(place)
    assert (incident["state"], incident["attempts"]) == ("escalated", 0)
    assert told(place) == ["escalation"], "once per incident"
    assert [line["refused"] for line in place.log_lines()] == ["autorecover_off"] * 3


@pytest.mark.usefixtures("agent")
def test_a_hold_stops_the_watchdog_and_not_a_person(place: Responding) -> None:
    """I6."""
    with place.database.write() as connection:
        place_hold(connection, place.clock.now(), "person", "ana", "migration", None)
    assert place.watchdog_calls()["refused"] == "held"
    answer = place.response.recover(replace(PERSON, breach=BREACH))
    assert answer is not None
    assert "recovery_id" in answer
    place.wait()


def test_a_hold_that_comes_in_the_midst_ends_the_steps_to_come(place: Responding, agent: StandinAgent) -> None:
    """F3: in effect within one tick."""
    agent.is_stubborn = True
    place.watchdog_calls()
    eventually(lambda: "restart w0" in place.witness.lines, what="the first restart")
    place.set_flag(NEW_QUEUE_ENABLED, True)
    place.set_flag(INCIDENT_AUTORECOVER, False)
    place.wait()
    steps = place.log_lines()[0]["steps"]
    assert steps[1]["status"] == "failed"
    assert place.witness.lines == ["flush recovery-1 4", "restart w0"], "never all workers: the first that does not come back ends it"


def test_one_recovery_at_a_time(place: Responding, agent: StandinAgent) -> None:
    """I6: binds a person too."""
    agent.is_stubborn = True
    place.watchdog_calls()
    eventually(lambda: "restart w0" in place.witness.lines, what="the first restart")
    assert place.watchdog_calls()["refused"] == "single_flight"
    answer = place.response.recover(PERSON)
    assert answer is not None
    assert answer["refused"] == "single_flight"
    place.wait()


@pytest.mark.usefixtures("agent")
def test_the_same_call_twice_acts_once(place: Responding) -> None:
    """L3: a call that was repeated after a crash of the asker."""
    call = replace(PERSON, breach=BREACH, token="key-1")
    first = place.response.recover(call)
    place.wait()
    done = list(place.witness.lines)
    second = place.response.recover(call)
    assert first is not None
    assert second is not None
    assert first["recovery_id"] == second["recovery_id"]
    place.wait()
    assert place.witness.lines == done


@pytest.mark.usefixtures("agent")
def test_the_cooldown_is_counted_on_the_leaders_clock_and_no_jump_ends_it(place: Responding) -> None:
    """W3, P1."""
    place.watchdog_calls()
    place.wait()
    place.clock.jump(86_400)
    place.pass_time(55)
    assert place.watchdog_calls()["refused"] == "cooldown"
    place.pass_time(6)
    assert "recovery_id" in place.watchdog_calls()
    place.wait()
    assert len(rows(place)) == 1, "a service that flaps has one incident"


@pytest.mark.usefixtures("agent")
def test_own_acts_are_no_errors_for_a_while(place: Responding) -> None:
    """A restart, a drain, and each step of a recovery are marked."""
    place.response.recover(replace(PERSON, breach=BREACH))
    place.wait()
    assert place.watchdog_calls()["refused"] == "own_action"
    place.pass_time(20)
    assert "recovery_id" in place.watchdog_calls()
    place.wait()


@pytest.mark.usefixtures("agent")
def test_a_service_that_came_back_closes_the_incident(place: Responding) -> None:
    """W5."""
    place.watchdog_calls()
    place.wait()
    place.health.now = Standing.MET
    place.pass_time(10)
    (incident,) = rows(place)
    assert [one["verified"] for one in recoveries(place, incident["id"])] == ["helped"]
    assert rows(place)[0]["state"] == "open"
    place.pass_time(35)
    assert rows(place)[0]["state"] == "closed"
    assert told(place) == ["recovery"]


@pytest.mark.usefixtures("agent")
def test_unknown_neither_closes_an_incident_nor_counts_as_quiet(place: Responding) -> None:
    """S3."""
    place.watchdog_calls()
    place.wait()
    place.health.now = Standing.MET
    place.pass_time(12)
    place.health.now = Standing.UNKNOWN
    place.pass_time(100)
    assert rows(place)[0]["state"] == "open"


@pytest.mark.usefixtures("agent")
def test_without_effect_twice_a_person_is_asked_once_and_it_disarms_until_rearmed(place: Responding) -> None:
    """W5 and the disarm."""
    for _ in range(2):
        assert "recovery_id" in place.watchdog_calls()
        place.wait()
        place.pass_time(65)
    (incident,) = rows(place)
    assert incident["state"] == "escalated"
    assert [one["verified"] for one in recoveries(place, incident["id"])] == ["no_effect", "no_effect"]
    assert place.watchdog_calls()["refused"] == "disarmed"
    assert told(place) == ["recovery", "escalation", "recovery"], "one escalation per incident"
    desk = IncidentDesk(IncidentDeskParts(place.response, place.database, place.clock, place.parts.log, lambda: None))
    assert desk.rearm("ana") == {"armed": True, "acknowledged": 2}
    assert "recovery_id" in place.watchdog_calls()
    place.wait()
    place.pass_time(65)
    assert place.watchdog_calls()["refused"] == "attempts", "three attempts per incident"


@pytest.mark.usefixtures("agent")
def test_an_escalated_incident_that_is_over_is_told(place: Responding) -> None:
    place.watchdog_calls()
    place.wait()
    place.pass_time(45)
    place.health.now = Standing.MET
    place.pass_time(40)
    assert rows(place)[0]["state"] == "closed"
    assert told(place) == ["recovery", "escalation", "resolved"]


def test_an_empty_plan_on_a_breach_acts_not_and_asks_a_person(database: Database, store_url: str, tmp_path: Path) -> None:
    """I1."""
    place = Responding(database, store_url, tmp_path, RunningClock(), rules=QUICK, kind=FleetKind.NONE)
    place.set_flag(INCIDENT_AUTORECOVER, True)
    place.settle()
    answer = place.watchdog_calls()
    assert (answer["ok"], answer["recovered"]) == (False, False)
    assert [step["status"] for step in answer["steps"]] == ["skipped"] * 3
    assert place.witness.lines == []
    assert rows(place)[0]["state"] == "escalated"
    assert told(place) == ["escalation"]


def test_with_the_store_down_nothing_is_restarted_and_one_alert_is_told(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    """I6: 409 for a person too; a dry run is never refused."""
    place = Responding(database, valkey.url, tmp_path, RunningClock(), rules=QUICK)
    place.set_flag(INCIDENT_AUTORECOVER, True)
    place.settle()
    valkey.stop()
    for _ in range(3):
        assert place.watchdog_calls()["refused"] == "store_down"
    answer = place.response.recover(PERSON)
    assert answer is not None
    assert answer["refused"] == "store_down"
    dry = place.response.dry_run(PERSON)
    assert (dry["ok"], dry["would_refuse"]["refused"]) == (True, "store_down")
    assert place.witness.lines == []
    assert told(place) == ["escalation"]


def test_a_store_that_goes_down_in_the_midst_fails_its_step_and_no_worker_is_restarted(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    """I3: a failed step says so."""
    place = Responding(database, valkey.url, tmp_path, RunningClock(), rules=QUICK)
    place.set_flag(INCIDENT_AUTORECOVER, True)
    place.settle()
    with StandinAgent(valkey.url, place.witness) as agent:
        agent.is_stubborn = True
        place.watchdog_calls()
        eventually(lambda: "restart w0" in place.witness.lines, what="the first restart")
    valkey.stop()
    place.wait()
    steps = {step["name"]: step for step in place.log_lines()[0]["steps"]}
    assert steps["restart_workers"]["status"] == "failed"
    assert place.witness.lines[-1] == "restart w0"
    assert place.log_lines()[0]["ok"] is False


def test_rotation_reloads_the_attached_app_and_replaces_our_web_processes(database: Database, store_url: str, tmp_path: Path) -> None:
    """I5."""
    reloads: list[StandinReload] = []

    def with_reload(parts: Any) -> Any:
        reloads.append(StandinReload(place_witness))
        return replace(parts, reload=reloads[0])

    place_witness = Witness(tmp_path / "reloads")
    place = Responding(database, store_url, tmp_path, RunningClock(), rules=QUICK, wrap=with_reload)
    place.set_flag(NEW_QUEUE_ENABLED, True)
    place.settle()
    with StandinAgent(store_url, place.witness) as agent:
        before = dict(agent.web)
        place.response.recover(replace(PERSON, breach=BREACH))
        place.wait()
        rotate = place.log_lines()[0]["steps"][2]
        assert rotate["status"] == "done"
        assert rotate["after"]["app"] == "reloaded"
        assert agent.web != before
    assert place_witness.lines == ["reload"]


def test_timers_stand_still_without_a_leader(place: Responding) -> None:
    """P1: a successor credits nothing for the gap."""
    with place.database.read() as connection:
        before = own_action_age(connection)
    place.clock.advance(3_600)
    place.turn()
    with place.database.read() as connection:
        after = own_action_age(connection)
    assert before is not None
    assert after is not None
    assert after - before <= 11
