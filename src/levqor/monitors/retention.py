"""Retention: takes activity in, counts who stays, forgets on request (spec R). What the web part and the command line talk to."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from levqor.domain.errors import ConditionNotMet, NotFound, UsageError
from levqor.domain.retention import ActiveDay, DayCount, Event, Mark, Mode, Profile, Recorded, Span, event_problem, profile_problem
from levqor.monitors.retention_answers import cohort_rows, day_row, pools, sticky
from levqor.policies import cohorts
from levqor.policies.cohorts import DAY, days_between
from levqor.ports import Clock
from levqor.store.activity import active_days_between, drop_activity_of, drop_all_activity, lock_activity, record_events
from levqor.store.aggregates import count_from_bitmaps, write_aggregates
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.day_bitmaps import both_between, history_from, is_true, rebuild
from levqor.store.imports import drop_positions, read_position, write_position
from levqor.store.installation import check_zone, move_zone
from levqor.store.users import count_people, erase_user, put_user, put_users, top_sources, user_row

LONGEST = 366
"""Days in one answer."""

MOST_COHORTS = 120
DEFAULT_COHORTS: dict[Span, int] = {Span.DAY: 30, Span.WEEK: 12, Span.MONTH: 12}

BACKFILL_MAX = 3_660
BACKFILL_AT_ONCE = 30
"""Days of one transaction: short enough that events wait for no more than a moment."""


class RetentionDesk:
    """JSON-able answers; raises LevqorError children (UsageError: bad input or another zone; NotFound; ConditionNotMet; DatabaseDown)."""

    def __init__(self, database: Database, clock: Clock, zone: ZoneInfo) -> None:
        """`zone`: what ANALYTICS_TZ says. Nothing is read or written yet."""
        self._database, self._clock, self._zone = database, clock, zone

    @property
    def today(self) -> date:
        """The day that is running in the installation's zone."""
        return self._clock.now().astimezone(self._zone).date()

    def record(self, events: Sequence[Event], mark: Mark | None = None) -> Recorded:
        """Take a batch, each event once by its id; committed when this returns. `mark` is kept in the same transaction (resumable imports).

        Every event must have passed `event_problem`; one that has not raises UsageError and nothing of the batch is taken.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            recorded = record_events(connection, now, events, self._zone)
            if mark is not None:
                write_position(connection, now, mark)
        return recorded

    def problem(self, event: Event) -> str | None:
        """Why this event cannot be taken; None where it can."""
        return event_problem(event, self._clock.now())

    def position(self, key: str) -> dict[str, Any] | None:
        """How far the import or pull of that key has come; None where it has not begun."""
        with self._database.read() as connection:
            return read_position(connection, key)

    def set_user(
        self,
        user_id: str,
        *,
        created_at: datetime | None = None,
        referral_source: str | None = None,
        is_service: bool | None = None,
    ) -> dict[str, Any]:
        """Make a person known, or change what is given (None leaves as is). The answer: `user(user_id)` and `created` (bool).

        Marking somebody as a service takes their past activity out of the counts.
        """
        profile = Profile(user_id, created_at, referral_source, is_service)
        if problem := self.profile_problem(profile):
            raise UsageError(problem)
        now = self._clock.now()
        with self._database.write() as connection:
            lock_activity(connection)
            check_zone(connection, self._zone)
            created = put_user(connection, user_id, self._columns(profile))
            row = user_row(connection, user_id)
            if row is not None and row["is_service"] and row["first_day"] is not None:
                drop_activity_of(connection, now, row["id"], row["first_day"], self._zone)
        return {**self.user(user_id), "created": created}

    def set_users(self, profiles: Sequence[Profile]) -> int:
        """Make many people known at once; how many were new or changed. None of them may be a service (`set_user` is for these)."""
        if problem := next((found for profile in profiles if (found := self.profile_problem(profile))), None):
            raise UsageError(problem)
        with self._database.write() as connection:
            lock_activity(connection)
            check_zone(connection, self._zone)
            return put_users(connection, {profile.user_id: self._columns(profile) for profile in profiles})

    def profile_problem(self, profile: Profile) -> str | None:
        """Why this cannot be kept of a person; None where it can."""
        return profile_problem(profile, self._clock.now())

    def _columns(self, profile: Profile) -> dict[str, Any]:
        created_day = None if profile.created_at is None else profile.created_at.astimezone(self._zone).date()
        said = {"created_day": created_day, "referral_source": profile.referral_source, "is_service": profile.is_service}
        return {name: value for name, value in said.items() if value is not None}

    def user(self, user_id: str) -> dict[str, Any]:
        """`{"id", "first_day", "created_day", "referral_source", "is_service"}`. Raises NotFound."""
        with self._database.read() as connection:
            row = user_row(connection, user_id)
        if row is None:
            raise NotFound("no user has that id")
        return {
            "id": user_id,
            "first_day": _iso(row["first_day"]),
            "created_day": _iso(row["created_day"]),
            "referral_source": row["referral_source"],
            "is_service": row["is_service"],
        }

    def forget(self, user_id: str, actor: str) -> dict[str, Any]:
        """Erase who somebody was: id and referral source; past counts keep an anonymous number. Audited without a name. Raises NotFound."""
        with self._database.write() as connection:
            lock_activity(connection)
            if not erase_user(connection, user_id):
                raise NotFound("no user has that id")
            record_change(connection, self._clock.now(), actor, "users.forget", note="a person was forgotten")
        return {"ok": True, "forgotten": 1}

    def retention(self, days: int = 30) -> dict[str, Any]:
        """Spec R4: `{"ok": true, "zone", "history_from", "metrics": [{"day","dau","wau","mau","is_recorded","wau_complete","mau_complete"}
        ...] newest first, "today": {same, "partial": true}, "stickiness": {"day", "ratio", "mean_7d", "active_days": {"days": 28,
        "users": [on 1 day, on 2, ...]}}, "cohorts": {"d1": {"rate", "retained", "users", "cohorts"}, "d7", "d30"}}`. `days`: 1..366.
        """
        if not 1 <= days <= LONGEST:
            raise UsageError(f"days: expected 1 to {LONGEST}")
        today = self.today
        closed = today - DAY
        reach = max(days + cohorts.MONTH_DAYS, cohorts.POOLED_COHORTS + 30, cohorts.WEEK_DAYS + cohorts.MONTH_DAYS)
        with self._database.read() as connection:
            check_zone(connection, self._zone)
            began = history_from(connection)
            active, newcomers = both_between(connection, today - reach * DAY, today)
        counts = list(cohorts.count_days(active, days_between(closed - (max(days, cohorts.WEEK_DAYS) - 1) * DAY, today), began))
        return {
            "ok": True,
            "zone": self._zone.key,
            "history_from": _iso(began),
            "metrics": [day_row(count) for count in counts[-2 : -2 - days : -1]],
            "today": {**day_row(counts[-1]), "partial": True},
            "stickiness": sticky(active, counts[:-1]),
            "cohorts": pools(newcomers, active, closed, began),
        }

    def cohorts(self, by: Span = Span.DAY, mode: Mode = Mode.ON, count: int | None = None) -> dict[str, Any]:
        """`{"ok": true, "by", "mode", "as_of", "zone", "columns": [0, 1, ...], "cohorts": [{"start", "end", "users",
        "retained": [int|null...], "rates": [float|null...]}] newest first}`; null: that period is not over. `count`: cohorts, 1..120.
        """
        wanted = DEFAULT_COHORTS[by] if count is None else count
        if not 1 <= wanted <= MOST_COHORTS:
            raise UsageError(f"count: expected 1 to {MOST_COHORTS}")
        closed = self.today - DAY
        with self._database.read() as connection:
            check_zone(connection, self._zone)
            began = history_from(connection)
            rows = [] if began is None or began > closed else cohorts.periods(began, closed, by)[-wanted:]
            active, newcomers = both_between(connection, rows[0].start, closed) if rows else ({}, {})
        last_column = cohorts.LAST_COLUMN[by]
        return {
            "ok": True,
            "by": by.value,
            "mode": mode.value,
            "as_of": closed.isoformat(),
            "zone": self._zone.key,
            "columns": list(range(last_column + 1)),
            "cohorts": cohort_rows(cohorts.grid(newcomers, active, rows, closed, mode, last_column)),
        }

    def analytics(self) -> dict[str, Any]:
        """`{"ok": true, "users": {"total", "new_7d", "new_30d", "returning_7d", "returning_30d"}, "referral_sources":
        [{"source": str, "users": int}...] at most 10, "zone", "as_of"}`. The 7 and 30 days end with today; returning: active in them,
        and for the first time before them.
        """
        today = self.today
        starts = [today - (length - 1) * DAY for length in (cohorts.WEEK_DAYS, cohorts.MONTH_DAYS)]
        with self._database.read() as connection:
            check_zone(connection, self._zone)
            total, (new_7d, new_30d) = count_people(connection, starts, today)
            sources = top_sources(connection)
            active, newcomers = both_between(connection, starts[-1], today)
        returning = [
            len(cohorts.window(active, today, (today - start).days + 1) - cohorts.window(newcomers, today, (today - start).days + 1))
            for start in starts
        ]
        return {
            "ok": True,
            "users": {
                "total": total,
                "new_7d": new_7d,
                "new_30d": new_30d,
                "returning_7d": returning[0],
                "returning_30d": returning[1],
            },
            "referral_sources": sources,
            "zone": self._zone.key,
            "as_of": today.isoformat(),
        }

    def aggregate(self, day: date | None = None, backfill: int = 0) -> dict[str, Any]:
        """Write analytics_aggregates for `day` (default: the last closed day), or for the last `backfill` closed days (1..3660).

        Twice changes nothing. `{"ok": true, "zone", "days": [{as in metrics}...], "rebuilt": [days whose bitmap was built anew],
        "changed": int}`. Raises ConditionNotMet for a day that is not over yet, UsageError for both arguments at once.
        """
        wanted = self._closed_days(day, backfill)
        counts: list[DayCount] = []
        rebuilt: list[date] = []
        changed = 0
        for start in range(0, len(wanted), BACKFILL_AT_ONCE):
            some = wanted[start : start + BACKFILL_AT_ONCE]
            with self._database.write() as connection:
                lock_activity(connection)
                check_zone(connection, self._zone)
                untrue = [found for found in some if not is_true(connection, found)]
                for found in untrue:
                    rebuild(connection, found)
                rebuilt += untrue
                done = count_from_bitmaps(connection, some)
                changed += write_aggregates(connection, self._clock.now(), self._zone.key, done)
                counts += done
        return {
            "ok": True,
            "zone": self._zone.key,
            "days": [day_row(count) for count in counts],
            "rebuilt": [found.isoformat() for found in rebuilt],
            "changed": changed,
        }

    def _closed_days(self, day: date | None, backfill: int) -> list[date]:
        today = self.today
        if day is not None and backfill:
            raise UsageError("day: give a day or a backfill, not both")
        if not 0 <= backfill <= BACKFILL_MAX:
            raise UsageError(f"backfill: expected 1 to {BACKFILL_MAX} days")
        if day is None:
            return days_between(today - max(1, backfill) * DAY, today - DAY)
        if day >= today:
            raise ConditionNotMet(f"day: {day} is not over yet in {self._zone.key}: ask again after its end")
        if (today - day).days > 200 * LONGEST:
            raise UsageError("day: expected a day of this century")
        return [day]

    def export(self, start: date | None = None, end: date | None = None) -> Iterator[ActiveDay]:
        """Each person's active days, by day and number, both ends included; read in pages, so that no transaction stays open."""
        after: tuple[date, int] = (start or date.min, -1)
        while True:
            with self._database.read() as connection:
                page = list(active_days_between(connection, after, end))
            if not page:
                return
            yield from page
            after = (page[-1].day, page[-1].number)

    def start_over(self, actor: str) -> dict[str, Any]:
        """Drop all activity and settle on this zone: the way to another ANALYTICS_TZ. Users stay; import or pull the events again."""
        now = self._clock.now()
        with self._database.write() as connection:
            lock_activity(connection)
            drop_all_activity(connection)
            drop_positions(connection)
            move_zone(connection, now, self._zone)
            record_change(connection, now, actor, "retention.start_over", after={"zone": self._zone.key})
        return {"ok": True, "zone": self._zone.key}


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
