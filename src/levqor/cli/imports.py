"""`import activity`: a file of events into the database, a batch at a time; broken off, it goes on where it was."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from levqor.cli import output
from levqor.cli.event_columns import Reading, parse_mapping, sources
from levqor.cli.event_files import HEAD_BYTES, EventFile, Head, Layout, opened
from levqor.cli.options import DryRun, Json
from levqor.domain.errors import UsageError
from levqor.domain.retention import Event, Mark, Recorded

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

BATCH = 10_000
SHOWN = 20
KEPT_ERRORS = 1_000
DELIMITERS = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";"}

Record = Callable[[list[Event], Mark | None], Recorded]
"""Takes a batch and the place after it; a dry run only counts."""


@app.callback()
def imports() -> None:
    """Bring data in from a file. Needs no running service: it writes to the database itself."""


@dataclass(slots=True)
class Tally:
    """What one run came to."""

    recorded: Recorded = field(default_factory=Recorded)
    wrong: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    stopped_at: int | None = None
    first_line: int = 0
    last_line: int = 0

    @property
    def has_failed(self) -> bool:
        return self.stopped_at is not None or bool(self.wrong and not self.recorded.accepted and not self.recorded.duplicates)

    def refuse(self, line: int, detail: str) -> None:
        self.wrong += 1
        if len(self.errors) < KEPT_ERRORS:
            self.errors.append({"line": line, "detail": detail})
        if self.wrong <= SHOWN:
            output.tell(f"line {line}: {detail}")


@dataclass(slots=True)
class Import:
    """One run over one file."""

    file: EventFile
    layout: Layout
    names: tuple[str, ...]
    reading: Reading
    record: Record
    key: str | None
    """Under which the place is kept; None where there is none to go back to."""
    head: Head
    is_strict: bool
    tally: Tally = field(default_factory=Tally)
    events: list[Event] = field(default_factory=list)
    kept_offset: int = 0

    def run(self) -> Tally:
        """Read to the end, a batch at a time."""
        lines = self.file.lines
        self.tally.first_line, self.kept_offset = lines.number + 1, lines.offset
        done = (lines.offset, lines.number)
        with _progress(self.file) as advance:
            for row in self.file.rows(self.layout, self.names):
                if not self._take(row.line, row.fields) and self.is_strict:
                    self.tally.stopped_at = row.line
                    break
                done = (lines.offset, lines.number)
                if len(self.events) >= BATCH:
                    self._commit(done)
                    advance(self.tally)
            else:
                done = (lines.offset, lines.number)
            self._commit(done)
            advance(self.tally)
        return self.tally

    def _take(self, line: int, fields: Mapping[str, Any] | ValueError) -> bool:
        try:
            if isinstance(fields, ValueError):
                raise fields
            self.events.append(self.reading.event(line, fields))
        except ValueError as error:
            self.tally.refuse(line, str(error))
            return False
        return True

    def _commit(self, done: tuple[int, int]) -> None:
        """The batch and the place after it, in one transaction."""
        offset, line = done
        self.tally.last_line = line
        if not self.events and offset == self.kept_offset:
            return
        mark = (
            None
            if self.key is None
            else Mark(self.key, {"offset": offset, "line": line, "head": self.head.digest, "head_bytes": self.head.length})
        )
        self.tally.recorded += self.record(self.events, mark)
        self.events, self.kept_offset = [], offset


@app.command("activity")
def activity(
    path: Annotated[str, typer.Argument(metavar="FILE", help="CSV or a JSON object a line, also packed with gzip; `-`: standard input.")],
    mapping: Annotated[
        str | None, typer.Option("--map", metavar="FIELD=COLUMN,...", help="Which column is user_id, ts, id, kind, is_service.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--format", metavar="csv|ndjson", help="Default: by the first character.")] = None,
    delimiter: Annotated[str, typer.Option("--delimiter", metavar="CHAR", help="Of CSV: a character, `tab` or `space` (any run).")] = ",",
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B,...", help="Names of the columns of a CSV file that has no header.")
    ] = None,
    tz: Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="Zone of times that name none. Default: ANALYTICS_TZ.")] = None,
    ts_format: Annotated[str | None, typer.Option("--ts-format", metavar="FORMAT", help="As of strptime: %d/%m/%Y.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first line that is wrong.")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Do not go on where an earlier run ended.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take the events of a file, each once. Run again, it goes on where it ended; lines that are wrong are named and left out.

    Exit code 1 if --strict stopped it, or if no line could be taken.
    """
    from levqor.bootstrap.retention import retention_alone
    from levqor.host import SystemClock
    from levqor.settings import load

    configuration = load()
    zone_name = tz or configuration.settings.analytics_tz
    with opened(path) as file:
        layout = Layout(_kind(kind, file), _delimiter(delimiter), _columns(columns))
        head = file.head(HEAD_BYTES) if file.is_resumable else Head(0, "")
        names = file.header(layout) if layout.kind == "csv" else None
        found = sources(parse_mapping(mapping), names)
        reading = Reading(found, _zone(zone_name), ts_format, SystemClock().now())
        run = Import(file, layout, names or (), reading, _count, None, head, strict)
        if dry_run:
            run.run()
        else:
            with retention_alone(configuration) as desk:
                run.record = desk.record
                if file.is_resumable:
                    run.key = _key(path, found, layout, f"{zone_name} {ts_format}")
                    _resume(file, None if from_start else desk.position(run.key))
                run.run()
    _say(path, run.tally, dry_run, as_json)
    if run.tally.has_failed:
        raise typer.Exit(1)


