"""One HTTP POST with one deadline for all of it. It follows no redirect, logs nothing, and tells what was sent from what was not."""

import http.client
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from levqor.domain.errors import DeliveryError
from levqor.ports import Clock

DEADLINE_S = 10.0
MAX_ANSWER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    retry_after: str | None

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


def post(url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float = DEADLINE_S) -> Answer:
    """Send and read the answer. Raises DeliveryError: unknown once the request has left, and never with the URL in its text."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, deadline_s)
    has_left = False
    try:
        with _deadline(connection, deadline_s):
            connection.connect()
            has_left = True
            connection.request("POST", target, body=body, headers={"Content-Type": "application/json", "User-Agent": "levqor", **headers})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(MAX_ANSWER_BYTES), answer.headers.get("Retry-After"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeliveryError(_cause(error, has_left=has_left, deadline_s=deadline_s), unknown=has_left) from None
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None, deadline_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=deadline_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=deadline_s)


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Cut the connection after `seconds`: a timeout of the socket alone starts anew with every byte of a server that drips."""

    def cut() -> None:
        if connection.sock is not None:
            try:
                connection.sock.shutdown(2)
            except OSError:
                return  # it has ended by itself

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cause(error: Exception, *, has_left: bool, deadline_s: float) -> str:
    """What went wrong, in words of our own: the library's may hold the address, which may be a secret."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted"
    if isinstance(error, ConnectionRefusedError):
        return "the server refused the connection"
    if isinstance(error, TimeoutError):
        return f"no {'answer' if has_left else 'connection'} within {deadline_s:g} s"
    said = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return f"the server broke off ({said})" if has_left else f"no connection ({said})"


def retry_after_s(text: str | None, clock: Clock) -> float | None:
    """Retry-After in seconds; it may be given as a number or as a date. None where it says nothing usable."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - clock.now()).total_seconds())
    except (TypeError, ValueError):
        return None
