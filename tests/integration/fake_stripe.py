"""A small Stripe: balance transactions over the real wire, the newest first, with the ways in which the real one fails."""

import json
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

KEY = "sk_test_51HoldsNothing"
DAY_S = 86_400
BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class FakeStripe:
    """What it holds, and how it misbehaves."""

    def __init__(self) -> None:
        self.transactions: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        """Statuses and headers answered to the next requests."""
        self.fails_from: int | None = None
        """From the how many-th request on it answers 503."""
        self.repeats = False
        """Whatever page is asked for, it sends the first."""
        self.body: bytes | None = None
        self.released = threading.Event()
        self.released.set()
        self.url = ""

    def charge(self, created: int, amount: int, currency: str = "usd", fee: int | None = None) -> str:
        taken = amount * 29 // 1000 + 30 if fee is None else fee
        return self.put(created, amount, currency, "charge", fee=taken)

    def refund(self, created: int, amount: int, currency: str = "usd") -> str:
        return self.put(created, -amount, currency, "refund")

    def dispute(self, created: int, amount: int, currency: str = "usd") -> str:
        return self.put(created, -amount, currency, "adjustment", category="dispute", fee=1500)

    def payout(self, created: int, amount: int, currency: str = "usd") -> str:
        return self.put(created, -amount, currency, "payout")

    def put(self, created: int, amount: int, currency: str, kind: str, *, category: str | None = None, fee: int = 0) -> str:
        number = f"txn_{len(self.transactions):06}"
        details = [
            {"amount": fee, "application": None, "currency": currency, "description": "Stripe processing fees", "type": "stripe_fee"}
        ]
        self.transactions.append(
            {
                "id": number,
                "object": "balance_transaction",
                "amount": amount,
                "available_on": created + 2 * DAY_S,
                "created": created,
                "currency": currency,
                "description": "jane@example.org",
                "exchange_rate": None,
                "fee": fee,
                "fee_details": details if fee else [],
                "net": amount - fee,
                "reporting_category": category or kind,
                "source": f"src_{number}",
                "status": "available",
                "type": kind,
            }
        )
        return number

    def history(self, until: int, days: int = 30, a_day: int = 10) -> None:
        """Charges each day, now and then a refund, a dispute and a payout."""
        for day in range(days, 0, -1):
            midnight = until - day * DAY_S
            for number in range(a_day):
                self.charge(midnight + number * 600, 1_000 + 10 * number + day)
            if day % 3 == 0:
                self.refund(midnight + 7_000, 500)
            if day % 10 == 0:
                self.dispute(midnight + 7_100, 1_000)
            if day % 7 == 0:
                self.payout(midnight + 7_200, 5_000)

    def answer(self, query: dict[str, str], key: str) -> tuple[int, dict[str, str], bytes]:
        self.released.wait(30)
        self.asked.append(query)
        if key != KEY:
            return _error(401, f"Invalid API Key provided: {key}")
        if self.failures:
            status, headers = self.failures.pop(0)
            return status, headers, _error(status, "try later")[2]
        if self.fails_from is not None and len(self.asked) >= self.fails_from:
            return _error(503, "unavailable")
        return (200, {}, self.body) if self.body is not None else self._list(query)

    def _list(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        limit = int(query.get("limit", "10"))
        if not 1 <= limit <= 100:
            return _error(400, "limit")
        found = sorted(self.transactions, key=lambda row: (row["created"], row["id"]), reverse=True)
        for name, holds in BOUNDS.items():
            if f"created[{name}]" in query:
                found = [row for row in found if holds(row["created"], int(query[f"created[{name}]"]))]
        for name in ("starting_after", "ending_before"):
            if name in query and not self.repeats:
                place = next((number for number, row in enumerate(found) if row["id"] == query[name]), None)
                if place is None:
                    return _error(400, f"No such balance transaction: '{query[name]}'", "resource_missing")
                found = found[place + 1 :] if name == "starting_after" else found[max(0, place - limit) : place]
        page = {"object": "list", "url": "/v1/balance_transactions", "has_more": len(found) > limit, "data": found[:limit]}
        return 200, {}, json.dumps(page).encode()


def _error(status: int, message: str, code: str | None = None) -> tuple[int, dict[str, str], bytes]:
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return status, {}, json.dumps({"error": error}).encode()


class Handler(BaseHTTPRequestHandler):
    fake: ClassVar[Any]
    path_of_list: ClassVar[str]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path != self.path_of_list:
            status, headers, body = _error(404, "no such path")
        else:
            status, headers, body = self.fake.answer(query, self.headers.get("Authorization", "").removeprefix("Bearer "))
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving(fake: Any, path_of_list: str) -> Iterator[str]:
    """The address of a server that answers with `fake`."""
    handler = type("Handler", (Handler,), {"fake": fake, "path_of_list": path_of_list})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def fake_stripe() -> Iterator[FakeStripe]:
    """A Stripe of this test's own."""
    fake = FakeStripe()
    with serving(fake, "/v1/balance_transactions") as url:
        fake.url = url
        try:
            yield fake
        finally:
            fake.released.set()
