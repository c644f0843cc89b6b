"""Real runs with their keepers: ended in time with all that they began, never outliving us, and told without secrets."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from tests.clock import ManualClock
from tests.integration.scheduling import World, rows
from tests.waiting import eventually

from levqor.bootstrap.processes import is_surely_gone
from levqor.domain.schedule import Cron, Ended, Job, RunState
from levqor.host import ProcessIdentity
from levqor.host_process import SHOWN_BYTES, HostProcess, HostRunner, shown
from levqor.monitors.scheduler import Scheduler, SchedulerParts
from levqor.store.database import Database
from levqor.store.leases import Lease

DEAF = "import signal, sys, threading\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\nthreading.Event().wait()"


class Scripts:
    """Runs Python scripts, each below a real keeper, as HostRunner runs `levqor`."""

    def __init__(self) -> None:
        self.begun: list[HostProcess] = []

    def start(self, words: Sequence[str], grace_s: float) -> HostProcess:
        command = [sys.executable, "-m", "levqor.keeper", str(grace_s), sys.executable, "-c", *words]
        keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        process = HostProcess(keeper, lambda text: text.replace("s3cret", "***"))
        self.begun.append(process)
        return process


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    made = Scripts()
    yield made
    for process in made.begun:
        process.stop()
        eventually(process.ended, 10, what="its end")


def end_of(process: HostProcess, within_s: float = 15.0) -> Ended:
    found = eventually(process.ended, within_s, what="the end of a run")
    assert found is not None
    return found


def test_what_it_prints_and_how_it_ends_are_kept(scripts: Scripts) -> None:
    """T3."""
    process = scripts.start(["import sys; print('a s3cret'); print('b', file=sys.stderr); sys.exit(4)"], 20)
    assert end_of(process) == Ended(4, "a ***\nb\n")
    assert is_surely_gone(process.identity)


def test_however_much_it_prints_it_does_not_wait_and_the_end_is_kept(scripts: Scripts) -> None:
    found = end_of(scripts.start(["for n in range(200_000): print('line', n, '\\x00\\x1b')"], 20))
    assert found.exit_code == 0
    assert found.output.endswith("line 199999   \n")
    assert len(found.output) <= SHOWN_BYTES


def test_a_secret_is_taken_out_before_the_end_is_cut_off() -> None:
    text = "s3cret" + "x" * (SHOWN_BYTES - 4) + "\nlast"
    assert shown(text, lambda said: said.replace("s3cret", "***")) == "last"
    assert shown("s3cret", lambda said: said.replace("s3cret", "***")) == "***"


def test_one_that_is_deaf_to_sigterm_is_ended_when_its_time_is_up(scripts: Scripts) -> None:
    assert end_of(scripts.start([DEAF], 0.5)) == Ended(-signal.SIGKILL, "deaf\n", timed_out=True)


def test_whatever_it_began_is_ended_with_it(scripts: Scripts, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"""
import subprocess, sys, pathlib
child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
pathlib.Path({str(note)!r}).write_text(str(child.pid))
"""
    assert end_of(scripts.start([script], 20)).exit_code == 0
    eventually(lambda: ProcessIdentity.of(int(note.read_text())) is None, what="the grandchild's end")


def test_it_does_not_outlive_whoever_began_it(tmp_path: Path) -> None:
    """P3: also where that one is killed."""
    note = tmp_path / "pid"
    run = f"import os, pathlib, threading; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); threading.Event().wait()"
    beginner = f"""
import subprocess, sys, threading
command = [sys.executable, "-m", "levqor.keeper", "60", sys.executable, "-c", {run!r}]
subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
threading.Event().wait()
"""
    process = subprocess.Popen([sys.executable, "-c", beginner])
    eventually(lambda: note.exists() and note.read_text(), 15, what="the run")
    run_pid = int(note.read_text())
    assert ProcessIdentity.of(run_pid) is not None
    process.kill()
    process.wait(10)
    eventually(lambda: ProcessIdentity.of(run_pid) is None, 10, what="the run's end")


def test_a_keeper_that_was_killed_says_nothing(scripts: Scripts) -> None:
    process = scripts.start(["import threading; threading.Event().wait(3)"], 20)
    os.kill(ProcessIdentity.parse(process.identity).pid, signal.SIGKILL)
    found = end_of(process)
    assert (found.exit_code, "said nothing" in found.output) == (None, True)


def test_the_runner_runs_levqor_with_the_settings_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS_MAX", "7")
    runner = HostRunner({"LEVQOR_WORKERS_MIN": "3"}, lambda text: text)
    processes = [runner.start(("config", "show", name), 30) for name in ("WORKERS_MAX", "WORKERS_MIN")]
    found = [end_of(process, 20) for process in processes]
    assert [one.exit_code for one in found] == [0, 0]
    assert [number in one.output for number, one in zip("73", found, strict=True)] == [True, True]


def test_a_job_that_hangs_is_ended_and_told_while_others_run(database: Database, scripts: Scripts) -> None:
    """T1, T2: a real child that ignores SIGTERM."""
    clock, world = ManualClock(), World()
    jobs = [
        Job(id="hangs", summary="", trigger=Cron("*", "0"), words=(DEAF,), grace=timedelta(seconds=0.5)),
        Job(id="works", summary="", trigger=Cron("*", "0"), words=("print('fine')",)),
    ]
    lease = Lease(database, clock, "a", is_dead=world.is_gone)
    scheduler = Scheduler(SchedulerParts(jobs, scripts, database, lease, clock, "a", is_surely_gone))
    lease.attempt()
    scheduler.turn()
    clock.advance(3_600)
    lease.attempt()
    scheduler.turn()

    def is_over() -> bool:
        lease.attempt()
        scheduler.turn()
        return all(not run.state.is_open for run in rows(database))

    eventually(is_over, 20, what="the end of both")
    told = {run.job: (run.state, run.output) for run in rows(database)}
    assert told == {"hangs": (RunState.TIMED_OUT, "deaf\n"), "works": (RunState.DONE, "fine\n")}
    assert list(scheduler.causes()) == ["schedule:hangs"]


def test_a_stop_ends_real_runs(database: Database, scripts: Scripts) -> None:
    clock = ManualClock()
    job = Job(id="waits", summary="", trigger=Cron("*", "0"), words=("import threading; threading.Event().wait()",))
    lease = Lease(database, clock, "a")
    scheduler = Scheduler(SchedulerParts([job], scripts, database, lease, clock, "a", is_surely_gone))
    lease.attempt()
    scheduler.turn()
    clock.advance(3_600)
    lease.attempt()
    scheduler.turn()
    scheduler.close()
    assert [run.state for run in rows(database)] == [RunState.STOPPED]
    assert is_surely_gone(scripts.begun[0].identity)
