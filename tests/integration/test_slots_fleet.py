"""The `slots` fleet: a process manager follows the target, slot by slot (spec A7, A8, P2, P3, P7, A12)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from tests.clock import ManualClock
from tests.conftest import Valkey
from tests.integration.slots_stage import START_TIMEOUT_S, Stage
from tests.waiting import eventually

from levqor.domain.errors import NotFound, NotTheLeader
from levqor.domain.fleet import FleetKind, WorkerState
from levqor.domain.incidents import Step, StepName, StepStatus
from levqor.domain.slots import ListedSlot, SlotState
from levqor.fleets.agent import FleetReport
from levqor.fleets.slots import AGE_MAX_S, LOOK_S, LOOK_WHILE_MOVING_S, ORDER_TRUSTED_S
from levqor.fleets.slots_by_number import CHANGED_AFTER_S
from levqor.monitors.incident_steps import Going, RestartAct
from levqor.monitors.operations import Operations, OperationsParts
from levqor.monitors.reading import Reader, Scope
from levqor.store.database import Database, database_url
from levqor.store.flags import FlagsFile
from levqor.store.leases import TTL_S
from levqor.store.memories import names_of_memories, read_memory, write_memory
from levqor.store.schema import leases, memories
from levqor.store.telemetry import Telemetry


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One for all tests of this file: a migration each would take longer than they do."""
    opened = Database(database_url(None, tmp_path_factory.mktemp("slots")))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def stage(sqlite: Database, shared_valkey: Valkey) -> Iterator[Stage]:
    with shared_valkey.client as client, sqlite.write() as connection:
        client.flushall()
        connection.execute(delete(memories))
        connection.execute(delete(leases))
    stage = Stage(sqlite, client)
    yield stage
    stage.close()


def failed(stage: Stage) -> FleetReport:
    """What is reported once the command has ended; no time passes meanwhile."""
    eventually(lambda: stage.turns(1, every_s=0.0).problems, what="a problem")
    return stage.fleet.report()


# A7: the target becomes workers


def test_the_lowest_free_slots_are_started_and_counted_once_the_engine_lists_them(stage: Stage) -> None:
    stage.engine.hidden = {1, 2}
    stage.turns(2)
    report = stage.turns(2)
    assert (stage.up, report.running, report.starting) == ([1, 2], 0, 2)
    stage.engine.hidden = set()
    report = stage.turns(2)
    assert (report.running, report.starting, report.target_seen, report.problems) == (2, 0, 2, ())
    assert [worker.state for worker in report.workers] == [WorkerState.IDLE] * 2


def test_a_gap_is_filled_before_a_higher_slot(stage: Stage) -> None:
    stage.settle(3)
    stage.engine.jobs = {1: "a", 3: "b"}
    stage.turns(2)
    stage.manager.end(2)
    stage.turns(3, times=2)
    assert stage.manager.take_commands() == ["stop 2", "start 2"]


def test_one_that_is_told_twice_is_stopped_once(stage: Stage) -> None:
    """RQ takes a second SIGTERM for an order to end its job at once."""
    stage.settle(3)
    stage.engine.jobs = {1: "a", 2: "b", 3: "c"}
    stage.turns(1, times=6)
    assert len(stage.manager.take_commands()) == 2
    stage.turns(2, times=3)
    stage.turns(1, times=3)
    assert stage.manager.take_commands() == ["start 4", "stop 4"], "the two that drain are replaced, not called back or told again"


# A8: the idlest goes


def test_the_longest_idle_goes_first_and_a_busy_one_only_where_none_is_idle(stage: Stage) -> None:
    stage.settle(3)
    stage.engine.jobs = {1: "a", 3: "c"}
    stage.turns(3)
    stage.turns(2)
    assert stage.manager.take_commands() == ["stop 2"]
    stage.engine.jobs[3] = "d"  # a younger job than slot 1's
    stage.turns(2)
    stage.turns(1)
    assert stage.manager.take_commands() == ["stop 3"]
    assert stage.turns(1).draining == 2


