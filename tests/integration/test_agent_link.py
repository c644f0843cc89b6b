"""The agent's tie to store and engine: whatever fails there, it goes on and forgets nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.clock import ManualClock
from tests.integration.standins import HOST, StandinEngine

from levqor.agent.link import VIEW_TRUSTED_S, Link
from levqor.agent.workers import Ending, GiveBack, PoolState
from levqor.domain.errors import EngineDown
from levqor.domain.fleet import Worker, WorkerState
from levqor.fleets.agent import AgentFleet, AgentSeat


class ShakyEngine(StandinEngine):
    """Does not answer while it is down."""

    is_down = False
    promoted = 0

    def workers(self) -> list[Worker]:
        self._answer()
        return super().workers()

    def give_back(self, worker_name: str, *, interrupted: bool = False) -> str | None:
        self._answer()
        return super().give_back(worker_name, interrupted=interrupted)

    def promote_due(self, queues: object) -> int:
        self.promoted += 1
        return 0

    def _answer(self) -> None:
        if self.is_down:
            raise EngineDown("the broker does not answer")


@pytest.fixture
def client(store_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(store_url, socket_timeout=1) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(tmp_path: Path) -> ShakyEngine:
    return ShakyEngine(tmp_path)


@pytest.fixture
def link(client: redis.Redis, engine: ShakyEngine, clock: ManualClock) -> Link:
    return Link(AgentSeat(client, "me"), engine, ("default",), HOST, clock)


def list_worker(engine: ShakyEngine, name: str, pid: int, job: str = "null") -> None:
    (engine.folder / f"{name}.worker").write_text(f'{{"pid": {pid}, "job": {job}}}', encoding="ascii")


def test_the_target_comes_from_the_store_and_retries_are_promoted(link: Link, client: redis.Redis, engine: ShakyEngine) -> None:
    AgentFleet(client).publish(3, term=1)
    link.turn()
    assert link.seen().target == 3
    assert engine.promoted == 1


def test_a_broker_that_is_down_does_not_hide_the_target(link: Link, client: redis.Redis, engine: ShakyEngine) -> None:
    engine.is_down = True
    AgentFleet(client).publish(2, term=1)
    link.turn()
    assert link.seen().target == 2
    assert link.seen().workers is None


def test_a_target_that_vanished_stays_in_force(link: Link, client: redis.Redis) -> None:
    """Spec P7: the last target is kept."""
    AgentFleet(client).publish(2, term=1)
    link.turn()
    client.flushall()
    link.turn()
    assert link.seen().target == 2


def test_an_old_list_of_workers_says_nothing_about_now(link: Link, engine: ShakyEngine, clock: ManualClock) -> None:
    """Spec S3."""
    link.turn()
    engine.is_down = True
    clock.advance(VIEW_TRUSTED_S)
    assert link.seen().workers == {}
    clock.advance(0.1)
    assert link.seen().workers is None


@pytest.mark.parametrize("ending", list(Ending))
def test_a_job_is_given_back_once_the_engine_answers(link: Link, engine: ShakyEngine, ending: Ending) -> None:
    engine.is_down = True
    link.give_back(GiveBack("w1", ending))
    link.turn()
    assert not link.has_given_back
    engine.is_down = False
    link.turn()
    assert link.has_given_back
    assert engine.given_back == [("w1", ending is Ending.RETURNED)]


def test_the_heartbeat_tells_the_pools_state_and_what_was_returned(
    link: Link, engine: ShakyEngine, client: redis.Redis, clock: ManualClock
) -> None:
    (engine.folder / "running" / "job.w1").touch()
    link.give_back(GiveBack("w1", Ending.RETURNED))
    link.tell(PoolState((Worker("w2", HOST, 1, WorkerState.IDLE),), deaths_10m=4, crash_looping=True, target=1))
    link.turn()
    clock.advance(1.0)
    link.turn()
    report = AgentFleet(client).report()
    assert [worker.name for worker in report.workers] == ["w2"]
    assert (report.running, report.deaths_10m, report.crash_looping, report.returned) == (1, 4, True, 1)
    assert report.room is not None


def test_heartbeats_come_each_second_and_no_oftener(link: Link, client: redis.Redis, clock: ManualClock) -> None:
    link.turn()
    link.tell(PoolState(deaths_10m=1))
    clock.advance(0.9)
    link.turn()
    assert AgentFleet(client).report().deaths_10m == 0
    clock.advance(0.1)
    link.turn()
    assert AgentFleet(client).report().deaths_10m == 1


def test_workers_of_this_folder_that_nobody_owns_are_taken_off_the_books(link: Link, engine: ShakyEngine) -> None:
    list_worker(engine, "me-gone", pid=2**22 - 1)
    list_worker(engine, "me-owned", pid=2**22 - 1)
    list_worker(engine, "team-worker", pid=2**22 - 1)
    link.tell(PoolState((Worker("me-owned", HOST, 2**22 - 1, WorkerState.IDLE),)))
    link.turn()
    assert engine.given_back == [("me-gone", False)]


def test_commands_are_handed_over_once(link: Link, client: redis.Redis) -> None:
    link.turn()
    assert AgentFleet(client).restart(None) == 1
    link.turn()
    assert link.commands() == [{"command": "restart", "worker": None}]
    assert link.commands() == []


def test_a_broken_engine_is_reported_once_and_ends_nothing(link: Link, engine: ShakyEngine, caplog: pytest.LogCaptureFixture) -> None:
    (engine.folder / "x.worker").write_text("not json", encoding="ascii")
    with caplog.at_level("INFO", logger="levqor.agent.link"):
        link.turn()
        link.turn()
        (engine.folder / "x.worker").unlink()
        link.turn()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert link.seen().workers == {}
