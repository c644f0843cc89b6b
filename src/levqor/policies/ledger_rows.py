"""What people write for an entry, as one: by hand or in a file's row (spec C1)."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from levqor.domain.spending import Category, Entry, EntryType, WrongEntry, day_start

COLUMNS = ("amount", "currency", "day", "at", "source", "category", "type", "line_item", "note", "key")
EARLIEST, LATEST = timedelta(days=799), timedelta(days=366)
"""How far from now an entry's day may be."""

CATEGORY_OF = {"workers": Category.WORKERS, "infra": Category.INFRA, "openai": Category.AI}
"""Where no category is given; of other sources it must be."""

_NUMBER = re.compile(r"[+-]?(\d{1,13}(\.\d{0,18})?|\.\d{1,18})")

Word = TypeVar("Word", bound=StrEnum)


def entry_of(row: Mapping[str, str | None], now: datetime, key: str) -> Entry:
    """The entry that a row means; without a day or a time it is now. Raises WrongEntry, which never repeats the row."""
    given = {name: text.strip() for name, text in row.items() if text is not None and text.strip()}
    unknown = sorted(set(given) - set(COLUMNS))
    if unknown:
        raise WrongEntry(f"expected columns among {', '.join(COLUMNS)}")
    source = _needed(given, "source")
    amount = _amount(_needed(given, "amount"))
    category = _category(given, source)
    day, at = _when(given, now)
    entry = Entry(
        source=source,
        key=given.get("key", key),
        at=at,
        day=day,
        line_item=given.get("line_item", source),
        category=category,
        type=_word(EntryType, "type", given["type"]) if "type" in given else _type(category, amount),
        currency=_needed(given, "currency").lower(),
        amount=amount,
        note=given.get("note"),
    )
    if entry.is_worker_hours:
        raise WrongEntry("line_item: worker-hours are written by Levqor alone")
    return entry


def key_of_content(row: Mapping[str, str | None], occurrence: int) -> str:
    """The same row has the same key; what is there twice in one file is two entries."""
    content = "\x1f".join(f"{name}\x1e{(row.get(name) or '').strip()}" for name in COLUMNS)
    return f"file:{hashlib.sha256(content.encode()).hexdigest()[:32]}:{occurrence}"


def _needed(given: Mapping[str, str], name: str) -> str:
    if name not in given:
        raise WrongEntry(f"{name}: missing")
    return given[name]


def _amount(text: str) -> Decimal:
    if not text.isascii() or not _NUMBER.fullmatch(text):
        raise WrongEntry("amount: expected a number such as 46 or 7.50")
    return Decimal(text)


def _category(given: Mapping[str, str], source: str) -> Category:
    if "category" in given:
        return _word(Category, "category", given["category"])
    if source not in CATEGORY_OF:
        raise WrongEntry(f"category: expected {' or '.join(Category)}, since the source does not tell it")
    return CATEGORY_OF[source]


def _type(category: Category, amount: Decimal) -> EntryType:
    if category is Category.REVENUE:
        return EntryType.REFUND if amount < 0 else EntryType.REVENUE
    return EntryType.FEE if category is Category.FEES else EntryType.COST


def _word(words: type[Word], name: str, text: str) -> Word:
    try:
        return words(text.lower())
    except ValueError:
        raise WrongEntry(f"{name}: expected {' or '.join(words)}") from None


def _when(given: Mapping[str, str], now: datetime) -> tuple[date | None, datetime]:
    """The whole UTC day, or the moment."""
    if "day" in given and "at" in given:
        raise WrongEntry("day, at: expected one of them")
    if "day" in given:
        day = _day(given["day"])
        at = day_start(day)
    else:
        day, at = None, _moment(given["at"]) if "at" in given else now
    if not now - EARLIEST <= at <= now + LATEST:
        raise WrongEntry("day: expected one of the last two years, or of the next")
    return day, at


def _day(text: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise WrongEntry("day: expected a day such as 2026-03-01")


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text).astimezone(UTC) if datetime.fromisoformat(text).tzinfo is not None else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise WrongEntry("at: expected a time with its zone, such as 2026-03-01T12:00:00Z")
    return at
