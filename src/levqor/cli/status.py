"""`status [--watch]`: mode, holds, signals with age and state, target and workers, last decisions."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.autoscale import say_not_applied
from levqor.cli.options import Json, Url
from levqor.cli.service import Service
from levqor.cli.wording import STYLES, label, say_age, say_count, say_hold, say_mode, say_score, say_signal, say_time
from levqor.domain.errors import DependencyDown, LevqorError
from levqor.lab.records import SeenDecision, moment_of

if TYPE_CHECKING:
    from rich.console import RenderableType

LAST_DECISIONS = 5
WATCH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the service said at one moment. `decisions` is None where it did not let us read them."""

    status: dict[str, Any]
    health: dict[str, Any]
    decisions: list[dict[str, Any]] | None
    taken_at: datetime
    lost: str = ""
    """Why the last question had no answer; what is shown is then older than it."""

    def as_dict(self) -> dict[str, Any]:
        more = {"lost": self.lost} if self.lost else {}
        return {**self.status, "queue_health": self.health, "decisions": self.decisions, "taken_at": self.taken_at.isoformat(), **more}


@dataclass(slots=True)
class Watcher:
    """Asks again and again; a lost connection keeps the last answer and says since when."""

    service: Service
    now: Callable[[], datetime]
    last: Snapshot | None = field(default=None)

    def look(self) -> Snapshot:
        """Raises LevqorError where the first question already fails."""
        try:
            self.last = self._ask()
        except LevqorError as error:
            if self.last is None:
                raise
            self.last = Snapshot(self.last.status, self.last.health, self.last.decisions, self.last.taken_at, str(error))
        return self.last

    def _ask(self) -> Snapshot:
        status = self.service.get("/status")
        health = self.service.get("/ops/queue_health")
        return Snapshot(status, health, self._decisions(), self.now())

    def _decisions(self) -> list[dict[str, Any]] | None:
        try:
            answer = self.service.get("/ops/autoscale/decisions", limit=LAST_DECISIONS)
        except DependencyDown:
            raise
        except LevqorError:
            return None
        return list(answer.get("decisions", answer.get("items", [])))


def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    every_s: Annotated[float, typer.Option("--every", min=0.2, max=3600, help="Seconds between looks.")] = 2.0,
    count: Annotated[int, typer.Option("--count", min=0, hidden=True, help="End the watch after so many looks.")] = 0,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Mode, holds, signals with their age and state, target and workers, and the last decisions."""
    from levqor.host import SystemClock

    with Service.at(url, WATCH_TIMEOUT_S if watch else 20.0) as service:
        watcher = Watcher(service, SystemClock().now)
        if watch:
            _watch(watcher, every_s, count, as_json)
            return
        snapshot = watcher.look()
    if as_json:
        output.emit_json(snapshot.as_dict())
    else:
        output.console().print(render(snapshot))


def _watch(watcher: Watcher, every_s: float, count: int, as_json: bool) -> None:
    console, pause, seen = output.console(), threading.Event(), 0
    if as_json or not console.is_terminal:
        while True:
            snapshot = watcher.look()
            if as_json:
                output.emit_json(snapshot.as_dict(), is_line=True)
            else:
                console.print(render(snapshot))
                console.file.flush()
            seen += 1
            if seen == count or pause.wait(every_s):
                return
    from rich.live import Live

    with Live(render(watcher.look()), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while seen != count:
            seen += 1
            pause.wait(every_s)
            live.update(render(watcher.look()), refresh=True)


def render(snapshot: Snapshot) -> "RenderableType":
    """The whole picture, the most urgent first, since a short terminal crops its end; words carry it, colour only helps."""
    from rich.console import Group

    signals = _signals(snapshot.status.get("signals") or {})
    return Group(*_head(snapshot), *_decisions(snapshot), *_workers(snapshot), signals)


def _head(snapshot: Snapshot) -> list["RenderableType"]:
    from rich.text import Text

    lines: list[RenderableType] = []
    if snapshot.lost:
        lines.append(Text(f"CONNECTION LOST: {snapshot.lost}. What follows is from {say_time(snapshot.taken_at)}.", "bold red"))
    status = snapshot.status
    mode = str(status.get("mode"))
    lines.append(Text(f"mode     {say_mode(mode)}", "bold green" if mode == "act" else "bold yellow" if mode == "held" else "bold"))
    lines += [Text(f"hold     {say_hold(hold)}", "yellow") for hold in status.get("holds") or []]
    lines += [Text(f"paused   queue {queue}; `levqor resume {queue}` ends it", "yellow") for queue in status.get("paused_queues") or []]
    flags = status.get("flags") or {}
    if flags.get("error"):
        lines.append(Text(f"flags    not in force, nothing automatic acts: {flags['error']}", "bold red"))
    lines.append(Text(f"workers  target {say_count(status.get('target'))}, running {say_count(status.get('running'))}"))
    if status.get("fleet_kind") == "none":
        lines.append(Text("fleet    the team's own workers: Levqor advises and scales nothing"))
    if any((status.get("promises") or {}).values()):
        lines.append(Text(f"promises {say_score(status['promises'])}"))
    if not (status.get("leader") or {}).get("known", True):
        lines.append(Text("leader   none: nobody decides now", "bold yellow"))
    lines.append(Text(f"measured {say_time(moment_of(status.get('measured_at')))}", "dim"))
    return lines


def _signals(signals: dict[str, dict[str, Any]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table("signal", "now", "age", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, signal in signals.items():
        style = STYLES.get(str(signal.get("state")), "bold yellow")
        table.add_row(label(name), Text(say_signal(name, signal), style), Text(say_age(signal), "dim"))
    return table


def _workers(snapshot: Snapshot) -> list["RenderableType"]:
    from rich.text import Text

    lines: list[RenderableType] = []
    workers = snapshot.health.get("workers")
    if workers is None:
        lines.append(Text("workers unknown: nobody has reported them", "bold yellow"))
    for worker in workers or []:
        job = f" on {worker['job_id']}" if worker.get("job_id") else ""
        lines.append(Text(f"  {worker.get('name')}  {worker.get('state')}{job}"))
    lines += [Text(str(sentence), "bold yellow") for sentence in snapshot.health.get("advice") or []]
    return lines


def _decisions(snapshot: Snapshot) -> list["RenderableType"]:
    from rich.text import Text

    lines: list[RenderableType] = []
    last = snapshot.status.get("last_decision")
    if last:
        decision = SeenDecision.read(last)
        lines.append(Text(f"now      {decision.sentence}{say_not_applied(decision)}", "bold"))
        if decision.next:
            lines.append(Text(f"         {decision.next}", "dim"))
    if snapshot.decisions is None:
        lines.append(Text("decisions are for the admin token: set ADMIN_TOKEN", "dim"))
    for row in snapshot.decisions or []:
        decision = SeenDecision.read(row)
        lines.append(Text(f"{say_time(decision.at)} {decision.sentence}{say_not_applied(decision)}"))
    return lines
