"""The daily and weekly summary: what it covers, what it says, and the letter that it becomes."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol


class Page(Protocol):
    """What can be rendered as a letter or a page."""

    @property
    def title(self) -> str: ...
    @property
    def span(self) -> str:
        """From when to when, for people."""
        ...

    @property
    def level(self) -> str:
        """ok, watch, act or unknown."""
        ...

    @property
    def sentence(self) -> str: ...
    @property
    def because(self) -> tuple[str, ...]: ...
    @property
    def subject(self) -> str: ...
    @property
    def sections(self) -> "tuple[Section, ...]": ...


class SummaryKind(StrEnum):
    """How far a summary looks back."""

    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def span(self) -> timedelta:
        return timedelta(days=1) if self is SummaryKind.DAILY else timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Period:
    """What one summary covers: (start, end]. It is sent once by its key, a local date or ISO week."""

    kind: SummaryKind
    end: datetime
    zone: tzinfo

    @property
    def start(self) -> datetime:
        return self.end - self.kind.span

    @property
    def key(self) -> str:
        local = self.end.astimezone(self.zone)
        return f"{local:%G-W%V}" if self.kind is SummaryKind.WEEKLY else f"{local:%Y-%m-%d}"

    def said(self, moment: datetime) -> str:
        """A moment in the summary's zone."""
        return f"{moment.astimezone(self.zone):%a %d %b %H:%M}"


class Tone(StrEnum):
    """How much a line asks of its reader. The mark tells it without a colour."""

    PLAIN = "plain"
    WATCH = "watch"
    ACT = "act"
    UNKNOWN = "unknown"

    @property
    def mark(self) -> str:
        return {Tone.PLAIN: "", Tone.WATCH: "!", Tone.ACT: "!!", Tone.UNKNOWN: "?"}[self]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a section; `spark` draws its past as characters."""

    label: str
    value: str
    note: str = ""
    tone: Tone = Tone.PLAIN
    spark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equal length under their columns; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One subject."""

    title: str
    lines: tuple[Line, ...]
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that one summary says, in its order."""

    kind: SummaryKind
    period: str
    span: str
    """From when to when, for people."""
    level: str
    sentence: str
    because: tuple[str, ...]
    subject: str
    sections: tuple[Section, ...]
    at: datetime

    @property
    def title(self) -> str:
        return f"Levqor {self.kind.value} summary {self.period}"


@dataclass(frozen=True, slots=True)
class Pages:
    """A summary as text and as HTML."""

    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What a channel sends. `token` is the same for every attempt at the same letter, so that a reader's program can tell a repeat."""

    subject: str
    pages: Pages
    token: str
    at: datetime


class SummaryState(StrEnum):
    """Where a period's summary is."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
