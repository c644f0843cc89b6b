"""A webhook's other end on this machine: it takes alerts, checks their signatures, and keeps what arrived."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from levqor.ports import Clock

MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message: when it came, and whether it was signed as it should be."""

    at: float
    token: str
    data: dict[str, Any]
    is_signed: bool

    @property
    def key(self) -> str:
        return str(self.data.get("key", ""))

    @property
    def kind(self) -> str:
        return str(self.data.get("kind", ""))

    @property
    def line(self) -> str:
        return f"{self.kind} {self.key}: {self.data.get('title', '')}" + ("" if self.is_signed else " (not signed)")


class Receiver:
    """Listens on a free port of loopback while it is open."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._key = clock, secrets.token_bytes(32)
        self._arrived: dict[str, Arrived] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    @property
    def secret(self) -> str:
        return f"whsec_{base64.b64encode(self._key).decode('ascii')}"

    @property
    def arrived(self) -> list[Arrived]:
        """In order; a repeat of the same message is counted once, as a receiver of webhooks does."""
        return list(self._arrived.values())

    @property
    def are_signed(self) -> bool:
        return all(message.is_signed for message in self.arrived)

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    def _take(self, headers: Any, body: bytes) -> None:
        token, timestamp = str(headers.get("webhook-id", "")), str(headers.get("webhook-timestamp", ""))
        signed = b".".join((token.encode(), timestamp.encode(), body))
        wanted = "v1," + base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode("ascii")
        is_signed = hmac.compare_digest(wanted, str(headers.get("webhook-signature", "")))
        data = json.loads(body).get("data", {})
        self._arrived.setdefault(token, Arrived(self._clock.monotonic(), token, data, is_signed))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", 0)), MAX_BODY_BYTES)
                take(self.headers, self.rfile.read(length))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """What arrives is kept, not printed."""

        return Handler
