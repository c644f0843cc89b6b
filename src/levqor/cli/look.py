"""`look URL`: what a team's own RQ does now and what is to be mended in it, by its broker's address alone."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import Json
from levqor.cli.spans import say_span
from levqor.cli.wording import say_count, say_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from levqor.engines.rq_facts import DeadGroup, Facts, Queue, Worker
    from levqor.engines.rq_findings import Finding

ROWS = 40
GROUPS = 20
TEXT = 120


def look(
    url: Annotated[str, typer.Argument(metavar="URL", help="The broker: redis://, rediss:// or unix://.")],
    queues: Annotated[str | None, typer.Option("--queues", metavar="A,B", help="These queues only. Default: all that RQ knows.")] = None,
    prefix: Annotated[str, typer.Option("--prefix", envvar="RQ_KEY_PREFIX", help="The prefix of RQ's keys, where you set one.")] = "rq",
    as_json: Json = False,
) -> None:
    """Queues, workers, dead jobs, and what is to be mended, each with the line that mends it.

    Nothing but the address is needed, and nothing is written: neither to the broker nor here.
    """
    from levqor.engines.rq_findings import findings
    from levqor.engines.rq_look import look as look_at
    from levqor.host import SystemClock

    names = [name.strip() for name in (queues or "").split(",") if name.strip()]
    facts = look_at(url, clock=SystemClock(), queues=names, prefix=prefix)
    found = findings(facts)
    if as_json:
        output.emit_json(document(facts, found))
    else:
        _print(facts, found)


def document(facts: "Facts", found: "Sequence[Finding]") -> dict[str, Any]:
    """The answer as JSON. `is_sample`: not all dead jobs were read, so its groups' counts are of those that were."""
    from levqor.engines.rq_findings import start_worker

    dead = facts.dead
    return {
        "broker": facts.place,
        "looked_at": _iso(facts.looked_at),
        "took_s": round(facts.took_s, 3),
        "prefix": facts.prefix,
        "keys": facts.keys,
        "is_rq": facts.has_rq,
        "others": list(facts.others),
        "note": note(facts),
        "server": asdict(facts.server),
        "queues": [asdict(queue) for queue in facts.queues],
        "queues_unread": facts.queues_unread,
        "workers": [
            {**asdict(worker), "heard_at": _iso(worker.heard_at), "started_at": _iso(worker.started_at)} for worker in facts.workers
        ],
        "workers_unread": facts.workers_unread,
        "dead": {
            "total": dead.total,
            "read": dead.read,
            "is_sample": dead.is_sample,
            "groups": [_with_times(group, "newest", "oldest") for group in dead.groups],
        },
        "unserved": [
            {"queue": queue.name, "waiting": queue.waiting, "delayed": queue.delayed, "mend": start_worker(facts, [queue.name])}
            for queue in facts.unserved
        ],
        "findings": [asdict(finding) for finding in found],
    }


def note(facts: "Facts") -> str | None:
    """One sentence where there is no RQ to be seen."""
    if facts.has_rq:
        return None
    if facts.others:
        return f"{' and '.join(facts.others)} is at work here and RQ is not: Levqor reads RQ alone."
    elsewhere = ", ".join(f"{number} ({keys} keys)" for number, keys in facts.server.other_databases)
    hint = f"; other databases are not empty: {elsewhere}" if elsewhere else ""
    if facts.keys == 0:
        return f"The broker is empty{hint}."
    return f"There is no RQ under the prefix `{facts.prefix}` here: is it another one (`--prefix`), or another database{hint}?"


def _with_times(fact: "Worker | DeadGroup", *names: str) -> dict[str, Any]:
    told = asdict(fact)
    return {**told, **{name: _iso(told[name]) for name in names}}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _print(facts: "Facts", found: "Sequence[Finding]") -> None:
    console = output.console()
    server = f"{facts.server.product} {facts.server.version}" if facts.server.version else "its version is unknown"
    console.print(_plain(f"{facts.place}  {server}, {say_count(facts.keys)} keys"))
    sentence = note(facts)
    if sentence:
        console.print(_plain(sentence))
    if facts.queues:
        _print_queues(facts)
    if facts.has_rq:
        _print_workers(facts)
    if facts.dead.total:
        _print_dead(facts)
    _print_findings(found)
    output.tell(f"looked at in {facts.took_s:.1f} s; nothing was written")


