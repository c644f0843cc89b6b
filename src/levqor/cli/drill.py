"""`drill`: a real fault on a running stack in a scratch folder, a witness outside of it, and promises kept or broken."""

import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.cli.scratch import await_broker, begin, end, free_port, furnish, running, unwind, wait_until_ready
from levqor.cli.spans import parse_span
from levqor.domain.errors import ConditionNotMet, UsageError

if TYPE_CHECKING:
    from levqor.agent.process import Child
    from levqor.lab.drill import Drill
    from levqor.lab.receiver import Receiver
    from levqor.lab.team import Team
    from levqor.lab.verdicts import Verdict

ALL = "all"
BROKEN = 1


def drill(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A drill's name, or `all`.")],
    outage: Annotated[str, typer.Option("--outage", metavar="20s", help="How long `gone` keeps Levqor away.")] = "20s",
    report_file: Annotated[Path | None, typer.Option("--report", metavar="FILE.md", help="Write a report.")] = None,
    as_json: Json = False,
) -> None:
    """Make a real fault on a stack of its own, with shortened clocks, and see whether every promise is kept.

    Exit code 1 if one is broken. Nothing of a running installation is touched.
    """
    from levqor.cli.replay import check_writable
    from levqor.host import SystemClock
    from levqor.lab.drills import DRILLS
    from levqor.lab.verdicts import page

    chosen = {each: found for each, found in DRILLS.items() if name in (ALL, each, each.partition("-")[0])}
    outage_s = parse_span(outage)
    if not chosen:
        raise UsageError(f"no drill is named {name!r}; there are {', '.join(DRILLS)} and {ALL}")
    if report_file is not None:
        check_writable(report_file)
    signal.signal(signal.SIGTERM, unwind)
    verdicts = [_perform(each, found, outage_s, as_json=as_json) for each, found in chosen.items()]
    if report_file is not None:
        report_file.write_text(page(verdicts, f"{SystemClock().now():%Y-%m-%d %H:%M} UTC"), encoding="utf-8")
        output.tell(f"report: {report_file.absolute()}")
    if as_json:
        output.emit_json({"kept": all(verdict.is_kept for verdict in verdicts), "drills": [verdict.as_dict() for verdict in verdicts]})
    raise typer.Exit(exit_code(verdicts))


def exit_code(verdicts: "list[Verdict]") -> int:
    return 0 if all(verdict.is_kept for verdict in verdicts) else BROKEN


def _perform(name: str, drill: "Drill", outage_s: float, *, as_json: bool) -> "Verdict":
    folder = Path(tempfile.mkdtemp(prefix=f"levqor-drill-{name}-"))
    output.tell(f"drill {name}: {drill.fault}")
    try:
        verdict = play(name, drill, folder, outage_s)
    except ConditionNotMet as error:
        verdict = not_made(name, drill, str(error))
    if not as_json:
        for line in verdict.lines():
            output.emit(line)
    if verdict.is_kept:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        output.tell(f"what it left is in {folder}")
    return verdict


def not_made(name: str, drill: "Drill", why: str) -> "Verdict":
    """What could not be tried was not kept; the other drills go on."""
    from levqor.lab.verdicts import Promise, Verdict

    return Verdict(name, drill.fault, 0.0, (Promise("the drill can be made", False, why),))


def play(name: str, drill: "Drill", folder: Path, outage_s: float) -> "Verdict":
    """One drill on a stack of its own, which is ended whatever happens."""
    from levqor.cli.service import Service
    from levqor.host import SystemClock
    from levqor.lab.drill import WORKERS, perform
    from levqor.lab.drills import FLAGS
    from levqor.lab.receiver import Receiver
    from levqor.lab.stage import Stage

    clock, children, app_port = SystemClock(), list["Child"](), free_port()

    def start(child_name: str, argv: list[str], more: Mapping[str, str]) -> "Child":
        children.append(begin(folder, child_name, argv, more))
        return children[-1]

    with Receiver(clock) as receiver:
        team = None
        try:
            team = _team(drill, folder, start)
            settings = {**settings_of(drill, free_port(), app_port, folder, receiver), **(team.settings() if team is not None else {})}
            configuration = furnish(folder, settings, {**FLAGS, **drill.flags})
            with running(folder, words=team.up_words if team is not None else ()) as up:
                wait_until_ready(configuration, up, folder, WORKERS)
                with Service(configuration.settings) as service:
                    stage = Stage(service.url, service.headers(), folder, clock, receiver, start, app_port, up.identity.pid, team, outage_s)
                return perform(name, drill, stage)
        finally:
            if team is not None:
                team.end_workers()
            for child in reversed(children):
                end(child)


def _team(drill: "Drill", folder: Path, start: "Callable[[str, list[str], Mapping[str, str]], Child]") -> "Team | None":
    """The drill's team with a broker that is not Levqor's, and its workers where Levqor has nothing to do with them."""
    if drill.team is None:
        return None
    from levqor.agent.embedded import EmbeddedStore
    from levqor.lab.drill import WORKERS
    from levqor.lab.team import Team

    broker = EmbeddedStore(folder / "broker", folder / "broker.log")
    url = broker.prepare()
    start("broker", list(broker.command().argv), {})
    await_broker(url)
    team = Team(drill.team, folder / "manager", url)
    team.begin_workers(WORKERS, lambda name, argv: start(name, argv, {}))
    return team


def settings_of(drill: "Drill", port: int, app_port: int, folder: Path, receiver: "Receiver") -> dict[str, Any]:
    """Shortened clocks, the witness's handlers, the sample app's reload, alerts to our own receiver; over them what the drill wants."""
    from levqor.lab.drills import CLOCKS
    from levqor.lab.witness import HANDLERS

    return {
        **CLOCKS,
        "port": port,
        "handlers": HANDLERS,
        "app_reload_command": shlex.join([sys.executable, "-m", "levqor.lab.sample_app", "--reload", str(folder / "app.pid")]),
        "app_ready_url": f"http://127.0.0.1:{app_port}/readyz",
        "alert_webhook_url": receiver.url,
        "alert_webhook_secret": receiver.secret,
        **drill.settings,
    }
