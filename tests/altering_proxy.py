"""A proxy before a real service that hands on what it answers, except where a test has it altered, delayed or cut."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

Alter = Callable[[int, bytes], tuple[int, bytes]]


class AlteringProxy:
    """`alter` by path; `hang`: paths that are never answered; `drip`: paths answered a byte at a time, without an end."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.alter: dict[str, Alter] = {}
        self.hang: set[str] = set()
        self.drip: set[str] = set()
        self.asked: list[str] = []
        self.over = threading.Event()
        self.client = httpx.Client(timeout=30, trust_env=False)
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def as_it_is(self) -> None:
        """Alter nothing any more, and let go of whoever hangs."""
        self.over.set()
        self.over = threading.Event()
        self.alter, self.hang, self.drip, self.asked = {}, set(), set(), []

    def close(self) -> None:
        self.as_it_is()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        self.client.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: AlteringProxy


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 30

    def _serve(self) -> None:
        proxy, path = self.server.proxy, self.path.partition("?")[0]
        proxy.asked.append(path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.close_connection = path in proxy.hang | proxy.drip
        if path in proxy.hang:
            proxy.over.wait(30)
        elif path in proxy.drip:
            self._drip(proxy.over)
        else:
            self._hand_on(proxy, path, body)

    def _hand_on(self, proxy: AlteringProxy, path: str, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
        answer = proxy.client.request(self.command, proxy.behind + self.path, headers=headers, content=body)
        status, data = proxy.alter.get(path, _same)(answer.status_code, answer.content)
        self.send_response(status)
        self.send_header("Content-Type", answer.headers.get("content-type", ""))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drip(self, over: threading.Event) -> None:
        """Never silent for long, and never done."""
        self.send_response(200)
        self.end_headers()
        while not over.wait(0.05):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    do_GET = do_POST = _serve  # noqa: N815 (the names that http.server calls)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def _same(status: int, body: bytes) -> tuple[int, bytes]:
    return status, body
