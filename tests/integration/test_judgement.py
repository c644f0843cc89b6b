"""What the autopilot remembers, over a real store and both databases: P95's own steps, workers set by others, promises, deploys."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.integration import test_autopilot
from tests.integration.test_autopilot import TICK_S, Plane

from levqor.domain.signals import Signal
from levqor.fleets.agent import AgentFleet, FleetReport
from levqor.monitors.deploys import DeployDesk
from levqor.monitors.history import deploy_marks
from levqor.monitors.incident_desk import IncidentDesk, IncidentDeskParts
from levqor.monitors.promises import PromiseDesk
from levqor.monitors.reading import Look, Reader, Reading
from levqor.monitors.records import replay
from levqor.policies.p95_step import WATCH_S
from levqor.store.database import Database
from levqor.store.decisions import list_decisions
from levqor.store.flags import write_flag
from levqor.store.holds import OUTSIDE, open_holds
from levqor.store.incidents import own_action_age
from levqor.store.leases import TTL_S
from levqor.store.memories import read_memory

WATCH_TICKS = round(WATCH_S / TICK_S)


class Steered(Reader):
    """Reads everything; a P95 that the test sets stands in for the measured one."""

    given: dict[str, Signal]

    def assemble(self, look: Look, connection: Connection) -> Reading:
        reading = super().assemble(look, connection)
        return replace(reading, signals=replace(reading.signals, **getattr(self, "given", {})))

    def p95(self, ms: float) -> None:
        self.given = {"p95_ms": Signal.of(ms), "requests": Signal.of(100), "slow_requests": Signal.of(100)}

    def quiet(self) -> None:
        self.given = {"p95_ms": Signal.no_traffic(), "requests": Signal.of(0), "slow_requests": Signal.of(0)}


class Reporting(AgentFleet):
    """An agent's fleet that also says, as one of slots does, which count somebody else has set."""

    outside: int | None = None

    def report(self) -> FleetReport:
        return replace(super().report(), outside=self.outside)


class Judged(Plane):
    """A plane whose P95 and outside count are in the test's hand."""

    reader: Steered
    fleet: Reporting


def make(database: Database, store_url: str, folder: Path, name: str = "one") -> Judged:
    made = Judged(database, store_url, folder, name)
    made.enable()
    return made


@pytest.fixture
def planes(database: Database, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Judged]]:
    monkeypatch.setattr(test_autopilot, "Reader", Steered)
    monkeypatch.setattr(test_autopilot, "AgentFleet", Reporting)
    made: list[Judged] = []

    def plane(name: str = "one") -> Judged:
        made.append(make(database, store_url, tmp_path, name))
        return made[-1]

    yield plane
    for one in made:
        one.operations.close()
        one.flusher.close()
        one.store.close()


@pytest.fixture
def plane(planes: Callable[[str], Judged]) -> Judged:
    return planes("one")


def last(plane: Plane) -> dict[str, Any]:
    return plane.operations.decisions(1, changes=False)[0]


def voting(decision: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in decision["reasons"] if reason["votes"]]


# A step that did not help


def test_a_step_that_p95_alone_asked_for_and_that_did_not_help_is_not_repeated_until_p95_was_calm(plane: Judged) -> None:
    """A12."""
    plane.reader.p95(400.0)
    plane.ticks(1)
    assert plane.target() == 3
    plane.ticks(WATCH_TICKS - 1, running=3)
    assert (plane.target(), voting(last(plane))) == (3, ["watching"])
    plane.ticks(1, running=3)
    assert (plane.target(), voting(last(plane))) == (3, ["did_not_help"])
    assert voting(plane.operations.dryrun({})) == ["did_not_help"], "the dry run remembers what the tick does"
    assert plane.operations.dryrun({"p95_ms": 400.0})["action"] == "scale_up", "A6: a note in a what-if"
    plane.reader.p95(100.0)
    plane.ticks(1, running=3)
    plane.reader.p95(400.0)
    plane.ticks(1, running=3)
    assert voting(last(plane)) == ["did_not_help"], "neither pressed nor calm is not calm"
    plane.reader.p95(39.0)
    plane.ticks(1, running=3)
    plane.reader.p95(400.0)
    plane.ticks(1, running=3)
    assert plane.target() == 4


