"""Log continuity: every line whole, and every recovery that the database knows told in `incidents.log` (spec V2, I7)."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from levqor.store.database import Database
from levqor.store.verifications import ended_recoveries
from levqor.verify.checks import NotApplicable, NotAsExpected, must

INCIDENTS = "incidents.log"
OTHERS = ("control.log", "agent.log")
SETTLES_WITHIN = timedelta(minutes=2)
"""A recovery's line follows its row; so long nobody misses it."""
LOOKED_BACK = timedelta(days=7)
WRITTEN_WITHIN_S = 0.5
"""A line that is being written right now is whole by then."""
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Told:
    """What `incidents.log` holds: how many lines, when the oldest was written, and which recoveries are told."""

    lines: int
    since: datetime | None
    recoveries: frozenset[int]


def whole_lines(folder: Path) -> str:
    """Every line of every log is an object of JSON. Raises NotAsExpected naming file and line."""
    count = 0
    for name in (INCIDENTS, *OTHERS):
        for path in _files(folder, name):
            count += sum(1 for _ in _objects(path))
    return f"{count} lines"


def continuity(folder: Path, database: Database, now: datetime) -> str:
    """Each recovery that ended lately has its line. Raises NotApplicable where another host may hold it."""
    told = _told(folder)
    with database.read() as connection:
        ended = ended_recoveries(connection, now - LOOKED_BACK, now - SETTLES_WITHIN)
    missing = [number for number, at in ended if number not in told.recoveries and (told.since is None or at >= told.since)]
    if missing and not database.is_sqlite:
        raise NotApplicable(f"{len(missing)} of {len(ended)} recoveries are not in this host's log; other hosts have their own")
    named = ", ".join(map(str, missing[:MOST_NAMED]))
    must(not missing, f"{len(missing)} recoveries of the database are not in {INCIDENTS}: {named}")
    return f"{told.lines} lines, {len(ended)} recoveries in 7 days"


def _told(folder: Path) -> Told:
    lines, since, recoveries = 0, None, set()
    for path in _files(folder, INCIDENTS):
        for entry in _objects(path):
            lines += 1
            since = since or _moment(entry.get("at"))
            if isinstance(entry.get("recovery_id"), int):
                recoveries.add(int(entry["recovery_id"]))
    return Told(lines, since, frozenset(recoveries))


def _moment(said: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _files(folder: Path, name: str) -> list[Path]:
    """The log and what it was rotated to, the oldest first."""
    rotated = [path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdigit()]
    ordered = sorted(rotated, key=lambda path: int(path.suffix[1:]), reverse=True)
    return [path for path in (*ordered, folder / name) if path.is_file()]


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield _object(path, number, line if line.endswith(b"\n") else line + _rest(file))


def _rest(file: Any) -> bytes:
    """What follows of a last line that was met while it was being written."""
    threading.Event().wait(WRITTEN_WITHIN_S)
    return bytes(file.readline())


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NotAsExpected(f"{path.name}, line {number} is torn: it is no whole object of JSON")
    return found
