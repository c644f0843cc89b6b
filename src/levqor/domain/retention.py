"""Who was active, on which day, and what is counted from it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

PROBE = "probe"
"""The kind of event that a health check leaves: taken once like any other, and never counted."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No event is older; what says so has a broken clock."""

AHEAD = timedelta(days=1)
"""So far may a sender's clock be ahead."""

ID_LENGTH = 200
REFERRAL_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Event:
    """One sign of activity. `id` is the sender's own and is taken once; `ts` is aware; `is_service`: not a person, does not count."""

    id: str
    user_id: str
    ts: datetime
    kind: str = "active"
    is_service: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person beside their activity; None: not said, and left as it is."""

    user_id: str
    created_at: datetime | None = None
    referral_source: str | None = None
    is_service: bool | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch: accepted + duplicates is its length; `not_counted` of the accepted are of services and probes."""

    accepted: int = 0
    duplicates: int = 0
    not_counted: int = 0

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(self.accepted + other.accepted, self.duplicates + other.duplicates, self.not_counted + other.not_counted)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file or a pull has come; kept in the transaction that takes its events."""

    key: str
    position: dict[str, object]


@dataclass(frozen=True, slots=True)
class ActiveDay:
    """One line of an export. `user_id` None: a person who was forgotten; the number leads to nobody."""

    day: date
    number: int
    user_id: str | None


@dataclass(frozen=True, slots=True)
class DayCount:
    """Distinct people of a day and of the 7 and 30 days that end with it.

    `is_recorded` False: the day lies before the history's first, so its zeros say nothing. A window is complete once the
    history is as long as it.
    """

    day: date
    dau: int
    wau: int
    mau: int
    is_recorded: bool
    wau_complete: bool
    mau_complete: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """Several cohorts taken together: of so many users so many came again."""

    cohorts: int
    users: int
    retained: int

    @property
    def rate(self) -> float | None:
        """0..1; None where there is nobody to speak of."""
        return self.retained / self.users if self.users else None


class Span(StrEnum):
    """How long one cohort's, and one column's, period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Mode(StrEnum):
    """Who counts as kept: active in exactly that period, or in it or any later one."""

    ON = "on"
    ON_OR_AFTER = "on_or_after"


def text_problem(text: str, longest: int = ID_LENGTH) -> str | None:
    """What is wrong with an id or a referral source; None where nothing is. The text itself is not repeated."""
    if not text or len(text) > longest:
        return f"expected 1 to {longest} characters"
    if not text.isprintable():
        return "expected printable characters only"
    return None


def profile_problem(profile: Profile, now: datetime) -> str | None:
    """Why this cannot be kept of a person; None where it can. The input is not echoed."""
    if problem := text_problem(profile.user_id):
        return f"id: {problem}"
    if profile.referral_source is not None and (problem := text_problem(profile.referral_source, REFERRAL_LENGTH)):
        return f"referral_source: {problem}"
    if profile.created_at is not None and (problem := time_problem(profile.created_at, now)):
        return f"created_at: {problem}"
    return None


def event_problem(event: Event, now: datetime) -> str | None:
    """Why this event cannot be taken; None where it can. The input is not echoed."""
    # All three at once: nearly every event is right, and they come by ten thousands.
    whole = event.id + event.user_id + event.kind
    if not (
        whole.isprintable() and 0 < len(event.id) <= ID_LENGTH and 0 < len(event.user_id) <= ID_LENGTH and 0 < len(event.kind) <= ID_LENGTH
    ):
        for name, text in (("id", event.id), ("user_id", event.user_id), ("kind", event.kind)):
            if problem := text_problem(text):
                return f"{name}: {problem}"
    problem = time_problem(event.ts, now)
    return None if problem is None else f"ts: {problem}"


def time_problem(moment: datetime, now: datetime) -> str | None:
    """Why this cannot be the time of anything here; None where it can."""
    if moment.tzinfo is None:
        return "expected a time with its offset from UTC"
    if moment < EARLIEST:
        return f"before the year {EARLIEST.year}"
    if moment > now + AHEAD:
        return "more than a day in the future"
    return None
