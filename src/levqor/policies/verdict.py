"""The verdict: one sentence for somebody who has just been woken, and how much it asks of them."""

from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How much the installation asks of a person. Only `act` is red."""

    OK = "ok"
    WATCH = "watch"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verdict is made of. None is unknown, never zero; `spent_share` is today's spend over the limit, 0..1 and more."""

    database_problem: str | None = None
    leads: bool = True
    pages: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    open_incidents: int = 0
    escalated: int = 0
    unknown: tuple[str, ...] = ()
    is_frozen: bool = False
    hold: str | None = None
    target: int | None = None
    running: int | None = None
    depth: float | None = None
    oldest_wait_s: float | None = None
    dead: float | None = None
    spent_share: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The level, the sentence, and each thing that made it more than `ok`, the gravest first."""

    level: Level
    sentence: str
    because: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, object]:
        return {"level": self.level.value, "sentence": self.sentence, "because": list(self.because)}


def judge(facts: Facts) -> Verdict:
    """The gravest level that any fact asks for, and a sentence that begins with why."""
    grave, minor = _grave(facts), _minor(facts)
    if grave:
        return Verdict(Level.ACT, f"Act: {grave[0]}. {_figures(facts)}", (*grave, *minor))
    if minor:
        return Verdict(Level.WATCH, f"Watch: {minor[0]}. {_figures(facts)}", tuple(minor))
    return Verdict(Level.OK, f"Healthy. {_figures(facts)}")


def _grave(facts: Facts) -> list[str]:
    """What needs a person now."""
    found = []
    if facts.database_problem is not None:
        found.append(f"the database does not answer, so nothing automatic acts ({facts.database_problem})")
    elif not facts.leads:
        found.append("no autopilot leads, so nothing automatic acts")
    if facts.escalated:
        found.append(f"{_count(facts.escalated, 'incident')} handed to a person")
    return [*found, *facts.pages]


def _minor(facts: Facts) -> list[str]:
    """What is worth a look, and is being looked after."""
    found = []
    others = facts.open_incidents - facts.escalated
    if others > 0:
        found.append(f"{_count(others, 'incident')} open")
    found += facts.tickets
    if facts.unknown:
        found.append(f"unknown: {', '.join(facts.unknown)}")
    if facts.is_frozen:
        found.append("spend freezes steps up")
    if facts.hold is not None:
        found.append(facts.hold)
    if facts.dead:
        found.append(_count(int(facts.dead), "dead letter"))
    return found


def _figures(facts: Facts) -> str:
    parts = [f"{_figure(facts.running)} of {_figure(facts.target)} workers"]
    if facts.depth is None:
        parts.append("queue unknown")
    elif not facts.depth:
        parts.append("nothing waits")
    else:
        parts.append(f"{_count(int(facts.depth), 'job')} waiting" + _oldest(facts.oldest_wait_s))
    if facts.spent_share is not None:
        parts.append(f"{facts.spent_share:.0%} of today's limit spent")
    return ", ".join(parts) + "."


def _oldest(seconds: float | None) -> str:
    return "" if seconds is None else f", the oldest for {seconds:.0f} s"


def _figure(value: int | None) -> str:
    return "?" if value is None else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
