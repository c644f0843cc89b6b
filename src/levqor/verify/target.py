"""The installation that is verified, as it is reached: over HTTP, with a deadline for each request."""

import json
import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from levqor.ports import Clock
from levqor.settings import LOOPBACK, Settings, is_http_url
from levqor.verify.checks import NotApplicable, NotAsExpected, must

MOST_BYTES = 32_000_000
"""Of an answer; whoever sends more is not answering."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is, and by what right it is asked."""

    url: str
    token: str | None
    api_key: str | None
    is_local: bool
    """This machine's own installation: what is only here can be looked at too."""

    @property
    def shown_url(self) -> str:
        """The address without the password that it may hold."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def place_of(settings: Settings, base_url: str | None) -> Place:
    """The installation at `base_url`, or the one of the settings. Raises ValueError for what is no address.

    The local token file is for this machine alone; ADMIN_TOKEN and API_KEYS are an operator's word and go where he says.
    """
    url = (base_url or settings.local_url).rstrip("/")
    if not is_http_url(url) or " " in url or "?" in url or "#" in url:
        raise ValueError("expected an address such as https://levqor.example.com/prefix")
    is_here = (urlsplit(url).hostname or "") in LOOPBACK
    token = settings.admin_token.get_secret_value() if settings.admin_token else _token_file(settings) if is_here else None
    key = settings.api_keys[0].get_secret_value() if settings.api_keys else None
    return Place(url, token, key, is_local=is_here or base_url is None)


def _token_file(settings: Settings) -> str | None:
    try:
        return settings.token_file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    what: str
    """Method and path."""
    status: int
    body: bytes

    def must_be(self, *statuses: int) -> "Answer":
        must(self.status in statuses, f"{self.what} answered {self.status}{self._said()}")
        return self

    def json(self) -> dict[str, Any]:
        """The object in the answer: JSON as the standard has it. NaN, which Python would take, is none."""
        try:
            document = json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise NotAsExpected(f"{self.what} answered no JSON: {error}") from None
        must(isinstance(document, dict), f"{self.what} answered {type(document).__name__}, not an object")
        return dict(document)

    def text(self) -> str:
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError:
            raise NotAsExpected(f"{self.what} answered no UTF-8") from None

    def _said(self) -> str:
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return ""
        detail = (document.get("detail") or document.get("title")) if isinstance(document, dict) else None
        return f": {detail}" if isinstance(detail, str) else ""


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


class Target:
    """Asks the installation. Redirects are not followed: an answer from elsewhere proves nothing, and the token stays here."""

    def __init__(self, place: Place, timeout_s: float, clock: Clock) -> None:
        self.place, self.timeout_s = place, timeout_s
        self._clock = clock
        is_here = (urlsplit(place.url).hostname or "") in LOOPBACK
        self._client = httpx.Client(timeout=timeout_s, trust_env=not is_here, headers={"X-Levqor-Actor": "verify"})

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> Answer:
        """What is open to all."""
        return self.ask("GET", path, {})

    def read(self, path: str) -> Answer:
        """What is open on this machine and beyond it the admin's."""
        return self.ask("GET", path, self.admin() if self.place.token or not self.place.is_local else {})

    def read_if_allowed(self, path: str) -> Answer:
        """The same for whoever may have no token. Raises NotApplicable for him."""
        if self.place.token is None and not self.place.is_local:
            raise NotApplicable("beyond this machine it needs the admin token: set ADMIN_TOKEN")
        return self.read(path)

    def admin(self) -> dict[str, str]:
        """The header by which an admin is known. Raises NotAsExpected where there is no token to give."""
        must(self.place.token is not None, "no admin token to ask with: set ADMIN_TOKEN")
        return {"X-ADMIN-TOKEN": self.place.token or ""}

    def ask(self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None) -> Answer:
        """One request, within its deadline from first to last byte. Raises NotAsExpected where no answer comes."""
        deadline = self._clock.monotonic() + self.timeout_s
        what = f"{method} {path}"
        try:
            with self._client.stream(method, self.place.url + path, headers=headers, json=body) as answer:
                chunks, size = [], 0
                for chunk in answer.iter_bytes():
                    chunks.append(chunk)
                    size += len(chunk)
                    must(size <= MOST_BYTES, f"{what} answers without an end: more than {MOST_BYTES} bytes")
                    must(self._clock.monotonic() < deadline, f"{what} was still answering after {self.timeout_s:.3g} s")
                return Answer(what, answer.status_code, b"".join(chunks))
        except httpx.TimeoutException:
            raise NotAsExpected(f"{what} did not answer within {self.timeout_s:.3g} s") from None
        except httpx.ConnectError as error:
            raise NotAsExpected(f"nobody answers at {self.place.shown_url}: {error}") from None
        except httpx.HTTPError as error:
            raise NotAsExpected(f"{what} broke off: {error or type(error).__name__}") from None


def checked_timeout(seconds: float) -> float:
    """Raises ValueError for what no request can be given."""
    if not math.isfinite(seconds) or not 0 < seconds <= 3_600:
        raise ValueError("expected more than 0 and at most 3600 seconds")
    return seconds
