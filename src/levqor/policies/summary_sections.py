"""What each section of a summary says, and how much it asks of its reader. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from levqor.domain.summary import Line, Period, Section, SummaryKind, Table, Tone
from levqor.domain.summary_facts import (
    ActivitySeen,
    BackupSeen,
    BudgetSeen,
    DaySeen,
    DeadSeen,
    DecisionsSeen,
    ForecastSeen,
    IncidentSeen,
    Missing,
    MoneySeen,
    ScheduleSeen,
    ServiceSeen,
    StepSeen,
    TroubleSeen,
    VerificationSeen,
)
from levqor.policies.sparkline import sparkline
from levqor.policies.summary_words import (
    NOT_KNOWN,
    age,
    availability,
    change,
    counted,
    listed,
    milliseconds,
    money,
    percent,
    size,
    told,
    whole,
)

LITTLE_BUDGET = 0.25
"""Below this share an error budget is worth a look."""
MEASURED_MOST = 0.95
"""Below this share of the minutes the period's figures are said to be of a part of it."""
BACKUP_LATE = timedelta(hours=50)
"""Backups are made each day; one may be missed before it is late."""
VERIFICATION_LATE = timedelta(hours=50)
SHOWN_INCIDENTS = 8
SHOWN_TROUBLES = 8


def missing(label: str, part: Missing, instead: str = "nothing yet") -> Line:
    """A part that is not there, as one line; `instead`: what to call it where that is known."""
    return Line(label, NOT_KNOWN if part.is_unknown else instead, told(part.why), Tone.UNKNOWN if part.is_unknown else Tone.PLAIN)


# Service levels


def service(seen: ServiceSeen | Missing, budgets: Sequence[BudgetSeen] | Missing, period: Period) -> Section:
    lines = [_requests(seen, period)] if isinstance(seen, ServiceSeen) else [missing("Requests", seen)]
    if isinstance(budgets, Missing):
        lines.append(missing("Objectives", budgets))
    else:
        figures = _figures(seen)
        lines += [_budget(budget, figures.get(budget.name, NOT_KNOWN), _p99_spark(seen, budget)) for budget in budgets]
    return Section("Service levels", tuple(lines))


def _requests(seen: ServiceSeen, period: Period) -> Line:
    by = "by day" if period.kind is SummaryKind.WEEKLY else "by hour"
    is_part = seen.minutes < MEASURED_MOST * seen.expected_minutes
    part = f"of a part only: {seen.minutes:,} of {seen.expected_minutes:,} minutes were measured" if is_part else ""
    return Line("Requests", whole(seen.requests), listed([by, part]), Tone.UNKNOWN if is_part else Tone.PLAIN, sparkline(seen.requests_by))


def _figures(seen: ServiceSeen | Missing) -> dict[str, str]:
    if isinstance(seen, Missing):
        return {}
    none = "no requests" if seen.requests == 0 else NOT_KNOWN
    return {
        "latency": none if seen.p99_ms is None else milliseconds(seen.p99_ms),
        "errors": none if seen.error_rate is None else percent(seen.error_rate),
        "availability": availability(seen.availability),
    }


def _p99_spark(seen: ServiceSeen | Missing, budget: BudgetSeen) -> str:
    return sparkline(seen.p99_by) if isinstance(seen, ServiceSeen) and budget.name == "latency" else ""


def _budget(budget: BudgetSeen, figure: str, spark: str) -> Line:
    left = "its error budget is unknown" if budget.left is None else f"{percent(budget.left, 0)} of the 30-day error budget left"
    tone = Tone.UNKNOWN if figure == NOT_KNOWN else Tone.PLAIN
    if budget.left is not None and budget.left < LITTLE_BUDGET:
        tone = Tone.ACT if budget.left < 0 else Tone.WATCH
    if budget.burns:
        tone = Tone.ACT
    label = budget.objective[:1].upper() + budget.objective[1:]
    return Line(label, figure, listed([left, *budget.burns]), tone, spark)


# Incidents and decisions


def incidents(seen: Sequence[IncidentSeen] | Missing, period: Period) -> Section:
    if isinstance(seen, Missing):
        return Section("Incidents", (missing("Incidents", seen),))
    lines = [_incident(one, period) for one in seen[:SHOWN_INCIDENTS]]
    if len(seen) > SHOWN_INCIDENTS:
        lines.append(Line("And", f"{len(seen) - SHOWN_INCIDENTS} more", "levqor incidents lists all"))
    return Section("Incidents", tuple(lines or [Line("Incidents", "none")]))


