"""A pure ASGI middleware: from the request's arrival until the last byte of its answer is sent."""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from levqor.client import django_requests, log
from levqor.client.flush import STEERING_SCOPE
from levqor.client.recorder import Recorder
from levqor.client.reporting import OTHER_METHOD, ROUTE, UNMATCHED, Reporting, method_label

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def _always_steering(scope: Scope) -> str:
    return STEERING_SCOPE


class LevqorMiddleware:
    """Records every HTTP request by route template; a 5xx, an exception and a client lost before any answer are failures.

    Given a `recorder` it only records. Without one it makes its own and flushes it to `redis_url`, else LEVQOR_REDIS_URL, else REDIS_URL.
    """

    def __init__(
        self,
        app: App,
        recorder: Recorder | None = None,
        *,
        scope_of: Callable[[Scope], str] = _always_steering,
        redis_url: str | None = None,
    ) -> None:
        self.app = app
        self.reporting = Reporting(recorder, redis_url)
        self.recorder = self.reporting.recorder
        self._observe = self.recorder.observe
        self._scope_of = scope_of
        self._is_django = django_requests.keep(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.reporting.is_started:
            self.reporting.start()
        if scope["type"] != "http":
            await self._pass(scope, receive, send)
            return
        begin = perf_counter()
        status = 0
        is_recorded = has_left = False

        async def watched_receive() -> Message:
            nonlocal has_left
            message = await receive()
            if message["type"] == "http.disconnect":
                has_left = has_left or not status
            return message

        async def watched_send(message: Message) -> None:
            nonlocal status, is_recorded
            if message["type"] == "http.response.start":
                status = message["status"]
                await send(message)
                return
            try:
                await send(message)
            except OSError:
                # The client went away in the middle of its answer: that is its choice.
                is_recorded = True
                self._record(scope, begin, status >= 500)
                raise
            if not message.get("more_body") and message["type"] == "http.response.body":
                is_recorded = True
                self._record(scope, begin, has_left or status >= 500)

        try:
            await self.app(scope, watched_receive, watched_send)
        finally:
            if not is_recorded:
                # An exception, or an answer that was never finished.
                self._record(scope, begin, has_left or not 0 < status < 500 or sys.exc_info()[0] is not None)

    def _record(self, scope: Scope, begin: float, failed: bool) -> None:
        ms = (perf_counter() - begin) * 1000
        try:
            series = ("http", self._scope_of(scope), method_label(scope["method"], OTHER_METHOD), template_of(scope))
            self._observe(series, ms, failed)
        except Exception:
            log.fault("requests are not recorded; the app is not affected")

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Unmeasured. With its shutdown the app's life ends: its last counts go out, and its silence is no longer news.

        An app that knows no lifespan lives on after this. Django's is answered for here: a server may give no other sign of its end.
        """
        if scope["type"] != "lifespan" or self.reporting.flusher is None:
            await self.app(scope, receive, send)
            return
        is_over = False

        async def watched() -> Message:
            nonlocal is_over
            message = await receive()
            is_over = is_over or message["type"] == "lifespan.shutdown"
            return message

        try:
            await (_answer_lifespan(watched, send) if self._is_django else self.app(scope, watched, send))
        finally:
            if is_over:
                self.reporting.close()


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


def template_of(scope: Scope) -> str:
    """The route's template with the mounts above it, as far as the framework tells; a server's own prefix is no part of it."""
    given = scope.get(ROUTE)
    if isinstance(given, str):
        return given or UNMATCHED
    # FastAPI's included routers keep the full path in their context; the route itself has only its own part of it.
    context = scope.get("fastapi")
    route = (context and context.get("effective_route_context")) or scope.get("route")
    path = getattr(route, "path", None)
    if not isinstance(path, str):
        given = django_requests.route_in(scope)
        return given if isinstance(given, str) else UNMATCHED
    if "app_root_path" not in scope:  # which every mount sets
        return path or "/"
    return _mount_template(scope) + ("/*" if hasattr(route, "routes") else path)


def _mount_template(scope: Scope) -> str:
    """The prefix under which an inner app is mounted, with its parameters named again instead of filled in."""
    prefix: str = scope.get("root_path", "").removeprefix(scope["app_root_path"])
    names = {str(value): name for name, value in scope.get("path_params", {}).items()}
    return "/".join(f"{{{names[part]}}}" if part in names else part for part in prefix.split("/"))
