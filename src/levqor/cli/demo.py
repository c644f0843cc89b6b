"""`demo`: everything started in a scratch folder, a real trace played at it, each step explained."""

import json
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.domain.errors import DependencyDown

if TYPE_CHECKING:
    from levqor.agent.process import Child
    from levqor.lab.recording import Recording, Sample
    from levqor.lab.records import SeenDecision
    from levqor.lab.report import Report
    from levqor.settings import Configuration

TRACE, TRACE_START_S, TRACE_LENGTH_S = "tweets_crm", 368_400.0, 3_300.0
"""An hour of a real week: quiet, then a burst to twenty times as much, then quiet."""
SPEED = 30.0
PEAK_RATE = 3.5
MEAN_JOB_S = 0.8
QUIET_S = 60
READY_WITHIN_S = 60.0
END_WITHIN_S = 30.0
BACK_WITHIN_S = 260.0
FAILED, NOT_MET, TERMINATED = 1, 4, 143


@dataclass(slots=True)
class Commentary:
    """Tells what happens, a sentence at a time."""

    started_s: float
    now_s: Any
    first_step_s: float | None = None
    running: int | None = None
    told: list[str] = field(default_factory=list)

    def tell(self, sentence: str) -> None:
        after_s = self.now_s() - self.started_s
        line = f"[{int(after_s) // 60}:{int(after_s) % 60:02d}] {sentence}"
        self.told.append(line)
        output.tell(line)

    def decided(self, decision: "SeenDecision") -> None:
        if not decision.is_step:
            return
        if decision.action == "scale_up" and decision.applied and self.first_step_s is None:
            self.first_step_s = self.now_s() - self.started_s
        self.tell(decision.sentence + (f" (not applied: {decision.why_not})" if decision.applied is False else ""))

    def sampled(self, sample: "Sample") -> None:
        if sample.running is not None and sample.running != self.running:
            depth = "an unknown number of" if sample.depth is None else f"{sample.depth:.0f}"
            self.tell(f"{sample.running} worker{'s' if sample.running != 1 else ''} running, {depth} jobs waiting")
            self.running = sample.running


def demo(
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="Port to listen on. Default: a free one.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
    as_json: Json = False,
) -> None:
    """See a fleet grow under a real load and come back, each step explained. Ends by itself in about six minutes.

    Exit code 1 if no step up was seen or a job was lost, 4 if the fleet did not come back to one worker.
    """
    from levqor.host import SystemClock
    from levqor.lab.report import summarise

    signal.signal(signal.SIGTERM, _end)
    clock = SystemClock()
    folder = Path(tempfile.mkdtemp(prefix="levqor-demo-"))
    configuration = prepare(folder, port or free_port())
    commentary = Commentary(clock.monotonic(), clock.monotonic)
    _introduce(folder)
    with running(configuration, folder, keep) as child:
        wait_until_ready(configuration, child, folder)
        commentary.tell(f"ready: {configuration.settings.local_url}")
        recording = _play(configuration, commentary)
        report = summarise(recording)
        _finish(recording, report, commentary, folder, as_json)
        if keep:
            output.tell(f"left running: {configuration.settings.local_url}; `kill {child.identity.pid}` ends it")
    raise typer.Exit(exit_code(report, commentary))


def _end(*_: object) -> None:
    """SIGTERM unwinds, so that what was started is ended."""
    raise SystemExit(TERMINATED)


def prepare(folder: Path, port: int) -> "Configuration":
    """Settings and flags of the demo's own, untouched by whatever the environment sets."""
    from levqor.settings import CONFIG_FILE, load

    settings: dict[str, Any] = {
        "port": port,
        "data": str(folder / "data"),
        "flags": str(folder / "flags.json"),
        "logs": str(folder / "logs"),
        "scale_down_quiet_s": QUIET_S,
        "workers_min": 1,
        "workers_max": 4,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / CONFIG_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "flags.json").write_text(json.dumps({"AUTOSCALE_ENABLED": True, "WORKER_COUNT": 1}, indent=2) + "\n", encoding="utf-8")
    return load(environ={}, folder=folder)


