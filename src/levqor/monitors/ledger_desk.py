"""What people do with the ledger: look, add a line, bring in a file (spec C1)."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from levqor.domain.errors import UsageError
from levqor.domain.spending import Category, Entry, WrongEntry
from levqor.policies.ledger_rows import COLUMNS, entry_of, key_of_content
from levqor.ports import Clock
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.ledger import write_entries
from levqor.store.ledger_lines import list_entries, sum_entries, time_of
from levqor.store.spend_sources import source_states

ROWS_MAX = 20_000
ERRORS_SHOWN = 20

Row = Mapping[str, str | None]


class WrongRows(UsageError):
    """Rows of a file that are no entries; nothing was written. `errors` holds the line and what is expected of it."""

    def __init__(self, errors: list[tuple[int, str]], wrong: int) -> None:
        self.errors = errors
        more = f"\n  and {wrong - len(errors)} more" if wrong > len(errors) else ""
        super().__init__("nothing was written:\n" + "\n".join(f"  line {line}: {text}" for line, text in errors) + more)


class LedgerDesk:
    """Thread-safe. `configured`: the sources that are read."""

    def __init__(self, database: Database, clock: Clock, configured: Collection[str]) -> None:
        self._database, self._clock, self._configured = database, clock, tuple(configured)

    def ledger(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        source: str | None = None,
        category: Category | None = None,
        limit: int = 1_000,
    ) -> dict[str, Any]:
        """Entries, the newest first, exact sums of all that are meant, and the state of each source. Raises DatabaseDown."""
        chosen: dict[str, Any] = {"since": since, "until": until, "source": source, "category": category}
        with self._database.read() as connection:
            states = source_states(connection, self._clock.now(), self._configured)
            behind = [state["source"] for state in states if state["status"] != "ok"]
            entries = list_entries(connection, **chosen, stale=behind, limit=limit)
            count, sums = sum_entries(connection, **chosen)
        return {"entries": entries, "count": count, "sums": sums, "sources": states}

    def add(self, row: Row, actor: str) -> dict[str, Any]:
        """One entry by hand. Raises UsageError, DatabaseDown."""
        now = self._clock.now()
        try:
            entry = entry_of(row, now, f"added:{uuid.uuid4()}")
        except WrongEntry as error:
            raise UsageError(str(error)) from None
        with self._database.write() as connection:
            if not _says_when(row):
                # Typed again under the same key it is the same entry, and stays where it was.
                at, day = time_of(connection, entry.source, entry.key) or (entry.at, entry.day)
                entry = replace(entry, at=at, day=day)
            changed = write_entries(connection, now, [entry])
            if changed:
                record_change(connection, now, actor, "costs add", after={"source": entry.source, "key": entry.key})
        return {"changed": changed, "key": entry.key, "at": entry.at.isoformat(), "amount": f"{entry.amount:f}", "currency": entry.currency}

    def load(self, rows: Iterable[tuple[int, Row]], actor: str, *, dry_run: bool = False) -> dict[str, Any]:
        """All rows of a file, each with its line's number, or none. Twice changes nothing. Raises WrongRows, DatabaseDown."""
        now = self._clock.now()
        entries = _entries(rows, now)
        changed = 0
        if not dry_run:
            with self._database.write() as connection:
                changed = write_entries(connection, now, entries)
                if changed:
                    record_change(connection, now, actor, "costs import", after={"rows": len(entries), "changed": changed})
        return {"rows": len(entries), "changed": changed, "dry_run": dry_run}


def _entries(rows: Iterable[tuple[int, Row]], now: datetime) -> list[Entry]:
    """Every row as an entry. Raises WrongRows with what is wrong in each."""
    seen: Counter[str] = Counter()
    keys: dict[tuple[str, str], int] = {}
    entries: list[Entry] = []
    errors: list[tuple[int, str]] = []
    for line, row in rows:
        if len(entries) + len(errors) >= ROWS_MAX:
            raise UsageError(f"expected at most {ROWS_MAX} rows in a file: divide it")
        try:
            entry = _entry(row, now, seen)
            first = keys.setdefault((entry.source, entry.key), line)
            if first != line:
                raise WrongEntry(f"key: it is that of line {first} already")
            entries.append(entry)
        except WrongEntry as error:
            errors.append((line, str(error)))
    if errors:
        raise WrongRows(errors[:ERRORS_SHOWN], len(errors))
    return entries


def _entry(row: Row, now: datetime, seen: "Counter[str]") -> Entry:
    if not _says_when(row):
        raise WrongEntry("day: missing (or a time in column at)")
    content = key_of_content(row, 0)
    seen[content] += 1
    return entry_of({name: row.get(name) for name in (*COLUMNS, *row)}, now, key_of_content(row, seen[content]))


def _says_when(row: Row) -> bool:
    return any((row.get(name) or "").strip() for name in ("day", "at"))
