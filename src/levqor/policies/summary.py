"""What a summary says, in its order: am I fine, then why, then the figures. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from levqor.domain.summary import Period, Summary
from levqor.domain.summary_facts import (
    ActivitySeen,
    BackupSeen,
    BudgetSeen,
    DaySeen,
    DeadSeen,
    DecisionsSeen,
    IncidentSeen,
    Missing,
    MoneySeen,
    ScheduleSeen,
    ServiceSeen,
    VerificationSeen,
)
from levqor.policies import summary_sections as sections
from levqor.policies.summary_words import milliseconds, money, percent, told
from levqor.policies.verdict import Facts, Level, Verdict, judge

SUBJECT_LENGTH = 150
SHORTEST_REASON = 40
SHOWN_REASONS = 6
WORDS = {Level.OK: "Healthy", Level.WATCH: "Watch", Level.ACT: "Act"}


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that was read for one summary."""

    verdict: Facts
    service: ServiceSeen | Missing
    budgets: Sequence[BudgetSeen] | Missing
    incidents: Sequence[IncidentSeen] | Missing
    decisions: DecisionsSeen | Missing
    money: MoneySeen | Missing
    activity: ActivitySeen | Missing
    dead: DeadSeen | Missing
    backup: BackupSeen | Missing
    verification: VerificationSeen | Missing
    schedule: ScheduleSeen | Missing
    days: Sequence[DaySeen] | Missing | None = None
    """Only of a weekly summary."""


def compose(found: Gathered, period: Period) -> Summary:
    """The summary of one period."""
    verdict = judge(found.verdict)
    parts = [
        sections.service(found.service, found.budgets, period),
        sections.incidents(found.incidents, period),
        sections.decisions(found.decisions, period),
        sections.spend(found.money, period),
        sections.activity(found.activity, period),
        sections.dead(found.dead),
        sections.copies(found.backup, found.verification, period),
        sections.schedule(found.schedule, period),
    ]
    if found.days is not None:
        parts.append(sections.days(found.days, found.money.currency if isinstance(found.money, MoneySeen) else None))
    return Summary(
        kind=period.kind,
        period=period.key,
        span=f"{period.said(period.start)} to {period.said(period.end)} ({period.zone})",
        level=verdict.level.value,
        sentence=told(verdict.sentence, 400),
        because=tuple(told(reason) for reason in verdict.because[1 : 1 + SHOWN_REASONS]),
        subject=_subject(verdict, found, period),
        sections=tuple(parts),
        at=period.end,
    )


def _subject(verdict: Verdict, found: Gathered, period: Period) -> str:
    """The verdict, the key figure, and which summary it is: what is cut is the reason, never the rest."""
    tail = told(f"· {_key_figure(found, period)} · Levqor {period.kind} {period.key}", SUBJECT_LENGTH - SHORTEST_REASON)
    reason = f": {verdict.because[0]}" if verdict.because else ""
    return f"{told(f'{WORDS[verdict.level]}{reason}', SUBJECT_LENGTH - len(tail) - 1)} {tail}"


def _key_figure(found: Gathered, period: Period) -> str:
    """Money where a limit is set, else the requests and how slow they were."""
    seen = found.money
    if isinstance(seen, MoneySeen) and seen.limit is not None:
        allowed = seen.limit * period.kind.span.days
        least = "at least " if seen.is_partial else ""
        return f"{least}{money(seen.spent)} {seen.currency}, {percent(float(seen.spent / allowed), 0)} of the limit"
    if isinstance(found.service, ServiceSeen):
        slow = f", P99 {milliseconds(found.service.p99_ms)}" if found.service.p99_ms is not None else ""
        return f"{found.service.requests:,} requests{slow}"
    return "requests unknown" if found.service.is_unknown else "no figures yet"
