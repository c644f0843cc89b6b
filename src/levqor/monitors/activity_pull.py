"""Activity pulled from the team's own database (spec R7)."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import structlog

from levqor.domain.retention import EARLIEST, Event, Mark, Profile, Recorded
from levqor.monitors.retention import RetentionDesk
from levqor.ports import Clock
from levqor.store.team_database import TeamDatabase

OVERLAP = timedelta(hours=1)
"""Each pull begins so long before the newest row it knows: rows that were committed late are found, and none counts twice."""

EVENTS_KEY, USERS_KEY = "pull:events", "pull:users"

log = structlog.get_logger(__name__)


class ActivityPull:
    """What is new in the team's database comes in, each event once. Any number may run at once."""

    def __init__(self, desk: RetentionDesk, clock: Clock, url: str, users_sql: str | None, events_sql: str | None) -> None:
        """`url` is the secret's text. Raises UsageError for a URL that is none."""
        self._desk, self._clock, self._users_sql, self._events_sql = desk, clock, users_sql, events_sql
        self._source = TeamDatabase(url)

    def pull(self) -> dict[str, Any]:
        """Take what is new. `{"ok": true, "users": int, "events": {"accepted","duplicates","not_counted"}, "skipped": int, "since"}`.

        The position moves at the end, so a pull that dies is made up for by the next. Raises UsageError (SQL or its columns
        are wrong), DatabaseDown (their database or ours).
        """
        users, skipped_users = self._pull_users() if self._users_sql is not None else (0, 0)
        recorded, skipped = self._pull_events() if self._events_sql is not None else (Recorded(), 0)
        position = self._desk.position(EVENTS_KEY) or {}
        if skipped + skipped_users:
            log.warning("rows not taken", users=skipped_users, events=skipped)
        answer = {"ok": True, "users": users, "events": asdict(recorded), "skipped": skipped + skipped_users}
        return {**answer, "since": position.get("since")}

    def _pull_users(self) -> tuple[int, int]:
        since, changed, skipped = self._since(USERS_KEY), 0, 0
        newest = since
        with closing(self._source.pages("ANALYTICS_USERS_SQL", self._users_sql or "", ("id", "created_at"), since - OVERLAP)) as pages:
            for page in pages:
                profiles = [found for row in page if (found := self._profile(row)) is not None]
                skipped += len(page) - len(profiles)
                changed += self._desk.set_users(profiles)
                newest = max([newest, *(found.created_at for found in profiles if found.created_at is not None)])
        self._desk.record([], _mark(USERS_KEY, newest))
        return changed, skipped

    def _pull_events(self) -> tuple[Recorded, int]:
        since, recorded, skipped = self._since(EVENTS_KEY), Recorded(), 0
        newest = since
        columns = ("id", "user_id", "ts")
        with closing(self._source.pages("ANALYTICS_EVENTS_SQL", self._events_sql or "", columns, since - OVERLAP)) as pages:
            for page in pages:
                events = [found for row in page if (found := self._event(row)) is not None]
                skipped += len(page) - len(events)
                recorded += self._desk.record(events)
                newest = max([newest, *(event.ts for event in events)])
        self._desk.record([], _mark(EVENTS_KEY, newest))
        return recorded, skipped

    def _since(self, key: str) -> datetime:
        position = self._desk.position(key)
        known = EARLIEST + OVERLAP if position is None else datetime.fromisoformat(position["since"])
        # A row from tomorrow must not hide today's.
        return min(known, self._clock.now())

    def _event(self, row: Any) -> Event | None:
        ts = instant(row.ts)
        if ts is None or row.id is None or row.user_id is None:
            return None
        # In a space of their own: the numbers of a table must not be taken for ids that were posted.
        event = Event(f"pull:{row.id}", str(row.user_id), ts)
        return event if self._desk.problem(event) is None else None

    def _profile(self, row: Any) -> Profile | None:
        created_at = instant(row.created_at)
        if row.id is None or created_at is None:
            return None
        source = getattr(row, "referral_source", None)
        profile = Profile(str(row.id), created_at, None if source is None else str(source)[:100] or None)
        return profile if self._desk.profile_problem(profile) is None else None


def _mark(key: str, newest: datetime) -> Mark:
    return Mark(key, {"since": newest.isoformat()})


def instant(value: object) -> datetime | None:
    """A time as databases give it: a moment (without a zone: UTC), its text, or seconds since 1970. None for anything else."""
    readers: Iterable[tuple[type | tuple[type, ...], Callable[[Any], datetime]]] = (
        (bool, _no_time),
        (datetime, lambda moment: moment),
        (date, lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC)),
        (str, datetime.fromisoformat),
        ((int, float), lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    )
    for kind, read in readers:
        if isinstance(value, kind):
            try:
                found = read(value)
            except (ValueError, OverflowError, OSError):
                return None
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def _no_time(_value: object) -> datetime:
    raise ValueError
