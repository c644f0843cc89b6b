"""`demo`: everything started in a scratch folder, a real trace played at it, each step explained."""

import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.cli.scratch import free_port, furnish, running, unwind, wait_until_ready

if TYPE_CHECKING:
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
BACK_WITHIN_S = 260.0
FAILED, NOT_MET = 1, 4


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

    signal.signal(signal.SIGTERM, unwind)
    clock = SystemClock()
    folder = Path(tempfile.mkdtemp(prefix="levqor-demo-"))
    configuration = prepare(folder, port or free_port())
    commentary = Commentary(clock.monotonic(), clock.monotonic)
    _introduce(folder)
    with running(folder, lambda: keep) as child:
        wait_until_ready(configuration, child, folder)
        commentary.tell(f"ready: {configuration.settings.local_url}")
        recording = _play(configuration, commentary)
        report = summarise(recording)
        _finish(recording, report, commentary, folder, as_json)
        if keep:
            output.tell(f"left running: {configuration.settings.local_url}; `kill {child.identity.pid}` ends it")
    raise typer.Exit(exit_code(report, commentary))


def prepare(folder: Path, port: int) -> "Configuration":
    """Settings and flags of the demo's own, untouched by whatever the environment sets."""
    settings = {"port": port, "scale_down_quiet_s": QUIET_S, "workers_min": 1, "workers_max": 4}
    return furnish(folder, settings, {"AUTOSCALE_ENABLED": True, "WORKER_COUNT": 1})


def _introduce(folder: Path) -> None:
    output.tell(
        f"The demo runs `levqor up` in {folder}: AUTOSCALE_ENABLED=true, WORKER_COUNT=1, and SCALE_DOWN_QUIET_S={QUIET_S}"
        " instead of 600, so that you need not wait for the steps down."
    )
    output.tell(f"It plays an hour of a real trace ({TRACE}) {SPEED:.0f} times faster, as real requests and real jobs.")


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
