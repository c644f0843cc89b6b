"""Backups of Levqor's own data: what one is, and what was found when it was looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from levqor.domain.errors import LevqorError


class BackupFailed(LevqorError):
    """A backup was not made, looked at or put back; what was there before stands."""


class How(StrEnum):
    """How far a check of a backup went."""

    RESTORED = "restored"
    """It was put back in a scratch place, counted and migrated to this version's schema."""
    READ = "read"
    """It was read to its end and counted; the server allows no scratch database."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup as its folder tells it. `verified` is None while nobody has looked, and False once something was found."""

    name: str
    at: datetime
    size: int
    database: str | None = None
    revision: str | None = None
    version: str | None = None
    verified: bool | None = None
    verified_at: datetime | None = None
    how: How | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it is answered: times as text."""
        told = asdict(self)
        return {**told, "at": self.at.isoformat(), "verified_at": self.verified_at.isoformat() if self.verified_at else None}


@dataclass(frozen=True, slots=True)
class Taken:
    """What went into a copy: the schema's version and the rows of each table."""

    revision: str | None
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found in a copy, and how far it was looked into. No problems: it can be put back."""

    how: How
    revision: str | None
    rows: Mapping[str, int]
    problems: Sequence[str] = ()
