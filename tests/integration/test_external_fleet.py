"""Kind `external`: the target is decided and committed as ever, and read by others; what is not known is no number."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Valkey
from tests.integration.test_autopilot import TICK_S, Plane

from levqor.domain.errors import DatabaseDown, DependencyDown, GuardRefused, NotFound, StoreDown
from levqor.domain.fleet import FleetKind, Worker, WorkerState
from levqor.engines.rq import RqEngine
from levqor.fleets.external import ExternalFleet
from levqor.monitors.target_desk import STALE_AT_LEAST_S, TargetDesk, TargetParts
from levqor.store.database import Database, database_url
from levqor.store.flags import DEFAULT_FLEET, write_flag
from levqor.store.leases import TTL_S, LeaseWatch


class Listing:
    """The broker's list of workers, in the test's hand; queues are the real ones."""

    def __init__(self, engine: RqEngine, count: int = 2) -> None:
        self._engine, self.listed = engine, [worker(f"pod-{number}") for number in range(count)]

    def workers(self) -> list[Worker]:
        self._engine.queue_names()  # raises when the broker is down
        return self.listed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def worker(name: str, state: WorkerState = WorkerState.IDLE, queues: tuple[str, ...] = ("default",)) -> Worker:
    return Worker(name, "node", None, state, queues=queues)


class External(Plane):
    """A control plane of kind external: pods are what the broker lists."""

    def __init__(self, database: Database, store_url: str, folder: Path, kind: FleetKind = FleetKind.EXTERNAL) -> None:
        super().__init__(database, store_url, folder, kind=kind)
        self.pods: Any = Listing(self.engine)
        fleet: Any = ExternalFleet(self.pods, ("default",))
        self.fleet = self.reader._fleet = fleet
        self.reader._engine = self.pods
        self.autopilot = type(self.autopilot)(self.parts())
        self.lease_watch = LeaseWatch(database, self.clock, is_dead=lambda _holder: False)
        self.targets = TargetDesk(
            TargetParts(
                fleet=DEFAULT_FLEET,
                kind=kind,
                reading=self.operations.reading,
                database=database,
                flags_file=self.flags_file,
                lease_watch=self.lease_watch,
                clock=self.clock,
                tick_s=TICK_S,
            )
        )

    def ticks(self, count: int, running: int = 2) -> None:
        self.pods.listed = [worker(f"pod-{number}") for number in range(running)]
        super().ticks(count, running)

    def heard(self, running: int = 2) -> None:
        self.flusher.flush_once()

    def answer(self) -> dict[str, Any]:
        self.clock.advance(2.0)  # past the reading that askers share
        return self.targets.metrics("default")

    def unknown(self) -> str:
        self.clock.advance(2.0)
        with pytest.raises((DependencyDown, DatabaseDown)) as caught:
            self.targets.metrics("default")
        with pytest.raises((DependencyDown, DatabaseDown)):
            self.targets.dynos()
        return str(caught.value)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """SQLite alone: what is read of the database here is read on both elsewhere."""
    opened = Database(database_url(None, tmp_path))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def place(database: Database, store_url: str, tmp_path: Path) -> External:
    return External(database, store_url, tmp_path)


def test_the_answer_is_the_target_in_force_with_what_it_rests_on(place: External) -> None:
    place.enable()
    place.enqueue(11)
    place.ticks(1)
    answer = place.answer()
    record = place.operations.decisions(1)[0]
    assert answer == {
        "desired_workers": 3,
        "queue_depth": 11,
        "oldest_age_s": pytest.approx(4.0, abs=4.0),
        "backlog": 11,
        "as_of": record["at"],
        "decision_id": record["id"],
        "reason": "depth 11 > 10",
    }
    assert all(type(answer[name]) is int for name in ("desired_workers", "queue_depth", "backlog", "decision_id"))
    assert place.targets.dynos() == [{"name": "worker", "value": 3}]


def test_an_empty_queue_is_a_known_zero(place: External) -> None:
    place.ticks(1)
    answer = place.answer()
    assert (answer["queue_depth"], answer["oldest_age_s"], answer["backlog"], answer["desired_workers"]) == (0, 0.0, 0, 2)


def test_while_observing_nothing_changes_whatever_is_advised(place: External) -> None:
    """F1: the target in force stays, and the reason says what would be."""
    place.enqueue(11)
    place.ticks(1)
    answer = place.answer()
    assert answer["desired_workers"] == 2
    assert answer["reason"].startswith("observing (AUTOSCALE_ENABLED is false), the target in force stays; advice: 3 workers, depth 11")


def test_a_held_target_is_answered(place: External) -> None:
    place.enable()
    place.ticks(1)
    place.operations.scale(4, None, "ana", "launch day", None)
    place.enqueue(30)
    place.ticks(3, running=4)
    answer = place.answer()
    assert (answer["desired_workers"], answer["reason"]) == (4, "held by ana: launch day")


def test_publishing_writes_nothing_and_workers_take_no_orders(place: External) -> None:
    place.enable()
    place.enqueue(11)
    place.ticks(1)
    assert not [key for key in place.store.scan_iter("levqor:target:*")]
    with pytest.raises(GuardRefused, match="fleet kind external"):
        place.operations.restart(None, "ana")
    with pytest.raises(GuardRefused, match="fleet kind external"):
        place.operations.pause("default", "ana", "")
    assert "no agent" not in " ".join([*place.operations.status()["advice"], *(e["key"] for e in place.operations.episodes())])


def test_the_next_step_waits_while_a_worker_starts(place: External) -> None:
    """A2: running and starting are what the broker lists."""
    place.enable()
    place.enqueue(11)
    place.ticks(1)
    place.pods.listed = [worker("a"), worker("b"), worker("c", WorkerState.STARTING)]
    report = place.fleet.report()
    assert (report.running, report.starting) == (2, 1)


def test_workers_of_other_queues_and_lost_ones_are_not_this_fleets(place: External) -> None:
    place.pods.listed = [worker("a"), worker("b", queues=("mail",)), worker("c", WorkerState.LOST), worker("d", queues=("mail", "default"))]
    report = place.fleet.report()
    assert (report.running, {found.name for found in report.workers}) == (2, {"a", "c", "d"})


def test_before_the_first_decision_there_is_no_target(place: External) -> None:
    assert "nothing has been decided yet" in place.unknown()


def test_a_target_that_nobody_renews_is_unknown_after_three_ticks_and_ten_seconds(place: External) -> None:
    place.ticks(3)
    assert place.targets.metrics("default")["desired_workers"] == 2
    place.clock.advance(STALE_AT_LEAST_S)
    place.autopilot.renew()
    assert place.targets.metrics("default")["desired_workers"] == 2, "ten seconds are not more than ten"
    assert "the last decision is 12 s old" in place.unknown()


def test_a_decision_from_before_this_process_is_judged_by_the_wall_clock(place: External) -> None:
    """A web process that has just started sees the number for the first time."""
    place.ticks(1)
    place.clock.advance(STALE_AT_LEAST_S + TICK_S)
    assert "14 s old" in place.unknown()


@pytest.mark.parametrize("jump_s", [3 * 3600, -6 * 3600])
def test_a_wall_clock_that_jumps_makes_nothing_unknown_and_nothing_fresh(place: External, jump_s: float) -> None:
    """P1."""
    place.ticks(1)
    place.answer()
    place.clock.jump(jump_s)
    assert place.answer()["desired_workers"] == 2, "the same decision, seen before"
    place.ticks(1)
    assert place.answer()["desired_workers"] == 2
    place.clock.advance(STALE_AT_LEAST_S)
    place.clock.jump(-STALE_AT_LEAST_S - 4)
    assert "s old" in place.unknown()


def test_without_a_leader_there_is_no_target(place: External) -> None:
    place.ticks(1)
    place.answer()
    place.lease.release()
    assert "no autopilot renews it" in place.unknown()


def test_a_leader_that_renews_and_cannot_decide_tells_no_target(place: External) -> None:
    place.ticks(1)
    place.answer()
    for _ in range(int(TTL_S)):
        place.clock.advance(2.0)
        place.autopilot.renew()
    assert "s old" in place.unknown()


def test_a_signal_that_was_unknown_leaves_the_target_unknown(place: External) -> None:
    """S3: and a known one may still ask for a step up."""
    place.enable()
    place.recorder = type(place.recorder)()  # no process reports requests any more
    place.flusher.flush_once()
    place.store.flushdb()
    place.clock.advance(TICK_S)
    place.autopilot.renew()
    place.autopilot.tick()
    assert "p95_ms is unknown" in place.unknown()
    place.enqueue(11)
    place.autopilot.renew()
    place.autopilot.tick()
    assert place.answer()["desired_workers"] == 3


def test_a_broken_flags_file_leaves_the_target_unknown_until_it_is_mended(place: External) -> None:
    """F1."""
    place.ticks(1)
    place.flags_path.write_text('{"WORKER_COUNT": ', encoding="utf-8")
    assert "flags file is broken" in place.unknown()
    place.flags_path.write_text('{"WORKER_COUNT": 3}', encoding="utf-8")
    place.ticks(1)
    assert place.answer()["desired_workers"] == 3


def test_a_store_and_broker_that_are_down_leave_it_unknown(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    place = External(database, valkey.url, tmp_path)
    place.ticks(1)
    assert place.answer()["desired_workers"] == 2
    valkey.kill()
    assert "the target is unknown: the store" in place.unknown()
    with pytest.raises(StoreDown):
        place.fleet.report()
    valkey.start()
    place.ticks(1)
    assert place.answer()["desired_workers"] == 2


def test_a_database_that_is_down_leaves_it_unknown(place: External, monkeypatch: pytest.MonkeyPatch) -> None:
    place.ticks(1)
    place.answer()

    def down() -> Any:
        raise DatabaseDown("the database does not answer")

    monkeypatch.setattr(place.database, "read", down)
    assert "database" in place.unknown()


@pytest.mark.parametrize("ask", [lambda desk: desk.metrics("other"), lambda desk: desk.metrics("")], ids=["other", "empty"])
def test_another_fleet_is_not_found(place: External, ask: Callable[[TargetDesk], object]) -> None:
    place.ticks(1)
    with pytest.raises(NotFound, match="there is default"):
        ask(place.targets)


@pytest.mark.parametrize("kind", [FleetKind.NONE, FleetKind.AGENT, FleetKind.SLOTS])
def test_a_fleet_that_is_not_scaled_by_others_has_no_target_for_them(
    database: Database, store_url: str, tmp_path: Path, kind: FleetKind
) -> None:
    """Two that scale one fleet would fight."""
    place = External(database, store_url, tmp_path, kind=kind)
    place.ticks(1)
    with pytest.raises(NotFound, match=f"of kind {kind.value}"):
        place.targets.metrics("default")


def test_a_count_that_was_set_before_it_began_is_what_is_answered(place: External) -> None:
    """How an installation begins: WORKER_COUNT is what runs."""
    with place.database.write() as connection:
        write_flag(connection, place.clock.now(), "WORKER_COUNT", 4, "ana")
    place.ticks(1, running=4)
    assert place.answer()["desired_workers"] == 4
