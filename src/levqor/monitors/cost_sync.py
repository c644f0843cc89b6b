"""Reads the sources of spend into the ledger: each apart, page by page, so that it may end or be repeated anywhere (spec C1, C6)."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from levqor.domain.errors import Conflict, SourceDown
from levqor.ports import Clock, SpendSource
from levqor.store.database import Database
from levqor.store.ledger_lines import purge_ledger, write_worker_days
from levqor.store.spend_sources import mark_failed, mark_synced, read_cursor, save_page
from levqor.store.usage import purge_usage

BACKOFF_S = (1.0, 4.0)
"""Waits before the second and the third attempt; then it is left to the next sync."""
LONGEST_WAIT_S = 30.0
"""Who asks to wait for longer is read again at the next sync."""


@dataclass(frozen=True, slots=True)
class SourceResult:
    """What became of one source in one sync."""

    source: str
    outcome: Literal["ok", "down", "busy"]
    changed: int
    error: str | None = None


class CostSync:
    """One per process. `wait` answers True once nothing is to be waited for any more."""

    def __init__(
        self, sources: Sequence[SpendSource], database: Database, clock: Clock, wait: Callable[[float], bool] | None = None
    ) -> None:
        self._sources, self._database, self._clock = tuple(sources), database, clock
        self._wait = threading.Event().wait if wait is None else wait

    @property
    def names(self) -> list[str]:
        return [source.name for source in self._sources]

    def sync(self, only: str | None = None) -> list[SourceResult]:
        """Read every source, or one. A source that is down is named and hinders no other. Raises DatabaseDown."""
        return [self._sync(source) for source in self._sources if only in (None, source.name)]

    def _sync(self, source: SpendSource) -> SourceResult:
        changed = 0
        for wait_s in (*BACKOFF_S, None):
            try:
                for count in self._pages(source):
                    changed += count
            except Conflict:
                return SourceResult(source.name, "busy", changed)
            except SourceDown as error:
                if self._gives_up(error, wait_s):
                    with self._database.write() as connection:
                        mark_failed(connection, self._clock.now(), source.name, str(error))
                    return SourceResult(source.name, "down", changed, str(error))
            else:
                break
        with self._database.write() as connection:
            mark_synced(connection, self._clock.now(), source.name)
        return SourceResult(source.name, "ok", changed)

    def _gives_up(self, error: SourceDown, wait_s: float | None) -> bool:
        """Waits before the next attempt, unless there is to be none."""
        if error.permanent or wait_s is None:
            return True
        longer = max(wait_s, error.retry_after_s or 0.0)
        return longer > LONGEST_WAIT_S or self._wait(longer)

    def _pages(self, source: SpendSource) -> Iterator[int]:
        """Write page after page with its cursor; how many entries each changed. No transaction is open while the network is asked."""
        with self._database.read() as connection:
            cursor = read_cursor(connection, source.name)
        for page in source.pages(cursor):
            with self._database.write() as connection:
                changed = save_page(connection, self._clock.now(), source.name, page, cursor)
            cursor = dict(page.cursor)
            yield changed


class OwnLines:
    """The lines that need no network: the constants' and the worker-hours'. The leader keeps them, whether anybody syncs or not."""

    def __init__(self, constants: SpendSource, currency: str, *, is_configured: bool) -> None:
        self._constants, self._currency, self._is_configured = constants, currency, is_configured

    def keep(self, connection: Connection, now: datetime) -> None:
        """Write what is due, then drop what has been kept long enough; within the leader's transaction."""
        write_worker_days(connection, now, self._currency)
        cursor = read_cursor(connection, self._constants.name)
        for page in self._constants.pages(cursor):
            save_page(connection, now, self._constants.name, page, cursor)
            cursor = dict(page.cursor)
        if self._is_configured:
            mark_synced(connection, now, self._constants.name)
        purge_usage(connection, now)
        purge_ledger(connection, now)
