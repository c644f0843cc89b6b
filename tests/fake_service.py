"""A service that answers what a test tells it to, over real HTTP; it records every request."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
Handler = Callable[["Asked"], Answer]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeService:
    """Routes by method and path; a path that ends in `*` takes all below it. Whatever is not routed is a 404 problem."""

    routes: dict[tuple[str, str], Answer | Handler] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.service = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        found = self.routes.get((asked.method, asked.path))
        if found is None:
            wide = [path for method, path in self.routes if method == asked.method and path.endswith("*")]
            fitting = [path for path in wide if asked.path.startswith(path[:-1])]
            found = self.routes[asked.method, fitting[0]] if fitting else (404, {"detail": "There is nothing at this path."})
        return found(asked) if callable(found) else found

    def last(self, method: str, path: str) -> Asked:
        return next(one for one in reversed(self.asked) if (one.method, one.path) == (method, path))

    def acts(self) -> list[str]:
        """What was asked for that changes something."""
        return [f"{one.method} {one.path}" for one in self.asked if one.method != "GET"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: FakeService


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 20

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, document = self.server.service.answer(Asked(self.command, parts.path, query, headers, json.loads(raw) if raw else None))
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (the names that http.server calls)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def signal(value: float | None, state: str = "value", age_s: float | None = 0.4, detail: str = "") -> dict[str, Any]:
    return {"state": state, "value": value, "age_s": age_s, "detail": detail}


def decision(action: str = "hold", current: int = 2, target: int = 2, **more: Any) -> dict[str, Any]:
    """A decision record as the API shows it."""
    return {
        "id": 7,
        "at": "2026-03-01T03:12:04+00:00",
        "action": action,
        "current": current,
        "running": current,
        "target": target,
        "inputs": {"queue_depth": signal(0), "p95_ms": signal(None, "no_traffic")},
        "reasons": [{"code": "steady", "text": "neither pressed nor calm", "votes": True}],
        "next": "up needs depth 11, now 0",
        "mode": "act",
        "applied": False,
        "why_not": "",
        **more,
    }


def status(**more: Any) -> dict[str, Any]:
    """`GET /status` of a calm service."""
    return {
        "mode": "observe",
        "holds": [],
        "flags": {"state": "ok", "error": None, "values": {}},
        "signals": {
            "p95_ms": signal(None, "no_traffic"),
            "queue_depth": signal(0),
            "error_rate": signal(None, "unknown", 20.0, "store down"),
            "spend_last_24h": signal(None, "not_configured", None),
        },
        "unknown": ["error_rate"],
        "target": 2,
        "running": 2,
        "leader": {"known": True},
        "advice": [],
        "last_decision": decision(),
        "measured_at": "2026-03-01T03:12:04+00:00",
        **more,
    }


def health(**more: Any) -> dict[str, Any]:
    """`GET /ops/queue_health` of a calm service."""
    worker = {"name": "w1", "host": "alpha", "pid": 41, "state": "busy", "job_id": "j-1", "job": "j-1", "queues": ["default"]}
    queue = {"name": "default", "depth": 0, "oldest_wait_s": None, "running": 1, "delayed": 0, "dead": 0}
    figures = {"depth": 0, "oldest_age_s": None, "running": 1, "dead": 0}
    return {**figures, "workers": [worker], "queues": [queue], "unknown": [], "advice": [], **more}
