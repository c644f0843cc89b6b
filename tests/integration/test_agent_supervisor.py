"""Children that must always live: restarted, slowed down when they loop, ended within a bound (spec P3)."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clock import ManualClock
from tests.waiting import eventually

from levqor.agent.process import Command, is_marked
from levqor.agent.supervisor import Service, Supervisor

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w').close(); signal.pause()"
PATIENT = "import signal; signal.pause()"
DYING = "raise SystemExit(3)"
STOP_WITHIN_S = 10.0


class House:
    """A supervisor with one service in role `r`, moved on by hand."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.supervisor = Supervisor(f"test-{folder.parent.name}-{folder.name}", clock)

    def serve(self, program: str, *arguments: str) -> None:
        self.supervisor.add(Service("r", "s", Command([sys.executable, "-c", program, *arguments]), STOP_WITHIN_S))

    def until(self, condition: Callable[[], object], what: str) -> None:
        def ticked() -> object:
            self.supervisor.tick()
            return condition()

        eventually(ticked, what=what)

    @property
    def pid(self) -> int | None:
        return next((child.identity.pid for child in self.supervisor.children), None)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path, ManualClock())
    yield house
    house.supervisor.kill(["r"])
    house.until(lambda: house.supervisor.are_stopped(["r"]), "the end")


def test_a_dead_child_is_back_at_once(house: House) -> None:
    house.serve(PATIENT)
    assert house.supervisor.tick()
    first = house.pid
    assert not house.supervisor.tick()
    house.supervisor.children[0].kill_family()
    house.until(lambda: house.pid not in (None, first), "its return")
    assert house.supervisor.deaths("r") == 1


def test_one_that_dies_again_and_again_is_slowed_down(house: House) -> None:
    house.serve(DYING)
    house.until(lambda: house.supervisor.deaths("r") == 5, "five deaths")
    for _ in range(5):
        house.supervisor.tick()
    assert house.pid is None
    house.clock.advance(1.0)
    house.until(lambda: house.supervisor.deaths("r") == 6, "one more try")
    house.clock.advance(1.9)
    house.supervisor.tick()
    assert house.pid is None


def test_a_program_that_is_missing_is_a_death_and_no_end(house: House) -> None:
    house.supervisor.add(Service("r", "s", Command(["./missing"]), STOP_WITHIN_S))
    for _ in range(10):
        house.supervisor.tick()
    assert house.supervisor.deaths("r") == 5


def test_one_that_obeys_ends_and_is_not_started_again(house: House) -> None:
    house.serve(PATIENT)
    house.supervisor.tick()
    house.supervisor.stop(["r"])
    house.until(lambda: house.supervisor.are_stopped(["r"]), "the end")
    house.clock.advance(60)
    house.supervisor.tick()
    assert house.pid is None
    assert house.supervisor.deaths("r") == 0


@pytest.mark.parametrize("beyond", [False, True])
def test_one_that_ignores_sigterm_is_killed_after_its_bound(house: House, tmp_path: Path, beyond: bool) -> None:
    house.serve(STUBBORN)
    house.supervisor.tick()
    eventually((tmp_path / "deaf").exists, what="deafness")
    house.supervisor.stop(["r"])
    house.clock.advance(STOP_WITHIN_S if beyond else STOP_WITHIN_S - 0.1)
    if beyond:
        house.until(lambda: house.supervisor.are_stopped(["r"]), "the end")
    else:
        house.supervisor.tick()
        assert house.supervisor.children[0].is_alive


def test_one_that_was_stopped_hears_that_it_shall_end(house: House) -> None:
    house.serve(PATIENT)
    house.supervisor.tick()
    pid = house.pid
    assert pid is not None
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    house.supervisor.stop(["r"])
    house.until(lambda: house.supervisor.are_stopped(["r"]), "the end")


def test_what_a_child_began_in_another_session_goes_with_it(house: House, tmp_path: Path) -> None:
    program = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {PATIENT!r}], start_new_session=True); "
    house.serve(program + "open('pid', 'w').write(str(p.pid) + '.'); import signal; signal.pause()")
    house.supervisor.tick()
    written = tmp_path / "pid"
    pid = int(
        eventually(lambda: written.exists() and written.read_text(encoding="ascii").endswith(".") and written.read_text("ascii")[:-1])
    )
    mark = house.supervisor.children[0].mark
    assert is_marked(pid, mark)
    house.supervisor.kill(["r"])
    house.until(lambda: house.supervisor.are_stopped(["r"]), "the end")
    assert not is_marked(pid, mark)


ADOPTER = """
import ctypes, subprocess
import psutil
from levqor.agent.process import reap_strangers
from tests.waiting import eventually
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
own = subprocess.Popen(["true"])
subprocess.run(["sh", "-c", "sh -c 'exit 0' & sh -c 'exit 0' &"], check=True)
zombies = lambda: [p.pid for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]
eventually(lambda: len(zombies()) == 3, what="dead strangers")
assert reap_strangers(lambda pid: pid == own.pid) == 2
assert zombies() == [own.pid]
assert own.wait() == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_as_process_1_of_a_container_it_takes_dead_strangers_off_the_table() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", ADOPTER], cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_signals_have_names_in_the_log(caplog: pytest.LogCaptureFixture, house: House) -> None:
    house.serve(PATIENT)
    house.supervisor.tick()
    with caplog.at_level("WARNING", logger="levqor.agent.supervisor"):
        house.supervisor.children[0].kill_family()
        house.until(lambda: house.supervisor.deaths("r") == 1, "its death")
    assert f"signal {signal.SIGKILL.value}" in caplog.text