def test_depth_goes_on_asking_beside_it(plane: Judged) -> None:
    """A12."""
    plane.reader.p95(400.0)
    plane.ticks(1)
    plane.enqueue(11)
    plane.ticks(1, running=3)
    assert plane.target() == 4


def test_a_step_that_helped_lets_p95_ask_again_at_once(plane: Judged) -> None:
    """A12: from 400 ms to 360."""
    plane.reader.p95(400.0)
    plane.ticks(1)
    plane.reader.p95(360.0)
    plane.ticks(1, running=3)
    assert plane.target() == 4


def test_a_step_that_depth_asked_for_too_is_not_watched(plane: Judged) -> None:
    """A12."""
    plane.reader.p95(400.0)
    plane.enqueue(11)
    plane.ticks(1)
    with plane.database.read() as connection:
        assert read_memory(connection, "p95_step:default") == {}


def test_advice_watches_nothing(plane: Judged) -> None:
    """A12, F1: only a step that was made can help."""
    with plane.database.write() as connection:
        write_flag(connection, plane.clock.now(), "AUTOSCALE_ENABLED", False, "ana")
    plane.reader.p95(400.0)
    plane.ticks(3)
    assert last(plane)["action"] == "scale_up"
    with plane.database.read() as connection:
        assert read_memory(connection, "p95_step:default") == {}