def environment(folder: Path) -> dict[str, str]:
    """Every variable that a setting is read from, emptied: an empty one counts as not set."""
    from levqor.settings import CONFIG_FILE, PREFIX, Settings

    names = [field.upper() for field in Settings.model_fields]
    empty = {f"{prefix}{name}{suffix}": "" for name in names for prefix in (PREFIX, "") for suffix in ("", "_FILE")}
    return {**empty, f"{PREFIX}CONFIG": str(folder / CONFIG_FILE)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _introduce(folder: Path) -> None:
    output.tell(
        f"The demo runs `levqor up` in {folder}: AUTOSCALE_ENABLED=true, WORKER_COUNT=1, and SCALE_DOWN_QUIET_S={QUIET_S}"
        " instead of 600, so that you need not wait for the steps down."
    )
    output.tell(f"It plays an hour of a real trace ({TRACE}) {SPEED:.0f} times faster, as real requests and real jobs.")


@contextmanager
def running(configuration: "Configuration", folder: Path, keep: bool) -> "Iterator[Child]":
    """`levqor up` as a child, ended by SIGTERM whatever happens; `keep` spares it where all went well."""
    from levqor.agent.process import Child, Command

    argv = [sys.executable, "-m", "levqor.cli", "up"]
    command = Command(argv, environment(folder), output=folder / "up.log")
    child = Child.spawn("demo", "up", f"levqor-demo:{folder.name}", command)
    is_kept = False
    try:
        yield child
        is_kept = keep
    finally:
        if not is_kept:
            end(child)


def end(child: "Child") -> None:
    """Ask it to end, wait while it drains, and insist at last."""
    from levqor.host import SystemClock

    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic() + END_WITHIN_S
    child.terminate()
    while child.is_alive and clock.monotonic() < deadline_s:
        pause.wait(0.1)
    if child.is_alive:
        output.tell("it did not end by itself; it is killed now")
        child.kill_family()


def wait_until_ready(configuration: "Configuration", child: "Child", folder: Path) -> None:
    """Raises DependencyDown with the log's last lines where it ends or hangs instead."""
    from levqor.cli.service import Service
    from levqor.domain.errors import LevqorError
    from levqor.host import SystemClock

    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic() + READY_WITHIN_S
    with Service(configuration.settings, timeout_s=2.0) as service:
        while clock.monotonic() < deadline_s and child.is_alive:
            try:
                service.get("/readyz")
                status = service.get("/status")
            except LevqorError:
                status = {}
            # The flags file is imported within a tick; until then the default target is in force.
            if (status.get("target"), status.get("running")) == (1, 1):
                return
            pause.wait(0.2)
    tail = (folder / "up.log").read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    raise DependencyDown("\n  ".join([f"`levqor up` did not become ready; the end of {folder / 'up.log'}:", *tail]))


def _play(configuration: "Configuration", commentary: Commentary) -> "Recording":
    from levqor.cli.replay import play
    from levqor.cli.service import Service
    from levqor.host import SystemClock
    from levqor.lab.replay import Listeners, Player, Target
    from levqor.lab.traces import Plan, find_trace, plan_arrivals

    trace = find_trace(TRACE).window(TRACE_START_S, TRACE_LENGTH_S)
    arrivals = plan_arrivals(trace, Plan(speed=SPEED, peak_rate=PEAK_RATE, service_s=MEAN_JOB_S))
    with Service(configuration.settings) as service:
        headers = service.headers()
    target = Target(configuration.settings.local_url, headers, linger_s=BACK_WITHIN_S, is_over=is_back)
    commentary.tell(f"{len(arrivals)} jobs will come within {arrivals[-1].at_s:.0f} s; the burst begins after about 10 s")
    return play(Player(target, SystemClock(), Listeners(sampled=commentary.sampled, decided=commentary.decided)), TRACE, arrivals)


def is_back(sample: "Sample") -> bool:
    """Is the fleet back at one worker?"""
    return sample.target == 1 and sample.running == 1


def _finish(recording: "Recording", report: "Report", commentary: Commentary, folder: Path, as_json: bool) -> None:
    from levqor.cli.replay import finish

    if commentary.first_step_s is not None:
        commentary.tell(f"the first step up came {commentary.first_step_s:.0f} s after the start")
    if report.target_last == 1 and commentary.first_step_s is not None:
        commentary.tell("the fleet is back at one worker")
    finish(recording, report, folder / "report.html", as_json)


def exit_code(report: "Report", commentary: Commentary) -> int:
    """0 where a step up was seen, no job was lost, and the fleet came back."""
    if commentary.first_step_s is None or report.lost or report.unended or not report.accepted:
        return FAILED
    return 0 if report.target_last == 1 else NOT_MET
