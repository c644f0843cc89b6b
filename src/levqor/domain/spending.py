"""Money that came or went: entries of the ledger and the words for them (spec C1)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any

LARGEST = Decimal("1e12")
FINEST_PLACES = 18
FINEST = Decimal(1).scaleb(-FINEST_PLACES)
"""No amount has more decimal places; what comes finer is rounded by whoever makes the entry."""

EXACT = Context(prec=60)
"""Sums of money are made in here: no sum that a database can hold is ever rounded."""

WORKERS, WORKER_HOURS = "workers", "worker-hours"
"""Source and line item of the lines that stand for worker-hours; Levqor alone writes them."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,31}")
_CURRENCY = re.compile(r"[a-z]{3}")


class Category(StrEnum):
    """What money is for; all but revenue is cost."""

    WORKERS = "workers"
    INFRA = "infra"
    AI = "ai"
    FEES = "fees"
    REVENUE = "revenue"


class EntryType(StrEnum):
    """Cost, fee and revenue are positive; a refund is negative revenue, a fee given back a negative fee."""

    COST = "cost"
    FEE = "fee"
    REVENUE = "revenue"
    REFUND = "refund"


class EntryStatus(StrEnum):
    """Provisional: what is known so far. Stale: what was known before its source stopped answering."""

    FINAL = "final"
    PROVISIONAL = "provisional"
    STALE = "stale"


class WrongEntry(ValueError):
    """An entry that the ledger does not take; the text says which field, and what is expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. `key` is unique in its source: the same entry written again is the same entry.

    `day` set: the amount is that whole UTC day's and `at` is its midnight. Raises WrongEntry.
    """

    source: str
    key: str
    at: datetime
    day: date | None = None
    line_item: str
    category: Category
    type: EntryType
    currency: str
    amount: Decimal
    status: EntryStatus = EntryStatus.FINAL
    note: str | None = None

    def __post_init__(self) -> None:
        _check_amount(self.amount)
        _check_signs(self.category, self.type, self.amount)
        if not _NAME.fullmatch(self.source):
            raise WrongEntry("source: expected a name of at most 32 letters and digits")
        if not _CURRENCY.fullmatch(self.currency):
            raise WrongEntry("currency: expected three small letters such as usd")
        for name, text, most in (("key", self.key, 200), ("line_item", self.line_item, 200), ("note", self.note or "-", 500)):
            if not 0 < len(text) <= most or not text.isprintable():
                raise WrongEntry(f"{name}: expected 1 to {most} printable characters")
        if self.at.tzinfo is None:
            raise WrongEntry("at: expected a time with its zone")
        if self.day is not None and self.at != day_start(self.day):
            raise WrongEntry("at: a day's amount is stamped with that day's UTC midnight")

    @property
    def is_worker_hours(self) -> bool:
        return self.source == WORKERS and self.line_item == WORKER_HOURS

    @property
    def utc_day(self) -> date:
        """The UTC day that the money belongs to."""
        return self.day or self.at.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class SpendPage:
    """Some of a source's entries, and where to go on from once they are written."""

    entries: tuple[Entry, ...]
    cursor: Mapping[str, Any]
    """JSON of the source's own."""


def day_start(day: date) -> datetime:
    """That UTC day's midnight."""
    return datetime.combine(day, time(), UTC)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Their exact sum."""
    result = Decimal(0)
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


def _check_amount(amount: object) -> None:
    # A float that looks like money has lost its cents already.
    if not isinstance(amount, Decimal):
        raise TypeError("money is a Decimal, never a float")
    if not amount.is_finite() or abs(amount) >= LARGEST:
        raise WrongEntry("amount: expected a number below 1e12")
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -FINEST_PLACES:
        raise WrongEntry(f"amount: expected at most {FINEST_PLACES} decimal places")


def _check_signs(category: Category, kind: EntryType, amount: Decimal) -> None:
    if (category is Category.REVENUE) != (kind in (EntryType.REVENUE, EntryType.REFUND)):
        raise WrongEntry("type: revenue and refund belong to category revenue, cost and fee to the others")