def _print_queues(facts: "Facts") -> None:
    busy = [queue for queue in facts.queues if not _is_quiet(queue)]
    shown = sorted(busy, key=lambda queue: (-(queue.oldest_wait_s or 0.0), -(queue.waiting or 0), queue.name))[:ROWS]
    table = _table("queue", "waiting", "oldest wait", "running", "delayed", "dead", "workers")
    for queue in shown:
        oldest = "-" if not queue.waiting else "unknown" if queue.oldest_wait_s is None else say_span(queue.oldest_wait_s)
        crew = None if facts.workers_unread else sum(queue.name in worker.queues for worker in facts.living)
        figures = [say_count(figure) for figure in (queue.running, queue.delayed, queue.dead)]
        _row(table, queue.name, say_count(queue.waiting), oldest, *figures, "none" if crew == 0 else say_count(crew))
    _print_table(table, len(shown))
    _tell_rest(len(busy) - len(shown), "queues")
    if len(facts.queues) > len(busy):
        empty = len(facts.queues) - len(busy)
        output.console().print(_plain(f"{empty} queue{' is' if empty == 1 else 's are'} empty"))
    if facts.queues_unread:
        output.console().print(
            _plain(f"a draw of {len(facts.queues)} queues; {facts.queues_unread} were not read (name them with --queues)")
        )


def _is_quiet(queue: "Queue") -> bool:
    return not any(figure is None or figure for figure in (queue.waiting, queue.running, queue.delayed, queue.dead))


def _print_workers(facts: "Facts") -> None:
    table = _table("worker", "state", "job", "function", "host", "pid", "queues", "heard of", "RQ")
    for worker in facts.workers[:ROWS]:
        heard = "unknown" if worker.silent_s is None else f"{say_span(worker.silent_s)} ago"
        queues = ",".join(worker.queues) or None
        cells = (worker.name, worker.state, worker.job_id, worker.function, worker.host, worker.pid, queues, heard, worker.rq_version)
        _row(table, *("-" if cell is None else str(cell) for cell in cells))
    if not facts.workers:
        output.console().print(_plain("\nno worker is registered"))
        return
    _print_table(table, 1)
    _tell_rest(len(facts.workers) - ROWS + facts.workers_unread, "workers")


def _print_dead(facts: "Facts") -> None:
    dead = facts.dead
    table = _table("dead", "function", "error", "newest", "oldest", "for example")
    for group in dead.groups[:GROUPS]:
        newest, oldest = (say_moment(moment) for moment in (group.newest, group.oldest))
        _row(table, str(group.count), group.function, group.error, newest, oldest, group.sample)
    _print_table(table, len(dead.groups))
    _tell_rest(len(dead.groups) - GROUPS, "groups")
    if dead.is_sample:
        said = f"a sample: the newest {dead.read} of {dead.total} dead jobs were read, so there may be more of each, and older ones"
        output.console().print(_plain(said))


STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "bold yellow"}


def _print_findings(found: "Sequence[Finding]") -> None:
    """A line to be typed stays one line, however narrow the terminal."""
    from rich.text import Text

    console = output.console()
    for finding in found:
        if finding.severity != "ok":
            console.print()
            console.print(Text.assemble((f"{finding.severity:8}", STYLES[finding.severity]), _clean(finding.text)), soft_wrap=True)
            console.print(_plain(f"     -> {_clean(finding.mend)}"), soft_wrap=True)
    fine = [finding.code for finding in found if finding.severity == "ok"]
    if fine:
        console.print(_plain(f"\nfound well: {', '.join(fine)}", "green"))


def _table(*columns: str, show_header: bool = True) -> "Table":
    from rich.table import Table

    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=show_header)


def _row(table: "Table", *cells: str) -> None:
    """What others wrote is text, never markup, and moves no cursor."""
    from rich.text import Text

    table.add_row(*(Text(_clean(cell)) for cell in cells))


def _clean(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= TEXT or " " in shown else f"{shown[: TEXT - 3]}..."


def _plain(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style)


def _print_table(table: "Table", rows: int) -> None:
    if rows:
        output.console().print()
        output.console().print(table)


def _tell_rest(count: int, what: str) -> None:
    if count > 0:
        output.console().print(_plain(f"and {count} {what} more (`--json` lists them)"))