def test_what_the_engine_does_not_tell_is_never_stopped_and_it_says_why(stage: Stage) -> None:
    stage.settle(2)
    stage.engine.is_down = True
    report = stage.turns(1, times=3)
    assert stage.manager.take_commands() == []
    assert report.running == 2, "they run: that much is known"
    assert "not known" in (report.why_not or "")
    stage.engine.is_down = False
    stage.turns(1)
    assert stage.manager.take_commands() == ["stop 2"]


def test_a_worker_that_the_engine_does_not_list_is_told_and_left(stage: Stage) -> None:
    stage.settle(2)
    stage.engine.hidden = {2}
    report = stage.turns(2, times=2 + int(START_TIMEOUT_S / 2))
    assert "slot 2 runs as process" in report.problems[0]
    stage.turns(1)
    assert stage.manager.take_commands() == ["stop 1"], "the one that is known to be idle"


def test_growing_waits_for_a_slot_that_still_finishes_its_job(stage: Stage) -> None:
    stage.settle(4)
    stage.turns(3)
    assert stage.manager.take_commands() == ["stop 4"]
    report = stage.turns(4, times=2)
    assert (stage.manager.take_commands(), "slot 4 must finish" in (report.why_not or "")) == ([], True)
    stage.manager.end(4)
    stage.turns(4)
    assert stage.manager.take_commands() == ["start 4"]


# S3: unknown is not zero


def test_a_list_that_cannot_be_had_is_unknown_and_nothing_is_done(stage: Stage) -> None:
    stage.settle(2)
    stage.manager.problem = "`list` did not end within 10 s and was ended"
    report = stage.turns(4, times=3)
    assert (report.running, report.problems, stage.manager.take_commands()) == (None, (stage.manager.problem,), [])
    stage.manager.problem = None
    assert stage.turns(2).running == 2


def test_a_list_that_fails_is_not_asked_for_in_haste(stage: Stage) -> None:
    """P5: also while a target waits to be followed, and while a slot was on its way when it was seen last."""
    stage.engine.hidden = {1}
    stage.turns(1, times=2)
    assert stage.fleet.pause_s == LOOK_WHILE_MOVING_S
    stage.manager.problem = "`list` ended with exit code 1"
    stage.turns(2)
    assert stage.fleet.pause_s == LOOK_S
    stage.manager.problem = None
    stage.turns(2)
    assert stage.fleet.pause_s == LOOK_WHILE_MOVING_S


def test_a_look_that_is_too_old_says_nothing(stage: Stage) -> None:
    stage.settle(2)
    stage.clock.advance(AGE_MAX_S - 2.0)
    assert stage.fleet.report().running == 2
    stage.clock.advance(0.1)
    assert stage.fleet.report().running is None


# Commands that fail


def test_a_start_that_fails_is_told_without_its_secret_and_tried_again_later(stage: Stage) -> None:
    stage.manager.argv = ("sh", "-c", "echo no password hunter2 >&2; exit 5")
    stage.turns(1)
    report = failed(stage)
    assert report.problems == ("slot 1: start: the command ended with exit code 5: no password ***",)
    assert stage.manager.take_commands() == ["start 1"]
    stage.turns(1, every_s=14.9)
    stage.turns(1, every_s=0.2)
    assert stage.manager.take_commands() == []
    stage.manager.argv = ("true",)
    stage.clock.advance(START_TIMEOUT_S)
    stage.turns(1, times=3)
    assert stage.up == [1]
    assert stage.turns(1, times=20).problems == ()


def test_a_slot_that_takes_too_long_to_start_is_told_and_none_takes_its_place(stage: Stage) -> None:
    stage.manager.is_slow = True
    stage.turns(1, times=10)
    assert stage.fleet.report().problems == ()
    report = stage.turns(1, times=int(START_TIMEOUT_S / 2))
    assert report.problems == (f"slot 1: not up within {START_TIMEOUT_S:.0f} s of its start",)
    assert set(stage.manager.take_commands()) == {"start 1"}


def test_a_stop_that_fails_leaves_the_worker_serving(stage: Stage) -> None:
    stage.settle(2)
    stage.manager.argv = ("false",)
    stage.turns(1)
    report = failed(stage)
    again = stage.turns(1)
    assert (again.running, again.draining) == (2, 0)
    assert "stop: the command ended with exit code 1" in report.problems[0]


