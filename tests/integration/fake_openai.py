"""A small OpenAI: the organisation's costs over the real wire, page after page."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.integration.fake_stripe import serving

from levqor.domain.spending import day_start

ADMIN_KEY = "sk-admin-holds-nothing"


class FakeOpenAi:
    """Amounts as text, so that the wire has exactly these digits."""

    def __init__(self, today: date) -> None:
        self.today = today
        self.days: dict[date, list[dict[str, Any]]] = {}
        self.asked: list[dict[str, str]] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.repeats = False
        self.body: bytes | None = None
        self.url = ""

    def cost(self, day: date, value: str | None, line_item: str | None = "gpt-5, input", currency: str = "usd") -> None:
        amount = None if value is None else {"value": f"<{value}>", "currency": currency}
        result = {"object": "organization.costs.result", "amount": amount, "line_item": line_item, "project_id": None}
        if value is None:
            del result["amount"]
        self.days.setdefault(day, []).append(result)

    def answer(self, query: dict[str, str], key: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(query)
        if key != ADMIN_KEY:
            return 401, {}, json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}}).encode()
        if self.failures:
            status, headers = self.failures.pop(0)
            return status, headers, b'{"error": {"message": "later"}}'
        return (200, {}, self.body) if self.body is not None else (200, {}, self._page(query))

    def _page(self, query: dict[str, str]) -> bytes:
        first = datetime.fromtimestamp(int(query["start_time"]), UTC).date()
        days = [first + timedelta(days=number) for number in range((self.today - first).days + 1)]
        limit = int(query.get("limit", "7"))
        begin = 0 if self.repeats else int(query.get("page", "page_0").removeprefix("page_"))
        end = begin + limit
        has_more = end < len(days)
        page = {
            "object": "page",
            "data": [self._bucket(day) for day in days[begin:end]],
            "has_more": has_more,
            "next_page": f"page_{end}" if has_more else None,
        }
        # The digits as they are, not as a float would print them.
        return json.dumps(page).replace('"<', "").replace('>"', "").encode()

    def _bucket(self, day: date) -> dict[str, Any]:
        start = int(day_start(day).timestamp())
        return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": self.days.get(day, [])}


@contextmanager
def fake_openai(today: date) -> Iterator[FakeOpenAi]:
    """An OpenAI of this test's own."""
    fake = FakeOpenAi(today)
    with serving(fake, "/v1/organization/costs") as url:
        fake.url = f"{url}/v1"
        yield fake
