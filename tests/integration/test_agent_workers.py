"""Worker processes follow the target, on real processes (spec A8, P3)."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.clock import ManualClock
from tests.integration.standins import HOST, StandinEngine
from tests.waiting import eventually

from levqor.agent.process import Child, Command
from levqor.agent.workers import Ending, GiveBack, Limits, WorkerPool
from levqor.domain.fleet import Worker, WorkerState
from levqor.host import ProcessIdentity, SystemClock
from levqor.ports import Clock

GRACE_S = 120.0
START_TIMEOUT_S = 30.0


class Host:
    """A pool with its engine, moved on by hand."""

    def __init__(self, folder: Path, clock: Clock, agent_id: str = "agent") -> None:
        self.engine = StandinEngine(folder)
        self.gone: list[GiveBack] = []
        self.is_engine_up = True
        self.born: dict[str, ProcessIdentity] = {}
        self.pool = WorkerPool(
            agent_id=f"{agent_id}-{folder.name}",
            host=HOST,
            queues=("default",),
            command=lambda name: Command(self.engine.worker_command(name, ())),
            limits=Limits(START_TIMEOUT_S, GRACE_S),
            clock=clock,
            give_back=self.gone.append,
        )

    def step(self) -> None:
        view = {worker.name: worker for worker in self.engine.workers()} if self.is_engine_up else None
        self.pool.tick(view)
        for child in self.pool.children:
            self.born[child.name] = child.identity
        while self.gone and self.is_engine_up:
            gone = self.gone.pop(0)
            self.engine.give_back(gone.worker, interrupted=gone.ending is Ending.RETURNED)

    def until(self, condition: Callable[[], object], what: str) -> None:
        def stepped() -> object:
            self.step()
            return condition()

        eventually(stepped, what=what)

    def workers(self, *states: WorkerState) -> list[Worker]:
        return [worker for worker in self.pool.state().workers if not states or worker.state in states]

    def has(self, count: int, *states: WorkerState) -> Callable[[], bool]:
        return lambda: len(self.workers(*states)) == count

    def grow(self, target: int) -> list[str]:
        self.pool.target = target
        self.until(self.has(target, WorkerState.IDLE), f"{target} idle workers")
        return [worker.name for worker in self.workers()]

    def occupy(self, *jobs: str) -> None:
        for job in jobs:
            self.engine.submit(job)
        self.until(lambda: all(self.engine.runner_of(job) for job in jobs), "running jobs")
        self.until(lambda: {worker.job_id for worker in self.workers()} >= set(jobs), "sight of them")

    def end(self) -> None:
        self.pool.kill(Ending.LOST)
        self.until(lambda: self.pool.is_empty, "the end of all workers")
        assert not any(identity.is_alive() for identity in self.born.values())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def host(tmp_path: Path, clock: ManualClock) -> Iterator[Host]:
    host = Host(tmp_path, clock)
    yield host
    host.end()


def pid_of(host: Host, name: str) -> int:
    return next(child.identity.pid for child in host.pool.children if child.name == name)


def test_without_a_target_nothing_is_started_or_ended(host: Host) -> None:
    host.step()
    assert host.workers() == []


def test_it_grows_to_the_target_each_in_a_session_of_its_own(host: Host) -> None:
    host.grow(3)
    pids = {worker.pid for worker in host.workers()}
    assert len(pids) == 3
    assert all(os.getsid(pid) == pid for pid in pids if pid is not None)


def test_a_new_worker_is_starting_until_the_engine_lists_it(host: Host) -> None:
    host.engine.behave("mute")
    host.pool.target = 1
    host.step()
    host.step()
    assert [worker.state for worker in host.workers()] == [WorkerState.STARTING]


def test_the_idle_one_is_drained_and_the_busy_one_stays(host: Host) -> None:
    host.grow(2)
    host.occupy("job")
    busy = host.engine.runner_of("job")
    host.pool.target = 1
    host.until(host.has(1), "one worker")
    assert [worker.name for worker in host.workers()] == [busy]


def test_a_busy_one_finishes_its_job_before_it_goes(host: Host) -> None:
    """Spec A8: a step down cuts no job shorter than the grace."""
    host.grow(1)
    host.occupy("job")
    host.pool.target = 0
    host.until(host.has(1, WorkerState.DRAINING), "draining")
    host.step()
    assert host.engine.runner_of("job")
    host.engine.open_gate("job")
    host.until(lambda: host.pool.is_empty, "the end")
    assert (host.engine.folder / "done").read_text(encoding="ascii") == "job\n"
    assert host.pool.state().deaths_10m == 0


def test_of_two_busy_ones_the_later_job_is_drained(host: Host, clock: ManualClock) -> None:
    host.grow(2)
    host.occupy("first")
    clock.advance(5)
    host.occupy("second")
    host.pool.target = 1
    host.until(host.has(1, WorkerState.DRAINING), "draining")
    assert [worker.job_id for worker in host.workers(WorkerState.DRAINING)] == ["second"]


@pytest.mark.parametrize("beyond", [False, True])
def test_after_the_grace_the_job_is_interrupted_and_given_back(host: Host, clock: ManualClock, beyond: bool) -> None:
    """Spec A8; what the job began goes too, even from a session of its own."""
    host.grow(1)
    host.occupy("hard")
    runner, offspring = host.engine.runner_of("hard"), _offspring(host)
    host.pool.target = 0
    host.until(host.has(1, WorkerState.DRAINING), "draining")
    clock.advance(GRACE_S if beyond else GRACE_S - 1)
    for _ in range(3):
        host.step()
    if not beyond:
        assert offspring.is_alive()
        return
    host.until(lambda: host.pool.is_empty and not host.gone, "the end")
    assert not offspring.is_alive()
    assert host.engine.given_back == [(runner, True)]
    assert (host.engine.folder / "queue" / "hard").exists()
    assert host.pool.state().deaths_10m == 0


def _offspring(host: Host) -> ProcessIdentity:
    path = host.engine.folder / "hard.child"
    pid = int(eventually(lambda: path.exists() and path.read_text(encoding="ascii")))
    identity = ProcessIdentity.of(pid)
    assert identity is not None
    return identity


def test_a_draining_worker_that_is_wanted_again_is_replaced_not_called_back(host: Host) -> None:
    (name,) = host.grow(1)
    host.occupy("job")
    host.pool.target = 0
    host.until(host.has(1, WorkerState.DRAINING), "draining")
    host.pool.target = 1
    host.until(host.has(1, WorkerState.IDLE), "a new one")
    assert host.workers(WorkerState.DRAINING)[0].name == name
    assert host.workers(WorkerState.IDLE)[0].name != name


def test_a_killed_worker_is_replaced_and_its_job_goes_back_after_all_it_began_is_gone(host: Host) -> None:
    """Spec E1, P3."""
    (name,) = host.grow(1)
    host.occupy("hard")
    offspring = _offspring(host)
    os.kill(pid_of(host, name), signal.SIGKILL)
    host.until(lambda: host.engine.given_back, "the job given back")
    assert not offspring.is_alive()
    assert host.engine.given_back == [(name, False)]
    host.until(lambda: host.engine.runner_of("hard") not in (None, name), "the job on another worker")
    assert host.pool.state().deaths_10m == 1


def test_no_dead_worker_stays_on_the_process_table(host: Host) -> None:
    for name in host.grow(3):
        os.kill(pid_of(host, name), signal.SIGKILL)
    host.until(lambda: len(host.born) == 6 and host.has(3, WorkerState.IDLE)(), "replacements")
    ours = [process for process in psutil.Process().children() if process.pid in {each.pid for each in host.born.values()}]
    assert [process.status() for process in ours].count(psutil.STATUS_ZOMBIE) == 0


def test_workers_that_die_at_once_are_slowed_down_and_said_to_loop(host: Host, clock: ManualClock) -> None:
    """Spec P3: a crash loop is counted by deaths in a window."""
    host.engine.behave("die")
    host.pool.target = 1
    host.until(lambda: host.pool.state().crash_looping, "the crash loop")
    assert host.pool.state().deaths_10m == 5
    for _ in range(5):
        host.step()
    assert host.workers() == []
    clock.advance(1.0)
    host.until(lambda: host.pool.state().deaths_10m == 6, "one more try")
    clock.advance(1.9)
    host.step()
    assert host.workers() == []
    host.engine.behave("")
    clock.advance(0.1)
    host.until(host.has(1, WorkerState.IDLE), "a worker that lives")
    clock.advance(60)
    assert not host.pool.state().crash_looping


def test_a_worker_that_never_comes_up_is_ended_and_counted_as_dead(host: Host, clock: ManualClock) -> None:
    host.engine.behave("mute")
    host.pool.target = 1
    host.step()
    (first,) = host.workers()
    clock.advance(START_TIMEOUT_S - 1)
    host.step()
    assert [worker.name for worker in host.workers()] == [first.name]
    clock.advance(1)
    host.until(lambda: host.workers() and host.workers()[0].name != first.name, "its replacement")
    assert host.pool.state().deaths_10m == 1


def test_time_in_which_the_engine_cannot_be_asked_is_not_held_against_a_worker(host: Host, clock: ManualClock) -> None:
    """Spec S3: unknown never acts."""
    names = set(host.grow(2))
    host.is_engine_up = False
    for _ in range(5):
        clock.advance(START_TIMEOUT_S)
        host.step()
    host.is_engine_up = True
    host.step()
    assert {worker.name for worker in host.workers(WorkerState.IDLE)} == names


def test_a_worker_that_the_engine_lost_sight_of_is_replaced(host: Host, clock: ManualClock) -> None:
    """A worker that hangs, or a broker that was emptied."""
    (name,) = host.grow(1)
    os.kill(pid_of(host, name), signal.SIGSTOP)
    (host.engine.folder / f"{name}.worker").unlink()
    host.step()
    assert host.workers()[0].state is WorkerState.UNKNOWN
    clock.advance(START_TIMEOUT_S)
    host.until(host.has(1, WorkerState.IDLE), "a replacement")
    clock.advance(GRACE_S)
    host.until(host.has(1), "the end of the one that hangs")
    assert host.workers()[0].name != name


def test_all_are_restarted_one_after_another(host: Host) -> None:
    """Spec I5."""
    before = set(host.grow(3))
    host.pool.restart(None)
    least = 3
    draining = 0
    while set(worker.name for worker in host.workers()) & before:
        host.step()
        least = min(least, len(host.workers()) - len(host.workers(WorkerState.DRAINING)))
        draining = max(draining, len(host.workers(WorkerState.DRAINING)))
    host.until(host.has(3, WorkerState.IDLE), "three new ones")
    assert (least, draining) == (2, 1)
    assert host.pool.state().deaths_10m == 0


def test_one_is_restarted_by_name_and_an_unknown_name_changes_nothing(host: Host) -> None:
    first, second = host.grow(2)
    host.pool.restart("nobody")
    host.pool.restart(first)
    host.until(lambda: host.has(2, WorkerState.IDLE)() and first not in [worker.name for worker in host.workers()], "its replacement")
    assert second in [worker.name for worker in host.workers()]


def test_workers_of_an_earlier_agent_are_adopted_followed_and_ended(tmp_path: Path, clock: ManualClock, host: Host) -> None:
    """Spec P7: an agent that was killed leaves its workers to the next one."""
    names = host.grow(2)
    heir = Host(tmp_path, clock)
    for child in host.pool.children:
        heir.pool.adopt(Child(child.role, child.name, child.identity, child.mark), is_draining=False)
    heir.pool.target = 2
    heir.until(heir.has(2, WorkerState.IDLE), "adopted workers")
    assert {worker.name for worker in heir.workers()} == set(names)
    os.kill(pid_of(heir, names[0]), signal.SIGKILL)
    host.step()
    heir.until(lambda: len(heir.born) == 3 and heir.has(2, WorkerState.IDLE)(), "a replacement for the dead one")
    heir.pool.target = 0
    heir.until(lambda: heir.pool.is_empty, "the end of adopted workers")
    host.end()


def test_a_worker_keeps_no_secret_that_it_does_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec X2: workers get only what they need."""
    monkeypatch.setenv("LEVQOR_ADMIN_TOKEN", "hidden-one")
    monkeypatch.setenv("JWT_SECRET_FILE", "hidden-two")
    monkeypatch.setenv("DATABASE_URL", "kept")
    command = Command([*_sleeper()], {"LEVQOR_REDIS_URL": "redis://kept", "LEVQOR_DATABASE_URL": "hidden-three"}, hides_secrets=True)
    child = Child.spawn("worker", "w", f"m-{tmp_path.name}", command)
    try:
        process = psutil.Process(child.identity.pid)
        # Between fork and exec the child still shows our environment.
        eventually(lambda: "LEVQOR_REDIS_URL" in process.environ(), what="the worker's own program")
        environment = process.environ()
    finally:
        eventually(child.kill_family)
    assert not [value for value in environment.values() if value.startswith("hidden")]
    assert environment["DATABASE_URL"] == "kept"
    assert environment["LEVQOR_REDIS_URL"] == "redis://kept"


def test_a_pid_that_came_back_is_not_our_child(tmp_path: Path) -> None:
    """Spec P3: never a pid alone."""
    own = ProcessIdentity.current()
    impostor = ProcessIdentity(own.host, own.boot_id, own.pid, "1")
    child = Child("worker", "w", impostor, f"m-{tmp_path.name}")
    assert not child.is_alive
    child.terminate()
    assert child.kill_family()


def _sleeper() -> list[str]:
    return ["sleep", "60"]


def test_a_program_that_cannot_be_run_is_a_death_not_an_end(tmp_path: Path) -> None:
    host = Host(tmp_path, SystemClock())
    pool = WorkerPool(
        agent_id="agent",
        host=HOST,
        queues=("default",),
        command=lambda name: Command([str(tmp_path / "missing")]),
        limits=Limits(),
        clock=SystemClock(),
        give_back=host.gone.append,
    )
    pool.target = 1
    for _ in range(8):
        pool.tick({})
    assert pool.state().crash_looping