# P2: who leads


def test_an_ended_leader_gives_no_command(stage: Stage) -> None:
    stage.settle(1)
    old, old_lease = stage.fleet, stage.lease
    assert old_lease.term is not None
    old.publish(3, old_lease.term)
    stage.clock.advance(TTL_S)
    old.turn()
    stage.lead("another")
    old.turn()
    assert stage.manager.take_commands() == []
    stage.fleet.publish(3, stage.lease.term or 0)
    with pytest.raises(NotTheLeader):
        stage.fleet.publish(3, 0)


def test_a_term_that_ended_in_the_database_forbids_the_command_even_where_it_is_trusted(stage: Stage) -> None:
    stage.settle(1)
    old, old_lease = stage.fleet, stage.lease
    old.publish(3, old_lease.term or 0)
    stage.lead("another")
    assert old_lease.is_trusted
    with pytest.raises(NotTheLeader):
        old.turn()
    assert stage.manager.take_commands() == []


def test_a_target_that_is_not_handed_on_any_more_is_not_followed(stage: Stage) -> None:
    stage.settle(1)
    stage.fleet.publish(3, stage.lease.term or 0)
    for _ in range(int(ORDER_TRUSTED_S) + 1):
        stage.clock.advance(1)
        stage.lease.attempt()
    stage.fleet.turn()
    assert stage.manager.take_commands() == []


def test_a_successor_goes_on_from_the_list_and_takes_nothing_for_somebody_elses_act(stage: Stage) -> None:
    stage.settle(3)
    stage.turns(2)
    assert stage.manager.take_commands() == ["stop 3"]
    stage.lead("another")
    report = stage.turns(2, times=8)
    assert (stage.manager.take_commands(), report.outside, report.draining, report.why_not) == ([], None, 1, None)


def test_a_start_that_was_written_down_but_not_made_is_made_by_the_successor(stage: Stage) -> None:
    stage.settle(1)
    stage.manager.is_slow = True
    stage.turns(2)
    stage.lead("another")
    stage.manager.is_slow = False
    stage.manager.take_commands()
    stage.turns(2)
    assert stage.manager.take_commands() == ["start 2"]


# A12: somebody else


def test_a_slot_that_a_person_stops_is_told_as_the_count_that_they_set(stage: Stage) -> None:
    stage.settle(3)
    stage.manager.end(2)
    report = stage.turns(3, times=2)
    assert report.outside is None, "not yet: a restart looks like this for a moment"
    report = stage.turns(3, times=2 + int(CHANGED_AFTER_S / 2))
    assert (report.outside, stage.manager.take_commands()) == (2, [])
    assert "slot 2 was stopped outside Levqor" in (report.why_not or "")
    report = stage.turns(2, times=3)
    assert (report.outside, report.why_not, stage.manager.take_commands(), stage.up) == (None, None, [], [1, 3])
    stage.turns(3)
    assert stage.manager.take_commands() == ["start 2"], "a later word is followed"


def test_a_slot_that_a_person_starts_is_their_count_too(stage: Stage) -> None:
    stage.settle(2)
    stage.manager.begin(7)
    report = stage.turns(2, times=6)
    assert (report.outside, report.running, stage.manager.take_commands()) == (3, 3, [])
    assert stage.turns(3, times=2).outside is None


def test_what_was_stopped_while_levqor_was_away_is_a_persons_act(stage: Stage) -> None:
    stage.settle(3)
    stage.manager.end(3)
    stage.lead("another")
    assert stage.turns(3, times=6).outside == 2


def test_what_runs_at_the_first_contact_is_somebodys_choice(stage: Stage) -> None:
    for number in (1, 2, 3):
        stage.manager.begin(number)
    report = stage.turns(2, times=3)
    assert (report.outside, stage.manager.take_commands()) == (3, [])
    stage.lead("another")
    assert stage.turns(2, times=3).outside == 3, "a successor does not take it for Levqor's own"
    assert stage.turns(3, times=2).outside is None


def test_what_a_start_of_the_machine_left_stopped_no_person_stopped(stage: Stage) -> None:
    stage.settle(3)
    stage.manager.end(3)
    stage.boot = "boot-2"
    stage.lead("another")
    report = stage.turns(3, times=6)
    assert (report.outside, stage.manager.take_commands()) == (None, ["start 3"])


