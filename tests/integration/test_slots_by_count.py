"""Workers scaled by a count: it never falls while one of them is at work, and says why (spec A8, S3, A12)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete
from tests.conftest import Valkey
from tests.integration.slots_stage import START_TIMEOUT_S, Stage
from tests.waiting import eventually

from levqor.domain.errors import GuardRefused
from levqor.domain.fleet import Worker
from levqor.fleets.slot_commands import Acts, Asking
from levqor.fleets.slots import Limits
from levqor.fleets.slots_by_count import CHANGED_AFTER_S, ByCount, CountCommands
from levqor.host import SystemClock
from levqor.store.database import Database, database_url
from levqor.store.schema import leases, memories


class CountStage(Stage):
    """The count stands in a file; each of its workers is a slot of the stage's engine."""

    def __init__(self, database: Database, broker: object, folder: Path, *, lists: bool = True) -> None:
        self.file = folder / "count"
        self.file.write_text("0")
        self.lists = lists
        self.again: list[list[Worker]] = []
        super().__init__(database, broker)  # type: ignore[arg-type]

    def lead(self, name: str) -> None:
        super().lead(name)
        limits = Limits(4, START_TIMEOUT_S, frozenset({"default"}))
        asking = Asking(SystemClock(), str)
        python = [sys.executable, "-c"]
        listing = [*python, f"print('x\\n' * int(open({str(self.file)!r}).read()))"] if self.lists else []
        commands = CountCommands(f"sh -c 'printf {{count}} > {self.file}'", listing, asking)
        hands = ByCount(commands, Acts(self.clock, str, 60), limits, self.boot, self.clock, self.look_again)
        self.fleet = self.fleet_with(hands)

    def look_again(self) -> list[Worker]:
        return self.again.pop() if self.again else self.engine.workers()

    @property
    def count(self) -> int:
        return int(self.file.read_text() or 0)

    def reach(self, target: int) -> None:
        """The process manager does as it was told, and the engine lists the workers."""

        def is_there() -> bool:
            report = self.turns(target, every_s=0.1)
            for number in range(1, max(self.count, len(self.up)) + 1):
                if number <= self.count and number not in self.up:
                    self.manager.begin(number)
                elif number > self.count and number in self.up:
                    self.manager.end(number)
            return (self.count, report.running, report.starting) == (target, target, 0)

        eventually(is_there, what=f"a count of {target}")


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(database_url(None, tmp_path_factory.mktemp("count")))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def stage(sqlite: Database, shared_valkey: Valkey, tmp_path: Path) -> Iterator[CountStage]:
    with shared_valkey.client as client:
        with sqlite.write() as connection:
            connection.execute(delete(memories))
            connection.execute(delete(leases))
        stage = CountStage(sqlite, client, tmp_path)
        yield stage
        stage.close()


def test_it_grows_at_once_and_falls_only_once_all_are_idle(stage: CountStage) -> None:
    stage.reach(3)
    stage.engine.jobs = {2: "a"}
    report = stage.turns(1, times=3)
    assert (stage.count, report.running) == (3, 3)
    assert report.why_not == "1 of 3 workers is busy, and by count nobody chooses which one goes"
    stage.engine.jobs = {}
    stage.reach(1)
    assert stage.turns(1).why_not is None


def test_it_grows_also_while_they_are_busy(stage: CountStage) -> None:
    stage.reach(1)
    stage.engine.jobs = {1: "a"}
    stage.reach(2)


def test_what_nobody_knows_is_not_idle(stage: CountStage) -> None:
    stage.reach(2)
    stage.engine.is_down = True
    assert "not known" in (stage.turns(1, times=3).why_not or "")
    stage.engine.is_down = False
    stage.engine.hidden = {2}
    assert "what 1 of 2 workers do is not known" in (stage.turns(1, times=3).why_not or "")
    assert stage.count == 2


def test_it_looks_again_right_before_the_count_falls(stage: CountStage) -> None:
    stage.reach(2)
    stage.engine.jobs = {1: "a"}
    stage.again = [stage.engine.workers()]
    stage.engine.jobs = {}
    report = stage.turns(1)
    assert (stage.count, "1 of 2 workers is busy" in (report.why_not or "")) == (2, True)


def test_a_count_that_others_set_is_told_and_taken(stage: CountStage) -> None:
    stage.reach(2)
    stage.file.write_text("3")
    stage.manager.begin(3)
    report = stage.turns(2, times=2)
    assert (report.outside, stage.count) == (None, 3), "a container that crashed is back within a minute"
    report = stage.turns(2, times=2 + int(CHANGED_AFTER_S / 2))
    assert (report.outside, stage.count) == (3, 3)
    assert stage.turns(3, times=2).outside is None


def test_no_worker_can_be_named(stage: CountStage) -> None:
    stage.reach(1)
    with pytest.raises(GuardRefused, match="restart them with your process manager"):
        stage.fleet.restart(None)


def test_without_a_list_the_engines_workers_are_counted(sqlite: Database, shared_valkey: Valkey, tmp_path: Path) -> None:
    with sqlite.write() as connection:
        connection.execute(delete(memories))
        connection.execute(delete(leases))
    with shared_valkey.client as client:
        stage = CountStage(sqlite, client, tmp_path, lists=False)
        stage.reach(2)
        stage.engine.is_down = True
        report = stage.turns(2)
        assert (report.running, report.problems) == (None, ("the engine does not tell its workers, and SLOTS_LIST is not set",))
        stage.close()
