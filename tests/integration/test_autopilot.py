"""The loop over a real store, a real broker and both databases: who acts, when, and what is written down."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.clock import ManualClock
from tests.conftest import Valkey

from levqor.client.flush import Flusher, connect
from levqor.client.recorder import Recorder
from levqor.domain.costs import CostRules
from levqor.domain.errors import DependencyDown, GuardRefused, NotFound, NotTheLeader, UsageError
from levqor.domain.fleet import FleetKind, Worker, WorkerState
from levqor.engines.rq import RqEngine
from levqor.fleets.agent import AgentFleet, AgentSeat, Heartbeat
from levqor.monitors.autoscale import Autopilot, Parts
from levqor.monitors.dead_letters import Flush
from levqor.monitors.incident_health import SloHealth
from levqor.monitors.incident_log import IncidentLog
from levqor.monitors.incident_response import IncidentResponse, ResponseParts
from levqor.monitors.operations import Operations, OperationsParts
from levqor.monitors.reading import Reader, Scope
from levqor.monitors.records import replay
from levqor.monitors.rollups import RollUps
from levqor.monitors.slo_watchdog import Breach, Objectives, Watchdog
from levqor.monitors.spend_signals import SpendSignals
from levqor.policies.scaling import ScalingRules
from levqor.store.database import Database
from levqor.store.decisions import list_decisions
from levqor.store.flags import DEFAULT_FLEET as FLEET
from levqor.store.flags import FlagsFile, write_flag
from levqor.store.holds import place_hold
from levqor.store.leases import TTL_S, Lease, LeaseWatch
from levqor.store.rollups import list_rollups
from levqor.store.telemetry import Telemetry

TICK_S = 2.0


class Plane:
    """One control plane's monitors, its clock in the test's hand."""

    def __init__(self, database: Database, store_url: str, folder: Path, name: str = "one", kind: FleetKind = FleetKind.AGENT) -> None:
        self.clock, self.database, self.name = ManualClock(), database, name
        self.store = connect(store_url)
        self.engine = RqEngine(store_url, clock=self.clock)
        self.fleet = AgentFleet(self.store, FLEET)
        self.flags_path = folder / "flags.json"
        self.flags_file = FlagsFile(self.flags_path, 1, 4)
        self.rules = ScalingRules(down_quiet_s=60.0)
        scope = Scope(FLEET, kind, ("default",), slow_ms=40.0, expects_http=True)
        money = SpendSignals(CostRules(hourly_cost=Decimal("1.5")))
        self.reader = Reader(scope, self.engine, Telemetry(self.store), self.fleet, database, self.clock, money)
        self.lease = Lease(database, self.clock, name)
        self.calls: list[Breach] = []
        telemetry = Telemetry(self.store)
        self.watchdog = Watchdog(Objectives(), telemetry, database, self.lease, self.clock, self.calls.append)
        self.incidents = IncidentResponse(
            ResponseParts(
                reader=self.reader,
                fleet=self.fleet,
                flush=Flush(self.engine, ("default",), self.clock),
                reload=None,
                health=SloHealth(self.watchdog, telemetry),
                database=database,
                lease=self.lease,
                flags_file=self.flags_file,
                clock=self.clock,
                log=IncidentLog(folder),
            )
        )
        self.autopilot = Autopilot(self.parts())
        self.recorder = Recorder()
        self.recorder.announce("http")
        self.flusher = Flusher(self.recorder, store_url, f"web-{name}")
        self.operations = Operations(
            OperationsParts(
                reader=self.reader,
                fleet=self.fleet,
                database=database,
                flags_file=self.flags_file,
                rules=self.rules,
                clock=self.clock,
                watchdog=self.watchdog,
                manual_hold_s=3600,
                configuration={},
                lease_watch=LeaseWatch(database, self.clock, is_dead=lambda _holder: False),
                wake=lambda: None,
            )
        )

    def parts(self) -> Parts:
        return Parts(
            reader=self.reader,
            fleet=self.fleet,
            database=self.database,
            lease=self.lease,
            flags_file=self.flags_file,
            rules=self.rules,
            tick_s=TICK_S,
            hourly_cost=Decimal("1.5"),
            clock=self.clock,
            rollups=RollUps(Telemetry(self.store)),
            watchdog=self.watchdog,
            incidents=self.incidents,
        )

    def enable(self) -> None:
        with self.database.write() as connection:
            write_flag(connection, self.clock.now(), "AUTOSCALE_ENABLED", True, "ana")

    def heard(self, running: int = 2) -> None:
        """An agent says that so many workers are idle, and the web that it had no request."""
        workers = tuple(Worker(f"w{n}", "here", n + 1, WorkerState.IDLE, queues=("default",)) for n in range(running))
        AgentSeat(self.store, "agent-1", FLEET).beat(Heartbeat("agent-1", workers))
        self.flusher.flush_once()

    def enqueue(self, jobs: int) -> None:
        for number in range(jobs):
            self.engine.submit(f"{self.name}-{number}-{self.clock.monotonic():.0f}", "sleep", {}, "default", 1, [1.0], 60, 60)

    def ticks(self, count: int, running: int = 2) -> None:
        for _ in range(count):
            self.clock.advance(TICK_S)
            self.heard(running)
            self.autopilot.renew()
            self.autopilot.tick()

    def target(self) -> int:
        return int(self.operations.flags()["flags"]["WORKER_COUNT"]["value"])

    def published(self) -> tuple[int, int]:
        target, term = self.store.hmget(f"levqor:target:{FLEET}", "target", "term")
        assert target is not None
        assert term is not None
        return int(target), int(term)


@pytest.fixture
def plane(database: Database, store_url: str, tmp_path: Path) -> Iterator[Plane]:
    plane = Plane(database, store_url, tmp_path)
    yield plane
    plane.operations.close()  # a reading behind would meet a database that is being dropped


def test_observing_it_decides_and_records_and_changes_nothing(plane: Plane) -> None:
    """F1: with the flags off Levqor observes and recommends."""
    plane.enqueue(11)
    plane.ticks(1)
    last = plane.operations.decisions(1)[0]
    assert (last["action"], last["current"], last["target"], last["applied"]) == ("scale_up", 2, 3, False)
    assert "AUTOSCALE_ENABLED" in last["why_not"]
    assert plane.target() == 2
    assert plane.published() == (2, 1)
    assert plane.operations.status()["mode"] == "observe"


def test_a_spike_moves_the_target_the_file_and_the_agents(plane: Plane) -> None:
    """A2, A5, F1."""
    plane.enable()
    plane.enqueue(11)
    plane.ticks(1)
    assert plane.target() == 3
    assert plane.published() == (3, 1)
    assert json.loads(plane.flags_path.read_text(encoding="utf-8"))["WORKER_COUNT"] == 3
    assert plane.operations.action_counts() == {"scale_up": 1}
    plane.ticks(6, running=4)
    assert plane.target() == 4, "never above the maximum"


def test_calm_brings_the_fleet_back_step_by_step(plane: Plane) -> None:
    """A3: any step starts the time again."""
    plane.enable()
    with plane.database.write() as connection:
        write_flag(connection, plane.clock.now(), "WORKER_COUNT", 3, "ana")
    plane.ticks(1, running=3)
    plane.ticks(29, running=3)
    assert plane.target() == 3
    plane.ticks(1, running=3)
    assert plane.target() == 2
    plane.ticks(29)
    assert plane.target() == 2
    plane.ticks(1)
    assert plane.target() == 1
    plane.ticks(40, running=1)
    assert plane.target() == 1


def test_a_successor_goes_on_with_the_timer_and_credits_nothing_for_the_gap(database: Database, store_url: str, tmp_path: Path) -> None:
    """P1."""
    first = Plane(database, store_url, tmp_path, "first")
    first.ticks(21)
    assert first.operations.dryrun({})["next"].endswith("20 s more of calm")
    second = Plane(database, store_url, tmp_path, "second")
    second.autopilot.renew()
    second.clock.advance(TTL_S)
    second.heard()
    second.autopilot.renew()
    assert second.lease.term == 2
    second.autopilot.tick()
    assert second.operations.decision_at(second.clock.now()) is not None
    assert second.operations.dryrun({})["next"].endswith("20 s more of calm")
    second.ticks(1)
    assert second.operations.dryrun({})["next"].endswith("18 s more of calm")


def test_a_wall_clock_that_jumps_moves_no_timer(plane: Plane) -> None:
    """P1: both ways."""
    plane.ticks(11)
    for jump in (3 * 3600, -6 * 3600):
        plane.clock.jump(jump)
        before = plane.operations.dryrun({})["next"]
        plane.ticks(1)
        assert before != plane.operations.dryrun({})["next"]
        assert plane.lease.is_trusted
    assert plane.operations.dryrun({})["next"].endswith("36 s more of calm")
    assert plane.target() == 2


def test_two_autopilots_one_acts_and_the_one_that_slept_changes_nothing(database: Database, store_url: str, tmp_path: Path) -> None:
    """P2."""
    sleeper, other = Plane(database, store_url, tmp_path, "sleeper"), Plane(database, store_url, tmp_path, "other")
    sleeper.enable()
    sleeper.ticks(1)
    other.ticks(1)
    assert (sleeper.lease.is_trusted, other.lease.is_trusted) == (True, False)
    other.clock.advance(TTL_S)
    other.heard()
    other.autopilot.renew()
    other.autopilot.tick()
    assert other.published() == (2, 2)
    other.enqueue(11)
    with pytest.raises(NotTheLeader):
        sleeper.autopilot.tick()
    assert sleeper.target() == 2
    with pytest.raises(NotTheLeader):
        sleeper.fleet.publish(4, 1)
    assert sleeper.published() == (2, 2)


def test_a_hold_stops_the_autopilot_until_it_ends(plane: Plane) -> None:
    plane.enable()
    plane.operations.hold("ana", "migration", 10.0)
    plane.enqueue(11)
    plane.ticks(4)
    last = plane.operations.decisions(1)[0]
    assert (last["action"], last["reasons"][0]["code"]) == ("hold", "held")
    assert plane.operations.status()["mode"] == "held"
    assert plane.target() == 2
    plane.ticks(2)
    assert plane.operations.status()["mode"] == "act"
    assert plane.target() == 3


def test_a_manual_count_holds_and_auto_gives_it_back(plane: Plane) -> None:
    """L2."""
    plane.enable()
    plane.ticks(1)
    answer = plane.operations.scale(None, 2, "ana", "launch day", None)
    assert (answer["before"], answer["target"], answer["owner"], answer["remaining_s"]) == (2, 4, "ana", 3600)
    plane.ticks(40, running=4)
    assert plane.target() == 4
    assert plane.operations.scale_auto("ana")["ended"] == 1
    plane.ticks(1, running=4)
    assert plane.target() == 3


def test_a_count_set_by_hand_starts_the_calm_anew(plane: Plane) -> None:
    """A3: any step starts the time again, whoever made it."""
    plane.enable()
    plane.ticks(25)
    plane.operations.scale(3, None, "ana", "", 1.0)
    plane.ticks(25, running=3)
    assert plane.target() == 3
    plane.ticks(6, running=3)
    assert plane.target() == 2


@pytest.mark.parametrize(("count", "delta"), [(5, None), (0, None), (None, -2), (None, None), (2, 1)])
def test_a_manual_count_out_of_bounds_is_refused(plane: Plane, count: int | None, delta: int | None) -> None:
    plane.ticks(1)
    with pytest.raises(UsageError):
        plane.operations.scale(count, delta, "ana", "", None)
    assert plane.target() == 2
    assert plane.operations.holds() == []


def test_rollback_is_in_effect_within_one_tick(plane: Plane) -> None:
    """F3: by hand in the file, no restart."""
    plane.enable()
    plane.enqueue(11)
    plane.ticks(1)
    assert plane.target() == 3
    values = json.loads(plane.flags_path.read_text(encoding="utf-8"))
    plane.flags_path.write_text(json.dumps({**values, "AUTOSCALE_ENABLED": False}), encoding="utf-8")
    plane.ticks(3, running=3)
    assert plane.target() == 3
    assert plane.operations.status()["mode"] == "observe"


def test_a_broken_flags_file_stops_everything_automatic_and_is_shown(plane: Plane) -> None:
    """F1."""
    plane.enable()
    plane.ticks(1)
    plane.flags_path.write_text('{"WORKER_COUNT": ', encoding="utf-8")
    plane.enqueue(11)
    plane.ticks(10)
    assert plane.target() == 2
    status = plane.operations.status()
    assert (status["flags"]["state"], status["mode"]) == ("broken", "held")
    assert "flags" in [row["key"] for row in status["episodes"]]
    plane.flags_path.write_text('{"WORKER_COUNT": 3, "AUTOSCALE_ENABLED": true}', encoding="utf-8")
    plane.ticks(1, running=3)
    assert plane.target() == 4, "mended: the count typed there is the new target, and the queue is still deep"


def test_a_stopped_store_makes_unknown_which_steps_nothing_down(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    """S3, A6: the dry run names what is unknown."""
    plane = Plane(database, valkey.url, tmp_path)
    plane.enable()
    plane.ticks(35)
    assert plane.target() == 1
    with database.write() as connection:
        write_flag(connection, plane.clock.now(), "WORKER_COUNT", 3, "ana")
    valkey.kill()
    for _ in range(40):
        plane.clock.advance(TICK_S)
        plane.autopilot.renew()
        plane.autopilot.tick()
    assert plane.target() == 3
    answer = plane.operations.dryrun({})
    assert (answer["action"], answer["reasons"][0]["code"]) == ("hold", "unknown")
    assert {"queue_depth", "p95_ms"} <= set(plane.operations.status()["unknown"])
    assert [row["key"] for row in plane.operations.episodes(open_only=False) if row["severity"] == "page"][:1] == ["store"]
    assert [row["key"] for row in plane.operations.episodes()] == ["store"], "one outage is one episode, whatever it hides"
    valkey.start()


def test_an_emptied_store_has_the_target_again_after_a_tick(plane: Plane) -> None:
    """P6: telemetry may be lost at any time."""
    plane.ticks(1)
    plane.store.flushall()
    plane.ticks(1)
    assert plane.published() == (2, 1)


def test_every_decision_replays_to_the_same_answer(plane: Plane) -> None:
    """A11."""
    plane.enable()
    plane.ticks(3)
    plane.enqueue(15)
    plane.ticks(4, running=3)
    plane.operations.hold("ana", "look", None)
    plane.ticks(2, running=3)
    with plane.database.read() as connection:
        rows = list_decisions(connection, limit=100, changes=False)
    assert len(rows) == 9
    for row in rows:
        decision = replay(row).as_dict()
        assert {name: value for name, value in decision.items() if name not in ("inputs", "guard")} == row["decision"]


def test_changes_of_action_are_told_apart_from_ticks(plane: Plane) -> None:
    """A11: why did it (not) scale at 03:12?"""
    plane.ticks(5)
    plane.enqueue(11)
    plane.ticks(5)
    assert [row["action"] for row in plane.operations.decisions()] == ["scale_up", "hold"]
    assert len(plane.operations.decisions(limit=100, changes=False)) == 10


def test_a_dry_run_moves_no_timer_and_writes_nothing(plane: Plane) -> None:
    """A6."""
    plane.ticks(3)

    def state() -> tuple[object, ...]:
        return plane.operations.decisions(limit=100, changes=False), plane.operations.flags(), plane.store.dbsize()

    before = state()
    for _ in range(5):
        plane.clock.advance(1.0)
        plane.operations.dryrun({"queue_depth": 99.0})
    assert state() == before


@pytest.mark.parametrize(
    ("what_if", "action"),
    [
        ({"queue_depth": 10.0}, "hold"),
        ({"queue_depth": 11.0}, "scale_up"),
        ({"p95_ms": 150.0}, "hold"),
        ({"p95_ms": 151.0}, "scale_up"),
        ({"calm_for_s": 59.0}, "hold"),
        ({"calm_for_s": 60.0}, "scale_down"),
        ({"calm_for_s": 60.0, "p95_ms": 40.0}, "hold"),
        ({"calm_for_s": 60.0, "queue_depth": 1.0}, "hold"),
    ],
)
def test_what_if(plane: Plane, what_if: dict[str, float], action: str) -> None:
    """A6: a given value counts as measured, with evidence enough."""
    plane.ticks(1)
    assert plane.operations.dryrun(what_if)["action"] == action


def test_what_if_refuses_a_name_that_it_does_not_know(plane: Plane) -> None:
    with pytest.raises(UsageError, match="depth"):
        plane.operations.dryrun({"depth": 1.0})


def test_spend_is_worker_hours_at_their_price(plane: Plane) -> None:
    """C1 before the ledger: two workers for a minute at 1.5 an hour."""
    plane.ticks(31)
    spend = plane.reader.read().signals.spend_last_24h
    assert spend.value == pytest.approx(2 * 60 / 3600 * 1.5)


def test_a_fleet_of_the_teams_own_gets_advice_only(database: Database, store_url: str, tmp_path: Path) -> None:
    """A7: no fleet that can be scaled."""
    plane = Plane(database, store_url, tmp_path, kind=FleetKind.NONE)
    plane.enable()
    plane.enqueue(11)
    plane.ticks(1)
    last = plane.operations.decisions(1)[0]
    assert (last["action"], last["applied"]) == ("scale_up", False)
    assert "none" in last["why_not"]
    acts: list[Callable[[], object]] = [
        lambda: plane.operations.scale(3, None, "ana", "", None),
        lambda: plane.operations.restart(None, "ana"),
        lambda: plane.operations.pause("default", "ana", "why"),
    ]
    for act in acts:
        with pytest.raises(GuardRefused):
            act()


def test_apply_without_a_leader_is_refused_and_taken_back(plane: Plane) -> None:
    """A7: 503 when no leader takes it."""
    plane.operations._closing.wait = lambda timeout=None: plane.clock.advance(timeout or 0) is not None  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(DependencyDown, match="autopilot"):
        plane.operations.apply(False, "ana")
    plane.enqueue(11)
    plane.enable()
    plane.ticks(1)
    plane.autopilot.answer_orders()
    assert plane.target() == 3, "the tick's own step; the order that was withdrawn is not carried out"


def test_apply_has_the_leader_decide_and_waits_for_the_workers(plane: Plane) -> None:
    """A7, with a real leader's turn between the asking and the answer."""
    plane.enable()
    plane.ticks(1)
    plane.enqueue(11)

    def leader_works(timeout: float | None = None) -> bool:
        plane.clock.advance(timeout or 0)
        plane.autopilot.answer_orders()
        plane.heard(running=plane.target())
        return False

    plane.operations._closing.wait = leader_works  # type: ignore[method-assign]
    answer = plane.operations.apply(False, "ana")
    assert (answer["applied"], answer["current"], answer["target"]) == (True, 2, 3)
    assert (answer["workers_before"], answer["workers_after"]) == (2, 3)
    assert answer["actor"] == "ana"
    dry = plane.operations.apply(True, "ana")
    assert (dry["applied"], dry["why_not"]) == (False, "dry run")


