"""`replay`: a real arrival trace as real requests and real jobs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json, Url
from levqor.cli.spans import parse_span
from levqor.domain.errors import UsageError

if TYPE_CHECKING:
    from levqor.lab.recording import Recording
    from levqor.lab.replay import Listeners, Player
    from levqor.lab.report import Report
    from levqor.lab.traces import Arrival

FAILED, NOT_MET = 1, 4


def replay(
    trace: Annotated[str, typer.Argument(metavar="TRACE.csv", help="A file with the columns seconds,count, or a shipped trace's name.")],
    speed: Annotated[float, typer.Option(min=0.001, max=1e6, help="Play so many times faster.")] = 1.0,
    minutes: Annotated[float | None, typer.Option(min=0.01, max=1e5, help="End after so many minutes of playing.")] = None,
    start_s: Annotated[float, typer.Option("--from", min=0, metavar="SECONDS", help="Begin at this offset of the trace.")] = 0.0,
    scale: Annotated[float | None, typer.Option(min=0, max=1e6, help="Jobs for each arrival of the trace. Default: 1.")] = None,
    peak_rate: Annotated[float | None, typer.Option(min=0.001, max=1e4, help="Instead: jobs per second in the busiest bin.")] = None,
    service_s: Annotated[float, typer.Option(min=0.001, max=3600, help="Mean length of a job.")] = 1.0,
    sigma: Annotated[float, typer.Option(min=0, max=3, help="Spread of the lengths (log-normal).")] = 0.8,
    seed: Annotated[int, typer.Option(help="The same seed plays the same jobs.")] = 1,
    handler: Annotated[str, typer.Option(help="sleep, cpu, flaky or fail.")] = "sleep",
    queue: Annotated[str | None, typer.Option(help="Post to this queue.")] = None,
    patience: Annotated[str, typer.Option(metavar="SPAN", help="Wait for the last job at most so long.")] = "5m",
    linger: Annotated[str | None, typer.Option(metavar="SPAN", help="Go on watching for so long after the last job.")] = None,
    report_file: Annotated[Path | None, typer.Option("--report", metavar="FILE.html", help="Write a report with charts.")] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Play a real arrival trace against the running service: real requests, real jobs. Ends with a report.

    Exit code 1 if a job was lost, doubled or cut, 4 if jobs had not ended in time.
    """
    from levqor.lab.replay import Player, Target
    from levqor.lab.report import summarise
    from levqor.lab.traces import Plan, find_trace, plan_arrivals

    if scale is not None and peak_rate is not None:
        raise UsageError("--scale and --peak-rate: give one of them")
    if report_file is not None:
        check_writable(report_file)
    length_s = None if minutes is None else minutes * 60
    chosen = find_trace(trace).window(start_s, None if length_s is None else length_s * speed)
    arrivals = plan_arrivals(chosen, Plan(speed, length_s, scale, peak_rate, service_s, sigma, seed))
    base_url, headers, job_headers = credentials(url)
    output.tell(f"playing {len(arrivals)} jobs of {chosen.name} over {arrivals[-1].at_s:.0f} s against {base_url}")
    target = Target(base_url, headers, job_headers, handler, queue, parse_span(patience), 0.0 if linger is None else parse_span(linger))
    with progress(len(arrivals)) as listeners:
        recording = play(Player(target, _clock(), listeners), chosen.name, arrivals)
    report = summarise(recording)
    finish(recording, report, report_file, as_json)
    raise typer.Exit(exit_code(report))


def credentials(url: str | None) -> tuple[str, dict[str, str], dict[str, str]]:
    """The address, the admin's headers and the header that may post jobs."""
    from levqor.cli.service import Service
    from levqor.settings import load

    settings = load().settings
    with Service(settings, url) as service:
        keys = settings.api_keys
        return service.url, service.headers(), {"X-API-Key": keys[0].get_secret_value()} if keys else {}


def _clock() -> Any:
    from levqor.host import SystemClock

    return SystemClock()


def play(player: "Player", name: str, arrivals: "list[Arrival]") -> "Recording":
    """Run one replay to its end."""
    return asyncio.run(player.play(name, arrivals))


def check_writable(path: Path) -> None:
    """Find out before the replay, not after it."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"--report: {path} cannot be written")


@contextmanager
def progress(total: int) -> "Iterator[Listeners]":
    """A progress bar on standard error where that is a terminal; steps are told either way."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from levqor.lab.replay import Listeners

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[fleet]}"))
    screen = output.console(is_talk=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        posting = bar.add_task("posted", total=total, fleet="")
        yield Listeners(
            posted=lambda _: bar.advance(posting),
            sampled=lambda sample: bar.update(posting, fleet=_say_sample(sample)),
            decided=lambda decision: bar.console.print(f"{decision.sentence}", markup=False) if decision.is_step else None,
        )


def _say_sample(sample: Any) -> str:
    from levqor.cli.wording import say_count

    depth = "unknown" if sample.depth is None else f"{sample.depth:.0f}"
    return f"depth {depth}, target {say_count(sample.target)}, running {say_count(sample.running)}"


def finish(recording: "Recording", report: "Report", file: Path | None, as_json: bool) -> None:
    """Write the page, and print the figures."""
    from levqor.lab.page import render_page

    if file is not None:
        file.write_text(render_page(recording, report), encoding="utf-8")
        output.tell(f"report: {file.absolute()}")
    if as_json:
        output.emit_json({**report.as_dict(), "report": None if file is None else str(file.absolute())})
        return
    for line in report_lines(report):
        output.emit(line)


def report_lines(report: "Report") -> list[str]:
    """The figures in words."""
    from levqor.lab.page import say, verdict

    wait = report.wait
    lines = [
        verdict(report),
        f"wait: worst {say(wait.worst_s, ' s')}, P95 {say(wait.p95_s, ' s')}, P50 {say(wait.p50_s, ' s')}",
        f"worker-hours: {say(report.worker_hours)}" + (f" ({report.unknown_s} s not observed)" if report.unknown_s else ""),
        f"requests: {report.requests} sent, {sum(report.refused.values())} refused, {report.unanswered} not answered;"
        f" late by {report.late_p95_s} s (P95), {report.late_worst_s} s (worst)",
    ]
    lines += [f"refused with {code}: {number}" for code, number in report.refused.items()]
    lines += [f"after {step['at_s']:.0f} s: target {step['from']} -> {step['to']}: {step['why']}" for step in report.steps]
    return lines


def exit_code(report: "Report") -> int:
    """0 where every accepted job ended well and once."""
    if report.lost or report.doubled or report.cut or not report.accepted:
        return FAILED
    return NOT_MET if report.unended else 0
