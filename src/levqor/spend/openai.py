"""OpenAI's costs of the organisation, by day and line item (spec C1)."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from levqor.domain.errors import SourceDown
from levqor.domain.spending import EXACT, FINEST, Category, Entry, EntryStatus, EntryType, SpendPage, WrongEntry, day_start
from levqor.ports import Clock
from levqor.spend.failures import refusal, usable_key, wait_of

if TYPE_CHECKING:
    import httpx

KEY_SETTING = "OPENAI_ADMIN_KEY"
TIMEOUT_S = 20.0
PAGE_DAYS = 31
HISTORY = timedelta(days=90)
OVERLAP = timedelta(days=3)
"""Days that have ended are corrected for a while; they are read again."""
PAGES_MAX = 100
ANSWER_MAX_BYTES = 16_000_000
LONGEST_NUMBER = 60
NO_COSTS = "OpenAI's answer is not a page of costs"


class OpenAi:
    """Reads with the admin key. A day that has not ended is provisional; one without figures writes nothing."""

    name = "openai"

    def __init__(self, key: str, base: str, *, clock: Clock) -> None:
        self._key, self._base, self._clock = key, base.rstrip("/"), clock

    def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[SpendPage]:
        """The days since the last that had ended, and three before it. Raises SourceDown."""
        import httpx

        headers = {"Authorization": f"Bearer {usable_key(self._key, KEY_SETTING)}"}
        now = self._clock.now().astimezone(UTC)
        read = date.fromisoformat(cursor["day"]) if cursor else None
        start = now.date() - HISTORY if read is None else min(read, now.date()) - OVERLAP
        wanted: str | None = None
        seen: set[str] = set()
        with httpx.Client(timeout=TIMEOUT_S, headers=headers) as client:
            for _number in range(PAGES_MAX):
                page = self._ask(client, start, wanted)
                entries, ended = _read(page, now)
                read = max(day for day in (read, ended, start) if day is not None)
                yield SpendPage(tuple(entries), {"day": read.isoformat()})
                wanted = _next(page)
                if wanted is None:
                    return
                if wanted in seen:
                    raise SourceDown("OpenAI repeats a page")
                seen.add(wanted)
        raise SourceDown(f"OpenAI: no end after {PAGES_MAX} pages")

    def _ask(self, client: "httpx.Client", start: date, wanted: str | None) -> dict[str, Any]:
        import httpx

        asked: dict[str, str | int] = {
            "start_time": int(day_start(start).timestamp()),
            "bucket_width": "1d",
            "limit": PAGE_DAYS,
            "group_by": "line_item",
        }
        if wanted is not None:
            asked["page"] = wanted
        try:
            answer = client.get(f"{self._base}/organization/costs", params=asked)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise SourceDown("OpenAI does not answer") from None
        if answer.status_code != 200:
            raise refusal("OpenAI", answer.status_code, KEY_SETTING, wait_of(answer.headers))
        return _document(answer.content)


def _document(body: bytes) -> dict[str, Any]:
    """JSON whose numbers keep their digits: money never passes through a float."""
    if len(body) > ANSWER_MAX_BYTES:
        raise SourceDown("OpenAI's answer is too large")
    try:
        document = json.loads(body, parse_float=_number, parse_int=_number, parse_constant=_number)
    except (ValueError, RecursionError):
        raise SourceDown("OpenAI's answer is not JSON") from None
    if not isinstance(document, dict):
        raise SourceDown(NO_COSTS)
    return document


def _number(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("number")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("number") from None
    if not value.is_finite():
        raise ValueError("number")
    return value


def _next(page: Mapping[str, Any]) -> str | None:
    """The next page's name; None at the end."""
    if page.get("has_more") is not True:
        return None
    wanted = page.get("next_page")
    if not isinstance(wanted, str) or not wanted:
        raise SourceDown("OpenAI says that there is more, and not where")
    return wanted


def _read(page: Mapping[str, Any], now: datetime) -> tuple[list[Entry], date | None]:
    """The page's entries, and its last day that has ended."""
    sums: dict[tuple[date, str, str], Decimal] = {}
    ended: date | None = None
    try:
        for bucket in page["data"]:
            day = datetime.fromtimestamp(int(bucket["start_time"]), UTC).date()
            if _has_ended(day, now):
                ended = day if ended is None else max(ended, day)
            for result in bucket["results"]:
                _count(result, day, sums)
        return [_entry(*place, amount, now) for place, amount in sums.items()], ended
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, OSError, InvalidOperation, WrongEntry):
        raise SourceDown(NO_COSTS) from None


def _count(result: Mapping[str, Any], day: date, sums: dict[tuple[date, str, str], Decimal]) -> None:
    amount = result.get("amount")
    if amount is None or amount.get("value") is None:
        return  # nothing was said, and that is not zero
    value = amount["value"]
    place = day, _line_item(result.get("line_item")), str(amount["currency"]).lower()
    sums[place] = EXACT.add(sums.get(place, Decimal(0)), value if isinstance(value, Decimal) else _number(str(value)))


def _line_item(name: object) -> str:
    words = "".join(character for character in str(name or "") if character.isprintable()).strip()[:150]
    return words or "openai"


def _entry(day: date, line_item: str, currency: str, amount: Decimal, now: datetime) -> Entry:
    return Entry(
        source=OpenAi.name,
        key=f"{day}:{currency}:{line_item}",
        at=day_start(day),
        day=day,
        line_item=line_item,
        category=Category.AI,
        type=EntryType.COST,
        currency=currency,
        amount=EXACT.quantize(amount, FINEST).normalize(EXACT) if amount else Decimal(0),
        status=EntryStatus.FINAL if _has_ended(day, now) else EntryStatus.PROVISIONAL,
    )


def _has_ended(day: date, now: datetime) -> bool:
    return day < now.date()