def _incident(seen: IncidentSeen, period: Period) -> Line:
    until = "still open" if seen.is_open or seen.closed_at is None else f"until {period.said(seen.closed_at)}"
    did = ", ".join(seen.recoveries) or "no recovery"
    handed = "handed to a person" if seen.is_escalated else ""
    tone = Tone.PLAIN if not seen.is_open else Tone.ACT if seen.is_escalated else Tone.WATCH
    return Line(f"Incident {seen.id}", told(seen.cause), listed([f"{period.said(seen.opened_at)} {until}", did, handed]), tone)


MODES = {
    "act": "it scales by itself",
    "observe": "it only watches: AUTOSCALE_ENABLED is false",
    "advice": "it only advises: the workers are the team's own",
}


def decisions(seen: DecisionsSeen | Missing, period: Period) -> Section:
    if isinstance(seen, Missing):
        return Section("Decisions", (missing("Decisions", seen),))
    lines = [Line("Steps", f"{seen.ups} up, {seen.downs} down", MODES[seen.mode])]
    if seen.wanted_ups or seen.wanted_downs or seen.mode != "act":
        label = "Held back" if seen.mode == "act" else "Would have done"
        lines.append(Line(label, f"{seen.wanted_ups} up, {seen.wanted_downs} down", "decided, and not put in force"))
    frozen = Tone.WATCH if seen.freezes else Tone.PLAIN
    lines.append(Line("Freezes", whole(seen.freezes), "steps up that spend forbade" if seen.freezes else "", frozen))
    lines += [_step(step, period) for step in seen.latest]
    return Section("Decisions", tuple(lines))


def _step(step: StepSeen, period: Period) -> Line:
    move = f"{step.current} → {step.target}"
    did = "freeze" if step.action == "freeze" else move if step.applied else f"would be {move}"
    return Line(period.said(step.at), did, told(step.reason, 120))


# Money and people


def spend(seen: MoneySeen | Missing, period: Period) -> Section:
    if isinstance(seen, Missing):
        return Section("Spend", (missing("Spend", seen, "not set up"),))
    currency = seen.currency
    span, before = ("24 hours", "the day before") if period.kind is SummaryKind.DAILY else ("7 days", "the week before")
    at_least = "at least " if seen.is_partial else ""
    trend = None if seen.before is None else float(seen.before)
    parts = ", ".join(f"{name} {money(amount)}" for name, amount in seen.by_category if amount)
    unread = f"never read, so in no figure: {', '.join(seen.unread)}" if seen.unread else ""
    stale = f"not read lately: {', '.join(seen.stale)}" if seen.stale else ""
    tone = Tone.UNKNOWN if seen.is_partial else Tone.PLAIN
    note = listed([change(float(seen.spent), trend, before), parts, unread, stale])
    lines = [Line(f"Spent in {span}", f"{at_least}{money(seen.spent)} {currency}", note, tone)]
    if seen.limit is None:
        lines.append(Line("Limit a day", "not set up", "DAILY_SPEND_LIMIT"))
    else:
        lines.append(Line("Limit a day", f"{money(seen.limit)} {currency}", told(seen.guard), Tone.WATCH if seen.is_frozen else Tone.PLAIN))
    if seen.revenue:
        lines.append(Line(f"Revenue in {span}", f"{money(seen.revenue)} {currency}"))
    lines += [missing("Next 30 days", seen.forecast)] if isinstance(seen.forecast, Missing) else _forecast(seen.forecast, currency)
    return Section("Spend", tuple(lines))


def _forecast(seen: ForecastSeen, currency: str) -> list[Line]:
    if seen.total is None or seen.low is None:
        return [Line("Next 30 days", NOT_KNOWN, "there is no history to say it from", Tone.UNKNOWN)]
    band = f"80 % between {money(seen.low)} and {money(seen.high)}"
    lines = [Line("Next 30 days", f"{money(seen.total)} {currency}", listed([band, "little history" if seen.low_data else ""]))]
    if seen.above_limit_on is not None:
        lines.append(Line("Above the limit on", seen.above_limit_on, "the first day that is expected to cost more", Tone.WATCH))
    if seen.budget_used_up_on is not None:
        lines.append(Line("Budget used up on", seen.budget_used_up_on, f"of {seen.budget_key}", Tone.WATCH))
    return lines