def test_a_successor_goes_on_judging_and_credits_nothing_for_the_gap(planes: Callable[[str], Judged]) -> None:
    """A12, P1."""
    first = planes("first")
    first.reader.p95(400.0)
    first.ticks(1 + WATCH_TICKS // 2)
    second = planes("second")
    second.reader.p95(400.0)
    second.autopilot.renew()
    second.clock.advance(TTL_S + 3_600)
    second.ticks(1)
    assert second.lease.term == 2
    second.ticks(WATCH_TICKS // 2 - 1, running=3)
    assert voting(last(second)) == ["watching"]
    second.ticks(1, running=3)
    assert voting(last(second)) == ["did_not_help"]


def test_every_record_of_it_replays(plane: Judged) -> None:
    """A11."""
    plane.reader.p95(400.0)
    plane.ticks(4, running=3)
    plane.enqueue(12)
    plane.ticks(3, running=4)
    with plane.database.read() as connection:
        rows = list_decisions(connection, limit=100, changes=False)
    for row in rows:
        decision = replay(row).as_dict()
        assert {name: value for name, value in decision.items() if name not in ("inputs", "guard")} == row["decision"]


# Workers that somebody else set


def test_a_count_set_outside_is_the_target_and_holds(plane: Judged) -> None:
    """L2, F1: design.md, "outside Levqor"."""
    plane.ticks(1)
    plane.fleet.outside = 3
    plane.enqueue(11)
    plane.ticks(1, running=3)
    assert (plane.target(), plane.published()[0]) == (3, 3)
    assert json.loads(plane.flags_path.read_text(encoding="utf-8"))["WORKER_COUNT"] == 3
    (hold,) = plane.operations.status()["holds"]
    assert (hold["kind"], hold["owner"], hold["remaining_s"]) == (OUTSIDE, "outside Levqor", 3_600)
    assert plane.operations.status()["mode"] == "held"
    assert voting(last(plane)) == ["held"]
    plane.ticks(5, running=3)
    assert [row["what"] for row in plane.operations.audit(100) if row["actor"] == "outside Levqor"] == ["hold", "flag WORKER_COUNT"]
    assert plane.operations.holds()[0]["remaining_s"] == 3_600 - 5 * TICK_S, "the same count again is no news"


def test_a_hold_from_outside_ends_by_release_and_by_itself(plane: Judged) -> None:
    plane.ticks(1)
    plane.fleet.outside = 1
    plane.ticks(1, running=1)
    plane.fleet.outside = None
    plane.operations.release("ana", None)
    plane.enqueue(11)
    plane.ticks(1, running=1)
    assert plane.target() == 2
    plane.fleet.outside = 1
    plane.ticks(1, running=1)
    plane.fleet.outside = None
    plane.clock.advance(3_599.0)
    plane.ticks(1, running=1)
    assert plane.operations.holds() == []


def test_another_count_from_outside_renews_it(plane: Judged) -> None:
    plane.ticks(1)
    for count in (3, 1):
        plane.fleet.outside = count
        plane.ticks(10, running=count)
    (hold,) = plane.operations.holds()
    assert (plane.target(), hold["remaining_s"]) == (1, 3_600 - 9 * TICK_S)


def test_the_same_count_set_again_after_levqor_acted_is_news(plane: Judged) -> None:
    plane.ticks(1)
    for count in (3, None, 2, None, 3):
        plane.fleet.outside = count
        plane.ticks(1)
    assert (plane.target(), len(plane.operations.holds())) == (3, 1)


@pytest.mark.parametrize(("count", "target"), [pytest.param(7, 4, id="above WORKERS_MAX"), pytest.param(0, 1, id="below WORKERS_MIN")])
def test_a_count_out_of_bounds_is_said_and_left_alone_while_the_hold_lasts(plane: Judged, count: int, target: int) -> None:
    """Levqor's target stays within its bounds, and undoes nobody's word until the hold ends."""
    plane.ticks(1)
    plane.fleet.outside = count
    plane.ticks(1)
    plane.fleet.outside = None  # what is handed on agrees with it
    plane.ticks(3)
    assert plane.target() == target
    assert plane.published()[0] == count, "the workers are left as they are"
    assert f"{count} workers by other means; WORKERS_M" in plane.operations.holds()[0]["why"]
    plane.operations.release("ana", None)
    plane.ticks(1)
    assert plane.published()[0] == target
    assert plane.operations.holds() == [], "what was told once is not told again"


def test_a_count_by_hand_ends_the_hold_from_outside_and_auto_ends_both(plane: Judged) -> None:
    """L2: the newest word counts."""
    plane.ticks(1)
    plane.fleet.outside = 3
    plane.ticks(1)
    plane.operations.scale(2, None, "ana", "", None)
    plane.ticks(1)
    assert ([hold["kind"] for hold in plane.operations.holds()], plane.target()) == (["manual"], 2)
    plane.fleet.outside = 4
    plane.ticks(1)
    assert [hold["kind"] for hold in plane.operations.holds()] == [OUTSIDE]
    plane.operations.scale_auto("ana")
    plane.ticks(1)
    assert plane.operations.holds() == []


def test_what_is_not_known_is_no_change(plane: Judged) -> None:
    """S3, P6: a fleet that does not report has not put anything back."""
    plane.ticks(1)
    plane.fleet.outside = 7
    plane.ticks(1)
    plane.store.flushall()
    plane.fleet.outside = None
    plane.clock.advance(TICK_S)
    plane.autopilot.tick()
    assert plane.published()[0] == 7


def test_a_count_that_is_the_target_already_is_no_news(plane: Judged) -> None:
    plane.fleet.outside = 2
    plane.ticks(2)
    assert plane.operations.holds() == []


def test_a_count_typed_into_the_flags_file_holds_nothing(plane: Judged) -> None:
    """F1."""
    plane.ticks(1)
    plane.flags_path.write_text('{"WORKER_COUNT": 3, "AUTOSCALE_ENABLED": true}', encoding="utf-8")
    plane.ticks(1)
    with plane.database.read() as connection:
        assert open_holds(connection) == []
    assert plane.target() == 3


# Promises


def draining(plane: Judged) -> None:
    """A queue that shrinks by a job a tick under a hold; once that has ended, 18 waiting jobs ask for a step."""
    plane.operations.hold("ana", "let it drain", TICK_S * 7)
    for depth in range(25, 17, -1):
        plane.reader.given = {"queue_depth": Signal.of(depth)}
        plane.ticks(1)
    assert plane.target() == 3


def desk(plane: Plane) -> PromiseDesk:
    return PromiseDesk(plane.database)


def test_a_step_up_promises_a_clear_queue_and_is_held_to_it(plane: Judged) -> None:
    """A11: kept, and said in the decision, in the status and in the counts."""
    draining(plane)
    (promise,) = desk(plane).promises(10)["promises"]
    assert (promise["state"], promise["depth"], promise["target"]) == ("open", 18, 3)
    assert promise["clear_in_s"] == pytest.approx(18 / 0.5)
    told = plane.operations.decision_at(plane.clock.now())
    assert told is not None
    assert told["promise"] == promise
    assert "clear in about 36 s" in next(reason["text"] for reason in told["reasons"] if reason["code"] == "promise")
    plane.reader.given = {"queue_depth": Signal.of(0)}
    plane.ticks(1, running=3)
    assert desk(plane).promises(10)["score"] == {"open": 0, "kept": 1, "missed": 0, "void": 0}
    assert plane.operations.status()["promises"]["kept"] == 1
    assert desk(plane).ended() == {"kept": 1, "missed": 0, "void": 0}


def test_a_promise_that_was_not_kept_is_missed_after_its_slack(plane: Judged) -> None:
    draining(plane)
    plane.ticks(27, running=3)
    assert desk(plane).promises(1)["promises"][0]["state"] == "open"
    plane.ticks(1, running=3)
    (first, *_rest) = desk(plane).promises(10)["promises"][::-1]
    assert (first["state"], first["waited_s"]) == ("missed", 56.0)


def test_the_autopilots_own_next_step_excuses_no_promise(plane: Judged) -> None:
    draining(plane)
    plane.ticks(1, running=3)
    assert plane.target() == 4
    assert [promise["state"] for promise in desk(plane).promises(10)["promises"]] == ["open", "open"]


@pytest.mark.parametrize("what", ["count", "pause", "unknown"])
def test_a_promise_is_void_where_its_ground_was_changed(plane: Judged, what: str) -> None:
    """S3: a promise that nobody can judge is neither kept nor missed."""
    draining(plane)
    if what == "count":
        plane.operations.scale(1, None, "ana", "", None)
    elif what == "pause":
        plane.operations.pause("default", "ana", "")
    plane.reader.given = {"queue_depth": Signal.unknown("away") if what == "unknown" else Signal.of(0)}
    plane.ticks(1, running=3)
    assert desk(plane).promises(10)["score"] == {"open": 0, "kept": 0, "missed": 0, "void": 1}


def test_a_successor_does_not_judge_what_it_did_not_see(planes: Callable[[str], Judged]) -> None:
    """P1."""
    first = planes("first")
    draining(first)
    second = planes("second")
    second.autopilot.renew()
    second.clock.advance(TTL_S)
    second.ticks(1)
    assert desk(second).promises(10)["score"]["void"] == 1


def test_a_queue_that_nobody_can_time_gets_no_promise(plane: Judged) -> None:
    """S3: never a number that was made up."""
    plane.enqueue(11)
    plane.ticks(1)
    assert plane.target() == 3
    assert desk(plane).promises(10)["promises"] == []
    texts = [reason["text"] for reason in last(plane)["reasons"] if reason["code"] == "promise"]
    assert texts[0].startswith("no promise: ")


# Deploys


def test_a_deploy_is_marked_shown_and_an_act_of_ones_own(plane: Judged) -> None:
    """design.md, Recovery: own drains and deploys are not errors."""
    desk = DeployDesk(plane.database, plane.clock)
    plane.ticks(1)
    with plane.database.read() as connection:
        assert own_action_age(connection) != 0.0
    mark = desk.mark("abc123", "search", "ana")
    with plane.database.read() as connection:
        assert own_action_age(connection) == 0.0
        assert deploy_marks(connection, plane.clock.now(), "1h") == [
            {"at": int(plane.clock.now().timestamp()), "sha": "abc123", "note": "search"}
        ]
    assert desk.deploys(10) == {"deploys": [mark]}
    assert [row["what"] for row in plane.operations.audit(1)] == ["deploy"]
    plane.ticks(1)
    told = plane.operations.decision_at(plane.clock.now())
    assert told is not None
    assert told["deploys"] == [mark]
    plane.clock.advance(3_600.0)
    plane.ticks(1)
    told = plane.operations.decision_at(plane.clock.now())
    assert told is not None
    assert told["deploys"] == [], "an hour before, and no longer"


def test_an_incident_tells_the_deploys_around_it(plane: Judged) -> None:
    from levqor.domain.incidents import Cause
    from levqor.store.incidents import begin_incident

    mark = DeployDesk(plane.database, plane.clock).mark("abc123", "", "ana")
    plane.clock.advance(120.0)
    with plane.database.write() as connection:
        number = begin_incident(connection, plane.clock.now(), Cause("errors", "errors rose", plane.clock.now(), {}))
    desk = IncidentDesk(IncidentDeskParts(plane.incidents, plane.database, plane.clock, None, lambda: None))  # type: ignore[arg-type]
    assert desk.incident(number)["deploys"] == [mark]
