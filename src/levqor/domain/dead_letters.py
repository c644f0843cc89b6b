"""Dead letters: jobs that used up their attempts, what is known of them, and what a flush plans and does."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

Scope = Literal["incident", "all"]

ANY_OWN = "*"
"""In an allow-list: every handler of Levqor's own jobs, and none of an attached app's."""

UNKNOWN = "unknown"
LOST = "lost its worker"
_CLASS = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter by its metadata; what it carries is never looked at. `died_at` None: nobody recorded it."""

    job_id: str
    queue: str
    handler: str
    error: str | None
    died_at: datetime | None
    attempts: int | None
    """None, as the losses: an attached app's job, of which nobody counts them."""
    losses: int | None
    flushes: int
    """How often it was requeued after a death."""
    is_foreign: bool
    quarantined_at: datetime | None = None
    why: str | None = None

    @property
    def error_class(self) -> str:
        return error_class(self.error)

    def is_allowed(self, allow: frozenset[str]) -> bool:
        """May it be flushed without a person? `*` speaks for Levqor's own jobs only; an attached app's are named one by one."""
        return self.handler in allow or (ANY_OWN in allow and not self.is_foreign)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "error_class": self.error_class}


def error_class(error: str | None) -> str:
    """The exception's class, as far as the recorded line tells it: `ValueError: no such user` is a ValueError."""
    if not error:
        return UNKNOWN
    if error.startswith(LOST):
        return LOST
    head = error.partition(":")[0].strip()
    return head if _CLASS.fullmatch(head) else UNKNOWN


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant. What is not said narrows nothing; saying nothing at all is not `everything`."""

    ids: tuple[str, ...] | None = None
    handler: str | None = None
    error: str | None = None
    everything: bool = False
    queue: str | None = None
    foreign: bool = False
    """Jobs that Levqor did not submit, too; without it they are left alone unless REDRIVE_ALLOW names their function."""

    @property
    def is_empty(self) -> bool:
        return not (self.ids or self.handler or self.error or self.everything)

    def picks(self, letter: DeadLetter) -> bool:
        is_wanted = not self.is_empty and self.handler in (None, letter.handler) and self.error in (None, letter.error_class)
        return is_wanted and self.queue in (None, letter.queue)

    def as_dict(self) -> dict[str, Any]:
        words = {"handler": self.handler, "error": self.error, "queue": self.queue, "all": self.everything, "foreign": self.foreign}
        return {**words, "ids": None if self.ids is None else len(self.ids)}


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters that died of the same exception in the same function."""

    handler: str
    error_class: str
    count: int
    oldest: datetime | None
    newest: datetime | None
    is_foreign: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """The groups, the largest first."""
    members: dict[tuple[str, str, bool], list[DeadLetter]] = {}
    for letter in letters:
        members.setdefault((letter.handler, letter.error_class, letter.is_foreign), []).append(letter)
    groups = []
    for (handler, kind, is_foreign), found in members.items():
        deaths = [letter.died_at for letter in found if letter.died_at is not None]
        groups.append(Group(handler, kind, len(found), min(deaths, default=None), max(deaths, default=None), is_foreign))
    return sorted(groups, key=lambda group: (-group.count, group.handler, group.error_class))


@dataclass(frozen=True, slots=True)
class Requeued:
    """What one call moved. `already`: this very batch had moved them before; `foreign`: left alone, since nobody allowed them."""

    moved: int
    skipped: int
    remaining: int
    already: int = 0
    foreign: int = 0
    job_ids: tuple[str, ...] = ()
    """Those of this batch: moved now or before."""


@dataclass(frozen=True, slots=True)
class FlushPlan:
    """What a flush would touch. An empty one does nothing."""

    chosen_letters: tuple[DeadLetter, ...] = ()
    poison: tuple[DeadLetter, ...] = ()
    """Died again after the most flushes that are allowed: they are quarantined."""
    waiting: int = 0
    """Dead letters that only a person may move."""
    unseen: int = 0
    """More than one look takes in; they are left as they are."""

    @property
    def groups(self) -> list[tuple[str, str, int]]:
        """Handler, exception class and count; the largest first."""
        counts = Counter((letter.handler, letter.error_class) for letter in self.chosen_letters)
        return [(handler, kind, count) for (handler, kind), count in counts.most_common()]

    @property
    def chosen(self) -> int:
        return len(self.chosen_letters)

    @property
    def quarantine(self) -> int:
        return len(self.poison)

    @property
    def is_empty(self) -> bool:
        return not self.chosen_letters and not self.poison

    def as_dict(self) -> dict[str, Any]:
        groups = [{"handler": handler, "error_class": kind, "count": count} for handler, kind, count in self.groups]
        return {
            "groups": groups,
            "chosen": self.chosen,
            "waiting": self.waiting,
            "quarantine": self.quarantine,
            "unseen": self.unseen,
        }


@dataclass(frozen=True, slots=True)
class FlushOutcome:
    """What a flush did, and what became of it as far as it was watched. `stopped_why` empty: it went through to its end."""

    moved: int = 0
    finished: int = 0
    died_again: int = 0
    quarantined: int = 0
    stopped_why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
