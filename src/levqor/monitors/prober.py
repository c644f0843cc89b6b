"""Availability as a client sees it: real requests through the listening socket, from another process (spec S4)."""

import http.client
import socket
import threading
from secrets import SystemRandom
from urllib.parse import urlsplit

from levqor.client.recorder import Recorder
from levqor.ports import Clock

SERIES = ("probe", "service")
BODY_LIMIT_BYTES = 65_536


class Prober:
    """Asks one URL again and again; anything but a 2xx within `timeout_s` is a failure. Follows no redirect."""

    def __init__(self, url: str, recorder: Recorder, clock: Clock, period_s: float = 5.0, timeout_s: float = 2.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected an http or https URL with a host, got {url!r}")
        self._connection_class = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._recorder, self._clock = recorder, clock
        self._period_s, self._timeout_s = period_s, timeout_s
        self._random = SystemRandom()
        recorder.announce(SERIES[0])

    def probe_once(self) -> bool:
        """One request, recorded. True for a whole 2xx answer in time."""
        begin = self._clock.monotonic()
        is_up = self._ask()
        elapsed_s = self._clock.monotonic() - begin
        is_up = is_up and elapsed_s <= self._timeout_s
        self._recorder.observe(SERIES, elapsed_s * 1000, failed=not is_up)
        return is_up

    def run(self, stop: threading.Event) -> None:
        """Probe until `stop` is set. The wait varies, downwards only, so that probes do not fall into step with other timers."""
        while not stop.is_set():
            begin = self._clock.monotonic()
            self.probe_once()
            wait_s = self._period_s * self._random.uniform(0.85, 1.0) - (self._clock.monotonic() - begin)
            stop.wait(max(0.0, wait_s))

    def _ask(self) -> bool:
        connection = self._connection_class(self._host, self._port, timeout=self._timeout_s)
        deadline: threading.Timer | None = None
        try:
            connection.connect()
            # The connection lets go of its socket once the head is read, so the deadline holds on to it by itself.
            deadline = threading.Timer(self._timeout_s, _cut, (connection.sock,))
            deadline.daemon = True
            deadline.start()
            connection.request("GET", self._path, headers={"User-Agent": "levqor-probe", "Connection": "close"})
            response = connection.getresponse()
            response.read(BODY_LIMIT_BYTES)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            if deadline is not None:
                deadline.cancel()
            connection.close()
        return 200 <= response.status < 300


def _cut(sock: socket.socket) -> None:
    """Ends an answer that drips: a socket's own timeout begins anew with every byte."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has just ended by itself