def test_a_crash_is_no_persons_act(stage: Stage) -> None:
    """Killed, it stays on the engine's list; whoever is asked to stop takes itself off."""
    stage.settle(2)
    dead = stage.engine.workers()[1]
    stage.manager.end(2)
    listed = stage.engine.workers
    stage.engine.workers = lambda: [*listed(), dead]  # type: ignore[method-assign]
    report = stage.turns(2, times=6)
    assert (report.outside, report.deaths_10m, report.running) == (None, 1, 1)
    assert report.problems == ("the worker of slot 2 died and was not restarted",)
    assert stage.manager.take_commands() == []


def test_a_unit_that_failed_is_told_and_left_and_is_the_first_to_go(stage: Stage) -> None:
    stage.settle(3)
    stage.manager.end(2, SlotState.FAILED)
    report = stage.turns(3, times=6)
    assert (report.outside, report.running, report.deaths_10m, stage.manager.take_commands()) == (None, 2, 1, [])
    assert report.problems == ("slot 2 has failed, and its process manager gave it up",)
    report = stage.turns(2, times=2)
    assert (report.running, report.problems) == (2, ())


def test_restarts_by_the_process_manager_are_counted_as_deaths(stage: Stage) -> None:
    stage.settle(1)
    slot = stage.manager.slots[1]
    for restarts in (0, 1, 3, 5):
        stage.manager.slots[1] = ListedSlot(1, SlotState.RUNNING, slot.pid, restarts)
        report = stage.turns(1)
    assert (report.deaths_10m, report.crash_looping, stage.manager.take_commands()) == (5, True, [])


# Restarts by hand


def test_all_are_restarted_one_after_another(stage: Stage) -> None:
    stage.settle(2)
    assert stage.fleet.restart(None) == 1
    stage.turns(2)
    assert stage.manager.take_commands() == ["stop 1"]
    assert stage.turns(2, times=3).draining == 1
    assert stage.manager.take_commands() == [], "the second waits for the first"
    stage.manager.end(1)
    stage.turns(2, times=4)
    assert stage.manager.take_commands() == ["start 1", "stop 2"]
    stage.manager.end(2)
    report = stage.turns(2, times=4)
    assert (stage.manager.take_commands(), report.running, report.outside) == (["start 2"], 2, None)


def operations_of(stage: Stage, folder: Path) -> Operations:
    reader = Reader(
        Scope("default", FleetKind.SLOTS, ("default",), 100.0, expects_http=False),
        stage.engine,
        Telemetry(stage.broker),
        stage.fleet,
        stage.database,
        stage.clock,
    )
    unused: Any = None
    return Operations(
        OperationsParts(
            reader=reader,
            fleet=stage.fleet,
            database=stage.database,
            flags_file=FlagsFile(folder / "flags.json", 1, 4),
            rules=unused,
            clock=stage.clock,
            watchdog=unused,
            manual_hold_s=3600,
            configuration={},
            wake=unused,
            lease_watch=unused,
        )
    )


def test_a_unit_that_failed_is_started_by_a_restart_of_its_slot(stage: Stage, tmp_path: Path) -> None:
    """systemd keeps a failed unit failed until somebody starts it; a stop does nothing to it."""
    stage.settle(3)
    stage.manager.end(2, SlotState.FAILED)
    failed = stage.turns(3)
    assert [(worker.name, worker.state) for worker in failed.workers if worker.pid is None] == [("slot-2", WorkerState.LOST)]
    operations = operations_of(stage, tmp_path)
    with pytest.raises(NotFound, match=r"there are .*slot-2"):
        operations.restart("slot-3", "tester")
    stage.manager.is_slow = True
    assert operations.restart("slot-2", "tester") == {"asked": 1, "workers": ["slot-2"]}
    report = stage.turns(3, times=4)
    assert stage.manager.take_commands() == ["start 2"], "once, and no stop"
    assert (report.running, report.problems) == (2, failed.problems), "told until it runs"
    stage.manager.slots[2] = ListedSlot(2, SlotState.STARTING)
    assert stage.turns(3).problems == failed.problems
    stage.manager.begin(2)
    report = stage.turns(3, times=2)
    assert (report.running, report.problems, report.outside) == (3, (), None)
    assert stage.manager.take_commands() == []


