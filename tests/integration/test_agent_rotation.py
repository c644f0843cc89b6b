"""A supervised process is replaced without a gap: the new one first (spec I5, P3)."""

import sys
from collections.abc import Callable, Iterator

import pytest
from tests.waiting import eventually

from levqor.agent.process import Command
from levqor.agent.supervisor import Service, Supervisor
from levqor.host import SystemClock

SERVES = """
import os, signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
if "--ready-fd" in sys.argv:
    if {behaviour!r} == "dies": raise SystemExit(3)
    os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"\\n")
while not stop.wait(0.05): pass
"""


class Ticking:
    """A supervisor whose ticks are the waiting."""

    def __init__(self, behaviour: str, tells_ready: bool = True) -> None:
        self.supervisor = Supervisor(f"test-{id(self)}", SystemClock())
        command = Command([sys.executable, "-c", SERVES.format(behaviour=behaviour)])
        self.supervisor.add(Service("control", "web", command, 5.0, tells_ready))
        self.supervisor.tick()

    def until(self, is_so: Callable[[], object]) -> None:
        def ticked() -> object:
            self.supervisor.tick()
            return is_so()

        eventually(ticked, 20, every_s=0.02)

    def pids(self) -> list[int]:
        return [child.identity.pid for child in self.supervisor.children]

    def end(self) -> None:
        self.supervisor.stop(["control"])
        self.until(lambda: self.supervisor.are_stopped(["control"]))


@pytest.fixture(params=["obeys"])
def ticking(request: pytest.FixtureRequest) -> Iterator[Ticking]:
    ticking = Ticking(request.param)
    yield ticking
    ticking.end()


def test_the_new_one_is_begun_before_the_old_one_is_asked_to_end(ticking: Ticking) -> None:
    (old,) = ticking.pids()
    ticking.supervisor.rotate("control")
    ticking.until(lambda: len(ticking.pids()) == 2)
    assert ticking.supervisor.serving("control") in ({"web": old}, {"web": ticking.pids()[0]})
    ticking.until(lambda: len(ticking.pids()) == 1)
    assert ticking.supervisor.serving("control") == {"web": ticking.pids()[0]}
    assert ticking.pids() != [old]
    assert ticking.supervisor.deaths("control") == 0, "no death, no back-off"


@pytest.mark.parametrize("ticking", ["dies"], indirect=True)
def test_a_new_one_that_does_not_come_up_leaves_the_old_one(ticking: Ticking) -> None:
    (old,) = ticking.pids()
    ticking.supervisor.rotate("control")
    ticking.until(lambda: len(ticking.pids()) == 2)
    ticking.until(lambda: ticking.pids() == [old])
    assert ticking.supervisor.deaths("control") == 0


def test_an_end_in_the_midst_of_a_rotation_leaves_nobody(ticking: Ticking) -> None:
    ticking.supervisor.rotate("control")
    ticking.until(lambda: len(ticking.pids()) == 2)
    ticking.end()
    assert ticking.pids() == []


def test_what_cannot_say_that_it_is_ready_is_not_rotated() -> None:
    ticking = Ticking("obeys", tells_ready=False)
    (old,) = ticking.pids()
    assert ticking.supervisor.serving("control") == {}
    ticking.supervisor.rotate("control")
    for _ in range(3):
        ticking.supervisor.tick()
    assert ticking.pids() == [old]
    ticking.end()
