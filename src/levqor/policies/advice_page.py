"""The advice report in words: what acting would have saved or cost, how long jobs would have waited, and where it would have been wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from levqor.domain.advice import RECORDED, Advice, LateSpan, Side
from levqor.domain.summary import Line, Section, Table, Tone
from levqor.policies.summary_words import NOT_KNOWN, counted, money, percent, told

LATE_GOAL = 0.01
"""So many jobs may wait longer than the objective."""

TRUST_FACTOR = 2.0
"""The lab's P95 of what really was may differ from the measured one by so much."""

MINUTE = timedelta(minutes=1)

SHORT_WAIT_S = 1.0
"""Waits below this count as alike: the measured ones are looked at each tick only."""


@dataclass(frozen=True, slots=True)
class AdvicePage:
    """What the report says, in the shape of a summary's page."""

    title: str
    span: str
    level: str
    sentence: str
    because: tuple[str, ...]
    subject: str
    sections: tuple[Section, ...]


def compose_advice(advice: Advice, zone: tzinfo) -> AdvicePage:
    """The page; times in that zone."""
    rule, was = advice.side(advice.rule), advice.side(RECORDED)
    sentence = _sentence(advice, rule, was)
    return AdvicePage(
        title="Levqor advice report",
        span=f"{_at(advice.since, zone)} to {_at(advice.until, zone)}",
        level=_level(advice, rule, was),
        sentence=sentence,
        because=_because(advice, was),
        subject=sentence,
        sections=(_compared(advice), _money(advice, rule, was), _wrong(advice, zone), _proposed(advice, zone)),
    )


def _at(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%a %d %b %H:%M}"


def _sentence(advice: Advice, rule: Side, was: Side) -> str:
    saved = was.worker_h - rule.worker_h
    share = f" ({percent(abs(saved) / was.worker_h, 0)} {'fewer' if saved >= 0 else 'more'})" if was.worker_h else ""
    hours = f"{_hours(rule.worker_h)} worker-hours instead of {_hours(was.worker_h)}{share}"
    waits = f"a P95 wait of {_seconds(rule.p95_wait_s)} instead of {_seconds(was.p95_wait_s)}"
    return f"By rule {advice.rule} it would have been {hours}, with {waits}."


def _level(advice: Advice, rule: Side, was: Side) -> str:
    if rule.late is None or was.late is None:
        return "unknown"
    is_good = rule.late <= max(LATE_GOAL, was.late) and (rule.worker_h <= was.worker_h or rule.late < was.late)
    return "ok" if is_good else "watch"


def _because(advice: Advice, was: Side) -> tuple[str, ...]:
    """What the figures rest on, and whether the lab can be believed here."""
    length = (advice.until - advice.since).total_seconds()
    jobs = f"{counted(advice.jobs, 'job')} of {advice.mean_service_s:.2f} s on average"
    known = f"{jobs} came in the {_hours(advice.covered_s / 3600)} h that are known"
    gaps = length - advice.covered_s
    rest = f"; {_hours(gaps / 3600)} h are not, and are left out on each side" if gaps > 60 else ""
    return (f"{known}{rest}.", _trust(advice.measured, was))


def _trust(measured: Side, was: Side) -> str:
    found = f"With the workers that really ran, the lab finds a P95 wait of {_seconds(was.p95_wait_s)}"
    said = f"{found}; measured were {_seconds(measured.p95_wait_s)}"
    if was.p95_wait_s is None or measured.p95_wait_s is None:
        return f"{said}, so it could not be checked here."
    low, high = sorted((max(was.p95_wait_s, SHORT_WAIT_S), max(measured.p95_wait_s, SHORT_WAIT_S)))
    return f"{said}: {'they agree' if high <= TRUST_FACTOR * low else 'they differ, so take the figures with care'}."


def _compared(advice: Advice) -> Section:
    measured = Side("measured, at the queue's head", *_figures(advice.measured))
    rows = [measured, *advice.sides]
    columns = ("", "worker-hours", "P95 wait", "worst wait", f"later than {advice.objective_s:g} s", "steps up / down")
    table = Table(columns, tuple(_row(side, has_steps=side not in (measured, advice.side(RECORDED))) for side in rows))
    return Section("Each way of having had workers, on the same arrivals", (), table)


def _figures(side: Side) -> tuple[float, float | None, float | None, float | None]:
    return side.worker_h, side.p95_wait_s, side.worst_wait_s, side.late


def _row(side: Side, *, has_steps: bool) -> tuple[str, ...]:
    steps = f"{side.steps_up} / {side.steps_down}" if has_steps else "-"
    name = f"{side.name}, in the lab" if side.name == RECORDED else side.name
    return name, _hours(side.worker_h), _seconds(side.p95_wait_s), _seconds(side.worst_wait_s), percent(side.late), steps


def _money(advice: Advice, rule: Side, was: Side) -> Section:
    saved = was.worker_h - rule.worker_h
    word = "saved" if saved >= 0 else "spent"
    lines = [Line(f"Worker-hours {word}", _hours(abs(saved)), f"of {_hours(was.worker_h)}")]
    if advice.hourly_cost:
        lines.append(Line(f"Money {word}", money(abs(saved) * advice.hourly_cost), f"at {money(advice.hourly_cost)} an hour"))
    else:
        lines.append(Line("Money", NOT_KNOWN, "set WORKER_HOURLY_COST, and the report says it", Tone.UNKNOWN))
    lines.append(Line("Spend guard", "left out", "what the money said then is not recorded with the work"))
    return Section("What it comes to", tuple(lines))


def _wrong(advice: Advice, zone: tzinfo) -> Section:
    if not advice.late_spans:
        return Section(
            "Where it would have been wrong", (Line("Late jobs", "none", f"no job would have waited longer than {advice.objective_s:g} s"),)
        )
    return Section("Where it would have been wrong", tuple(_span_line(span, zone) for span in advice.late_spans))


def _span_line(span: LateSpan, zone: tzinfo) -> Line:
    until = "" if span.end - span.start < MINUTE else f" to {span.end.astimezone(zone):%H:%M}"
    value = f"{counted(span.late, 'late job')}, up to {_seconds(span.worst_wait_s)}"
    really = f"really: {span.was_workers:.1f} workers, oldest wait {_seconds(span.was_worst_wait_s)}"
    return Line(f"{_at(span.start, zone)}{until}", value, really, Tone.WATCH)


def _proposed(advice: Advice, zone: tzinfo) -> Section:
    """What was decided at the time, and not put in force."""
    title = "What it proposed at the time"
    if not advice.proposed:
        return Section(title, (Line("Steps", "none", "no step was decided that was not put in force"),))
    lines = [Line(_at(one.at, zone), f"{one.current} to {one.target}", told(one.reason)) for one in advice.proposed]
    more = advice.proposed_count - len(advice.proposed)
    return Section(title, (*lines, *([Line("Before these", counted(more, "more step"))] if more else ())))


def _hours(hours: float) -> str:
    return f"{hours:,.1f}"


def _seconds(seconds: float | None) -> str:
    return NOT_KNOWN if seconds is None else f"{seconds:,.1f} s"