def activity(seen: ActivitySeen | Missing, period: Period) -> Section:
    if isinstance(seen, Missing):
        return Section("Active users", (missing("Active users", seen, "not set up"),))
    trend = listed([change(seen.dau, seen.day_before, "the day before"), change(seen.dau, seen.week_before, "a week before")])
    whole_day = listed([trend or "nothing to compare with yet", f"{seen.day:%a %d %b} {seen.zone}"])
    lines = [
        Line("On the last whole day", whole(seen.dau), whole_day, spark=sparkline(seen.daily)),
        _window("In its 7 days", seen.wau, "" if seen.wau is None else change(seen.wau, seen.wau_before, "the 7 days before")),
        _window("In its 30 days", seen.mau, ""),
    ]
    return Section("Active users", tuple(lines))


def _window(label: str, users: int | None, trend: str) -> Line:
    if users is None:
        return Line(label, NOT_KNOWN, "the history is shorter", Tone.UNKNOWN)
    return Line(label, whole(users), trend)


# Jobs, backups, verification, schedule


def dead(seen: DeadSeen | Missing) -> Section:
    if isinstance(seen, Missing):
        return Section("Dead jobs", (missing("Dead letters", seen),))
    if seen.now is None:
        now = Line("Dead letters now", NOT_KNOWN, told(seen.why_unknown), Tone.UNKNOWN, sparkline(seen.over_time))
    else:
        hint = "levqor dead list shows what they died of" if seen.now else ""
        now = Line("Dead letters now", whole(seen.now), hint, Tone.WATCH if seen.now else Tone.PLAIN, sparkline(seen.over_time))
    died = Line("Died in this time", whole(seen.died), tone=Tone.PLAIN if seen.died is not None else Tone.UNKNOWN)
    return Section("Dead jobs", (now, died))


def copies(backup: BackupSeen | Missing, verification: VerificationSeen | Missing, period: Period) -> Section:
    first = missing("Newest backup", backup, "none") if isinstance(backup, Missing) else _backup(backup, period)
    second = missing("Verification", verification, "never") if isinstance(verification, Missing) else _verification(verification, period)
    return Section("Backups and verification", (first, second))


def _backup(seen: BackupSeen, period: Period) -> Line:
    proven = {True: "proven to restore", False: "it is not whole", None: "not yet proven to restore"}[seen.verified]
    is_late = period.end - seen.at > BACKUP_LATE
    tone = Tone.ACT if seen.verified is False else Tone.WATCH if is_late else Tone.PLAIN
    return Line("Newest backup", age(seen.at, period.end), listed([proven, size(seen.size), "late" if is_late else ""]), tone)


def _verification(seen: VerificationSeen, period: Period) -> Line:
    is_late = period.end - seen.at > VERIFICATION_LATE
    failed = f"failed: {told(', '.join(seen.failed))}" if seen.failed else ""
    tone = Tone.ACT if seen.state != "passed" else Tone.WATCH if is_late else Tone.PLAIN
    note = listed([f"{seen.suite}, {age(seen.at, period.end)}", failed, "late" if is_late else ""])
    return Line("Verification", seen.state, note, tone)


def schedule(seen: ScheduleSeen | Missing, period: Period) -> Section:
    if isinstance(seen, Missing):
        return Section("Schedule", (missing("Scheduled jobs", seen),))
    lines = [Line("Scheduled jobs", f"{counted(seen.done, 'run')} done", "" if seen.troubles else "none went wrong")]
    lines += [_trouble(one, period) for one in seen.troubles[:SHOWN_TROUBLES]]
    return Section("Schedule", tuple(lines))


def _trouble(seen: TroubleSeen, period: Period) -> Line:
    times = "" if seen.times == 1 else f"{seen.times} times, last "
    code = "" if not seen.exit_code else f"exit code {seen.exit_code}"
    return Line(told(seen.job, 40), seen.state.replace("_", " "), listed([f"{times}{period.said(seen.last_at)}", code]), Tone.WATCH)


def days(seen: Sequence[DaySeen] | Missing, currency: str | None) -> Section:
    """Day by day; what is not known is a dash."""
    if isinstance(seen, Missing):
        return Section("Day by day", (missing("Days", seen),))
    columns = ("UTC day", "requests", "P99 ms", "errors", "steps", currency or "spend", "users")
    rows = tuple(_day(day) for day in seen)
    return Section("Day by day", (), Table(columns, rows))


def _day(seen: DaySeen) -> tuple[str, ...]:
    dash = "–"
    return (
        f"{seen.day:%a %d}",
        dash if seen.requests is None else whole(seen.requests),
        dash if seen.p99_ms is None else whole(seen.p99_ms),
        dash if seen.error_rate is None else percent(seen.error_rate, 1),
        f"+{seen.ups} -{seen.downs}" if seen.ups or seen.downs else "0",
        dash if seen.spent is None else money(seen.spent),
        dash if seen.users is None else whole(seen.users),
    )