def test_paused_queues_are_no_pressure_and_reach_the_workers(plane: Plane) -> None:
    plane.enable()
    plane.ticks(1)
    plane.operations.pause("default", "ana", "bad deploy")
    assert plane.store.smembers("levqor:paused") == {b"default"}
    plane.enqueue(30)
    plane.ticks(2)
    assert plane.target() == 2
    with pytest.raises(NotFound):
        plane.operations.pause("nope", "ana", "")
    plane.operations.resume("default", "ana")
    plane.ticks(1)
    assert plane.target() == 3
    assert plane.store.smembers("levqor:paused") == set()


def test_a_queue_that_nobody_serves_is_said_in_words(plane: Plane) -> None:
    """L2: with the command that mends it."""
    plane.enqueue(3)
    plane.ticks(9)
    advice = plane.operations.queue_health()["advice"]
    assert "3 jobs wait in queue 'default' and no worker serves it" in advice[0]
    assert "levqor" in advice[0]
    assert "unserved:default" in [row["key"] for row in plane.operations.episodes()]


def test_minutes_are_rolled_up_once_and_merge_into_hours(plane: Plane) -> None:
    """S2, roll-ups: counts merge exactly."""
    seconds, _micros = plane.store.time()
    plane.clock.jump(seconds - plane.clock.now().timestamp())
    for ms in (10.0, 20.0, 250.0):
        plane.recorder.observe(("http", "service", "GET", "/x"), ms, failed=ms > 100)
    plane.ticks(1)
    start = plane.clock.now()
    plane.clock.advance(120.0)
    plane.autopilot.renew()
    plane.lease.attempt()
    plane.autopilot.roll_up()
    plane.autopilot.roll_up()
    with plane.database.read() as connection:
        minutes = list_rollups(connection, "minute", start.replace(year=2000), start.replace(year=2100))
        hours = list_rollups(connection, "hour", start.replace(year=2000), start.replace(year=2100))
    assert sum(data["http"]["total"] for _at, data in minutes) == 3
    assert sum(data["http"]["failed"] for _at, data in hours) == 1
    assert sum(data["minutes"] for _at, data in hours) == len(minutes)


def test_a_hold_placed_between_reading_and_writing_still_holds(plane: Plane) -> None:
    """The hold is read in the transaction that commits the step."""
    plane.enable()
    plane.ticks(1)
    plane.enqueue(11)
    look = plane.reader.look()
    with plane.database.write() as connection:
        place_hold(connection, plane.clock.now(), "person", "ana", "stop", None)
    plane.autopilot._parts = replace(plane.parts(), reader=_Seen(plane.reader, look))  # type: ignore[arg-type]
    plane.autopilot.tick()
    assert plane.target() == 2


class _Seen:
    """A reader that looked a moment ago."""

    def __init__(self, reader: Reader, look: object) -> None:
        self._reader, self._look = reader, look
        self.assemble = reader.assemble

    def look(self) -> object:
        return self._look
