"""Counting people over days: windows, stickiness, cohorts. Arithmetic on sets of users' numbers, and exact."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyroaring import BitMap

from levqor.domain.retention import DayCount, Mode, Pool, Span

DAY = timedelta(days=1)
WEEK_DAYS, MONTH_DAYS = 7, 30
"""Windows end with their day and hold it."""

ACTIVE_DAYS = 28
"""The histogram of active days looks back four whole weeks, so that no weekday weighs more than another."""

POOLED_COHORTS = 30
"""D1, D7 and D30 are pooled over so many newest cohorts whose day is over."""

LAST_COLUMN: dict[Span, int] = {Span.DAY: 30, Span.WEEK: 12, Span.MONTH: 12}

Days = Mapping[date, BitMap]
"""Who was active on each day; a day that is not in it had nobody."""


def union(sets: Iterable[BitMap]) -> BitMap:
    """Everybody who is in any of them."""
    found = list(sets)
    return BitMap.union(*found) if found else BitMap()


def days_between(first: date, last: date) -> list[date]:
    """Both ends included."""
    return [first + n * DAY for n in range((last - first).days + 1)]


def window(active: Days, last: date, length: int) -> BitMap:
    """Who was active on `last` or one of the days before it, `length` days in all."""
    return union(active[day] for day in days_between(last - (length - 1) * DAY, last) if day in active)


def count_days(active: Days, wanted: Iterable[date], history_from: date | None) -> Iterator[DayCount]:
    """DAU, WAU and MAU of each wanted day; `active` must reach 29 days further back."""
    for day in wanted:
        recorded = 0 if history_from is None else max(0, (day - history_from).days + 1)
        yield DayCount(
            day=day,
            dau=len(active.get(day, ())),
            wau=len(window(active, day, WEEK_DAYS)),
            mau=len(window(active, day, MONTH_DAYS)),
            is_recorded=recorded > 0,
            wau_complete=recorded >= WEEK_DAYS,
            mau_complete=recorded >= MONTH_DAYS,
        )


def stickiness(count: DayCount) -> float | None:
    """The share of the month's people who came that day; None where the month is not complete or nobody came in it."""
    return count.dau / count.mau if count.mau_complete and count.mau else None


def mean_stickiness(counts: Sequence[DayCount]) -> float | None:
    """The mean over these days, which evens out the weekend; None unless each of them has one."""
    ratios = [stickiness(count) for count in counts]
    known = [ratio for ratio in ratios if ratio is not None]
    return sum(known) / len(known) if known and len(known) == len(ratios) else None


def active_days(active: Days, last: date, length: int = ACTIVE_DAYS) -> list[int]:
    """How many people were active on exactly 1, 2, ... `length` of the days that end with `last`.

    Each person's count is kept as binary digits, one set per digit, so the work grows with the days and not with the people.
    """
    digits: list[BitMap] = []
    for day in days_between(last - (length - 1) * DAY, last):
        carry = active.get(day, BitMap())
        for place, digit in enumerate(digits):
            digits[place], carry = digit ^ carry, digit & carry
        if carry:
            digits.append(BitMap(carry))
    everybody = union(digits)
    return [len(_with_count(digits, everybody, wanted)) for wanted in range(1, length + 1)]


def _with_count(digits: Sequence[BitMap], everybody: BitMap, wanted: int) -> BitMap:
    if wanted >> len(digits):
        return BitMap()
    found = everybody
    for place, digit in enumerate(digits):
        found = found & digit if wanted >> place & 1 else found - digit
    return found


def kept(newcomers: BitMap, active: BitMap) -> int:
    """One cell: how many of a cohort are among the active."""
    return newcomers.intersection_cardinality(active)


def pooled(newcomers: Days, active: Days, offset: int, closed: date, history_from: date) -> Pool:
    """Of everybody whose first day lies `offset` days before a closed day, how many came on exactly that day; newest cohorts only."""
    newest = closed - offset * DAY
    oldest = max(history_from, newest - (POOLED_COHORTS - 1) * DAY)
    days = [day for day in days_between(oldest, newest) if newcomers.get(day)]
    retained = sum(kept(newcomers[day], active[day + offset * DAY]) for day in days if day + offset * DAY in active)
    return Pool(cohorts=len(days), users=sum(len(newcomers[day]) for day in days), retained=retained)


@dataclass(frozen=True, slots=True)
class Period:
    """A day, a week from Monday, or a calendar month; `end` is its last day."""

    start: date
    end: date


def period_of(day: date, span: Span) -> Period:
    """The period that holds the day."""
    match span:
        case Span.DAY:
            return Period(day, day)
        case Span.WEEK:
            monday = day - day.weekday() * DAY
            return Period(monday, monday + 6 * DAY)
        case Span.MONTH:
            first = day.replace(day=1)
            return Period(first, (first + 31 * DAY).replace(day=1) - DAY)


def periods(first: date, last: date, span: Span) -> list[Period]:
    """The periods that hold the days from `first` to `last`, the oldest first."""
    found = [period_of(first, span)]
    while found[-1].end < last:
        found.append(period_of(found[-1].end + DAY, span))
    return found


@dataclass(frozen=True, slots=True)
class CohortRow:
    """A cohort and how many of it were kept in its own period and each one after; None: that period is not over."""

    period: Period
    users: int
    retained: list[int | None]


def grid(newcomers: Days, active: Days, rows: Sequence[Period], closed: date, mode: Mode, last_column: int) -> list[CohortRow]:
    """The cohorts' table. `rows` are consecutive periods up to the one that holds the last closed day, `closed`."""
    by_period = [union(_within(active, period, closed)) for period in rows]
    if mode is Mode.ON_OR_AFTER:
        for index in range(len(rows) - 2, -1, -1):
            by_period[index] = by_period[index] | by_period[index + 1]
    answer = []
    for index, period in enumerate(rows):
        cohort = union(_within(newcomers, period, closed))
        columns = [index + offset for offset in range(last_column + 1)]
        cells = [kept(cohort, by_period[at]) if at < len(rows) and rows[at].end <= closed else None for at in columns]
        answer.append(CohortRow(period, len(cohort), cells))
    return answer


def _within(days: Days, period: Period, closed: date) -> list[BitMap]:
    known = sorted(days)
    first, last = bisect_left(known, period.start), bisect_left(known, min(period.end, closed) + DAY)
    return [days[day] for day in known[first:last]]
