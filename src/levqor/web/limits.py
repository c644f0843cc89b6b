"""Bounds on what one address may send and ask (spec E4), as plain ASGI so that they hold for any body, chunked or not."""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from levqor.ports import Clock
from levqor.settings import Settings
from levqor.web.callers import Verdict, admin_verdict, is_local, key_of
from levqor.web.problems import ProblemError, problem

MAX_ADDRESSES = 10_000
"""Addresses remembered at a time; the one not heard for longest is forgotten first."""
WRONG_TOKENS_PER_MINUTE = 20
FIRST_DELAY_S, LAST_DELAY_S = 0.25, 1.0


class Buckets:
    """A token bucket for each address: `rate_per_s` lasting, twice that at once."""

    def __init__(self, rate_per_s: float, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate_per_s, max(1.0, 2 * rate_per_s), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one. 0 if there was one; else the seconds until there is."""
        now = self._clock.monotonic()
        left, since = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        taken = left >= 1
        self._left[key] = (left - 1 if taken else left, now)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._rate


async def pause(seconds: float) -> None:
    """Let this one request wait; no thread is held."""
    await asyncio.sleep(seconds)


class WrongTokens:
    """Wrong tokens of the last minute by address: each waits longer, and from the 20th on is turned away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, key: str) -> int:
        """Count one more; how many the last minute holds, at most 20."""
        now = self._clock.monotonic()
        times = self._times.pop(key, deque(maxlen=WRONG_TOKENS_PER_MINUTE))
        while times and now - times[0] >= 60:
            times.popleft()
        times.append(now)
        self._times[key] = times
        if len(self._times) > MAX_ADDRESSES:
            self._times.popitem(last=False)
        return len(times)

    async def punish(self, key: str) -> ProblemError:
        """Wait, then what to answer. Only wrong tokens come here: a right one is never delayed or refused (spec X1)."""
        count = self.add(key)
        await pause(min(LAST_DELAY_S, FIRST_DELAY_S * count))
        if count >= WRONG_TOKENS_PER_MINUTE:
            return ProblemError(429, "Too many wrong tokens from this address.", headers={"Retry-After": "60"})
        return ProblemError(401, "The token is wrong.", headers={"WWW-Authenticate": 'Bearer realm="levqor"'})


class RateLimit:
    """Turns away who asks too often; this machine and the admin are excepted."""

    def __init__(self, app: ASGIApp, settings: Settings, clock: Clock, wrong_tokens: WrongTokens) -> None:
        self._app, self._token, self._wrong_tokens = app, settings.admin_token, wrong_tokens
        self._buckets = Buckets(settings.rate_limit_per_s, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_local(scope):
            return await self._app(scope, receive, send)
        wait_s = self._buckets.take(key_of(scope))
        verdict = admin_verdict(Headers(scope=scope), self._token) if wait_s else Verdict.NONE
        if not wait_s or verdict is Verdict.RIGHT:
            return await self._app(scope, receive, send)
        if verdict is Verdict.WRONG:
            # Or the limit itself would tell, at full speed, whether a guess is right.
            await self._wrong_tokens.punish(key_of(scope))
        refusal = problem(429, "Too many requests from this address.", headers={"Retry-After": str(math.ceil(wait_s))})
        return await refusal(scope, receive, send)


class RequestSize:
    """Bounds the head's and the body's size, and the time that the body takes. `larger`: paths with a bound of their own."""

    def __init__(self, app: ASGIApp, settings: Settings, larger: Mapping[str, int] = MappingProxyType({})) -> None:
        self._app, self._settings, self._larger = app, settings, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        max_bytes = self._larger.get(str(scope["path"]).removeprefix(scope.get("root_path", "")), self._settings.body_max_bytes)
        refusal = self._refusal(scope, max_bytes)
        if refusal is not None:
            return await problem(refusal.status_code, refusal.detail)(scope, receive, send)
        bounded = BoundedBody(receive, max_bytes, self._settings.body_timeout_s)
        return await self._app(scope, bounded.receive, send)

    def _refusal(self, scope: Scope, max_bytes: int) -> ProblemError | None:
        head_bytes = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        head_bytes += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if head_bytes > self._settings.header_max_bytes:
            return ProblemError(431, f"The request's head is larger than {self._settings.header_max_bytes} bytes.")
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or len(length) > 20:
            return ProblemError(400, "Content-Length is not a number.")
        return too_large(max_bytes) if int(length) > max_bytes else None


def too_large(max_bytes: int) -> ProblemError:
    """413."""
    return ProblemError(413, f"The body is larger than {max_bytes} bytes.")


class BoundedBody:
    """A `receive` that raises once the body is too large or too slow, having kept nothing of it."""

    def __init__(self, receive: Receive, max_bytes: int, timeout_s: float) -> None:
        self._receive, self._max_bytes, self._timeout_s = receive, max_bytes, timeout_s
        self._seen_bytes, self._complete = 0, False
        self._deadline: float | None = None

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        message = await self._in_time()
        if message["type"] == "http.request":
            self._seen_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._seen_bytes > self._max_bytes:
                raise too_large(self._max_bytes)
        return message

    async def _in_time(self) -> Message:
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + self._timeout_s
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            raise ProblemError(408, f"The body did not arrive within {self._timeout_s:g} s.") from None


def header(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode("ascii"), value.encode("ascii")


STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class SecurityHeaders:
    """On every answer; a page brings its own, wider Content-Security-Policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [
            header("x-content-type-options", "nosniff"),
            header("x-frame-options", "DENY"),
            header("referrer-policy", "no-referrer"),
            header("cross-origin-resource-policy", "same-origin"),
            header("cache-control", "no-store"),
            header("content-security-policy", STRICT_POLICY),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                own: list[Any] = list(message.get("headers", []))
                names = {name.lower() for name, _ in own}
                message = {**message, "headers": own + [pair for pair in self._headers if pair[0] not in names]}
            await send(message)

        return await self._app(scope, receive, decorated)