def _count(events: list[Event], _: Mark | None) -> Recorded:
    return Recorded(accepted=len(events))


def _kind(given: str | None, file: EventFile) -> str:
    if given is None:
        return "ndjson" if file.first_byte() == b"{" else "csv"
    if given not in ("csv", "ndjson"):
        raise UsageError("--format: expected csv or ndjson")
    return given


def _delimiter(given: str) -> str:
    found = DELIMITERS.get(given, given)
    if len(found) != 1 or found in '\r\n"':
        raise UsageError(f"--delimiter: expected one character, or {', '.join(DELIMITERS)}")
    return found


def _columns(given: str | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    found = tuple(name.strip() for name in given.split(","))
    if len(set(found)) != len(found):
        raise UsageError("--columns: a name is given twice")
    return found


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError("--tz: expected a time zone such as Europe/London") from None


def _key(path: str, columns: Mapping[str, str], layout: Layout, times: str) -> str:
    """Which file, read how: read in another way it is begun anew."""
    said = f"{Path(path).resolve()}\0{sorted(columns.items())}\0{layout}\0{times}"
    return "file:" + hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _resume(file: EventFile, position: dict[str, Any] | None) -> None:
    """Go on where an earlier run ended, unless the file has another beginning now: then it is another file."""
    if position is None:
        return
    place = (file.lines.offset, file.lines.number)
    if file.head(position["head_bytes"]).digest != position["head"]:
        output.tell("another file was here before: from the start")
        file.go_to(*place)
        return
    file.go_to(position["offset"], position["line"])
    output.tell(f"going on after line {position['line']}, where an earlier run ended (--from-start: from the start)")


@contextmanager
def _progress(file: EventFile) -> Iterator[Callable[[Tally], None]]:
    """A bar on a terminal; nothing where there is none."""
    console = output.console(is_talk=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    with Progress(BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("", total=file.size)

        def advance(tally: Tally) -> None:
            bar.update(task, completed=file.read_so_far(), description=f"{tally.recorded.accepted} events, line {file.lines.number}")

        yield advance


def _say(path: str, tally: Tally, dry_run: bool, as_json: bool) -> None:
    found = {
        "file": path,
        "dry_run": dry_run,
        "first_line": tally.first_line,
        "last_line": tally.last_line,
        "accepted": tally.recorded.accepted,
        "duplicates": tally.recorded.duplicates,
        "not_counted": tally.recorded.not_counted,
        "wrong": tally.wrong,
        "stopped_at": tally.stopped_at,
    }
    if tally.wrong > SHOWN:
        output.tell(f"... and {tally.wrong - SHOWN} more lines are wrong")
    if as_json:
        output.emit_json({**found, "errors": tally.errors})
        return
    if tally.stopped_at is not None:
        output.tell(f"stopped at line {tally.stopped_at}; what came before it is {'good' if dry_run else 'taken'}")
    verb = "dry run, nothing was taken; it would take" if dry_run else "took"
    output.emit(f"{verb} {tally.recorded.accepted} events; {tally.recorded.duplicates} were known already; {tally.wrong} lines are wrong")
