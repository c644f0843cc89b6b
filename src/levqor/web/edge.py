"""The outer edge: nothing leaves as a traceback, and the app works under a prefix."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from levqor.web.problems import UNEXPECTED, problem

log = logging.getLogger("levqor.web")


class Edge:
    """Turns what nobody expected into a 500 without its text, and logs it with its traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            route = getattr(scope.get("route"), "path", "no route")
            log.exception("request_failed", extra={"method": scope["method"], "route": route})
            if started:
                raise
            await problem(500, UNEXPECTED)(scope, receive, send)


class BasePath:
    """Tells the app its prefix. A proxy may pass the prefix on or strip it: routing takes both."""

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self._app, self._base_path = app, base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._base_path:
            scope["root_path"] = self._base_path
        await self._app(scope, receive, send)