def test_a_slot_that_fails_in_its_start_keeps_none_of_the_others_from_theirs(stage: Stage) -> None:
    stage.manager.is_slow = True
    stage.turns(1)
    stage.manager.slots[1] = ListedSlot(1, SlotState.FAILED)
    stage.manager.is_slow = False
    stage.turns(2, times=int(START_TIMEOUT_S / 2) + 1)
    stage.manager.take_commands()
    stage.manager.is_slow = True
    stage.fleet.restart(None)
    stage.turns(2)
    assert stage.manager.take_commands() == ["start 1"]
    stage.turns(2, times=int(START_TIMEOUT_S / 2) + 1)
    assert stage.manager.take_commands() == ["stop 2"], "the next follows once the first has had its time"


class TurningFleet:
    """The thread's turns are taken as its report is asked for."""

    def __init__(self, stage: Stage, target: int) -> None:
        self.stage, self.target = stage, target

    def report(self) -> FleetReport:
        return self.stage.turns(self.target, every_s=0.1)

    def restart(self, worker_name: str | None) -> int:
        return self.stage.fleet.restart(worker_name)

    def rotate(self) -> int:
        return 0


def test_a_recovery_knows_a_failed_slot_that_runs_again(stage: Stage) -> None:
    """I5: a slot that failed has no process by which its successor could be told from it."""
    stage.settle(2)
    stage.manager.end(2, SlotState.FAILED)
    stage.turns(2)
    act = RestartAct(TurningFleet(stage, 2), stage.clock, each_within_s=5.0)
    step = Step(StepName.RESTART, StepStatus.RUNNING, before={"workers": {"slot-2": None}})
    ended = act.act(step, Going(lambda: True), lambda _: None)
    assert (ended.status, ended.detail) == (StepStatus.DONE, "1 of 1 workers were replaced")
    assert stage.manager.take_commands() == ["start 2"]


def test_another_process_asks_the_leader_through_the_database(stage: Stage) -> None:
    """A web process that does not lead has a fleet of its own."""
    report = stage.settle(2)
    leader, lease = stage.fleet, stage.lease
    asker = stage.fleet_with(leader._parts.hands)
    assert asker.restart(report.workers[1].name) == 1
    stage.fleet, stage.lease = leader, lease
    stage.turns(2)
    assert stage.manager.take_commands() == ["stop 2"]
    stage.manager.end(2)
    stage.turns(2, times=4)
    assert stage.manager.take_commands() == ["start 2"], "once"


def test_a_leader_that_dies_in_a_restart_leaves_it_to_its_successor(stage: Stage) -> None:
    stage.settle(2)
    stage.fleet.restart(None)
    stage.turns(2)
    stage.manager.end(1)
    stage.lead("another")
    report = stage.turns(2, times=4)
    assert (stage.manager.take_commands(), report.outside) == (["stop 1", "start 1"], None)


# P7, P6


def test_what_was_commanded_has_its_home_in_the_database(stage: Stage) -> None:
    stage.settle(2)
    with stage.database.read() as connection:
        assert read_memory(connection, "slots:default") == {"boot": "boot-1", "wanted": {"1": True, "2": True}, "draining": {}}


def test_names_of_memories_are_found_by_how_they_begin(database: Database) -> None:
    """On both databases; a per cent sign or underscore in a fleet's name is no pattern."""
    clock = ManualClock()
    with database.write() as connection:
        for name in ("slots:a_b:restart:1", "slots:axb:restart:2", "slots:a_b"):
            write_memory(connection, clock.now(), name, {})
        assert names_of_memories(connection, "slots:a_b:restart:") == ["slots:a_b:restart:1"]


def test_the_thread_follows_by_itself_and_ends(stage: Stage) -> None:
    stage.fleet.start()
    stage.fleet.publish(2, stage.lease.term or 0)
    eventually(lambda: stage.up == [1, 2], what="both slots")
    stage.fleet.close()
    assert stage.up == [1, 2], "the workers stay"
