"""The middleware: what counts as a request, as its end and as its failure (spec S1)."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

import levqor.asgi
from levqor.client.asgi import LevqorMiddleware, Message, Receive, Scope, Send, template_of
from levqor.client.flush import connect
from levqor.client.recorder import Recorder, Series
from levqor.store.telemetry import Counts, Telemetry

HTTP: dict[str, object] = {"type": "http", "method": "GET", "path": "/"}


def drained(recorder: Recorder) -> dict[Series, tuple[int, int]]:
    """(requests, failures) by series."""
    return {series: (counts.total, counts.failed) for series, counts in ((s, Counts.of(f)) for s, f in recorder.drain().items())}


def failures(recorder: Recorder) -> tuple[int, int]:
    (answer,) = drained(recorder).values()
    return answer


async def no_message() -> Message:
    raise AssertionError("nobody asked for a message")


async def swallow(message: Message) -> None:
    return None


def call(app: LevqorMiddleware, receive: Receive = no_message, send: Send = swallow) -> None:
    async def run() -> None:
        await app(dict(HTTP), receive, send)

    asyncio.run(run())


def ask(app: ASGIApp, *paths: str, method: str = "GET", root_path: str = "") -> list[int]:
    """The status of each answer; an exception of the app is a 500."""

    async def run() -> list[int]:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return [(await client.request(method, path)).status_code for path in paths]

    return asyncio.run(run())


async def ok(request: Request) -> Response:
    return PlainTextResponse("ok")


async def unavailable(request: Request) -> Response:
    return PlainTextResponse("no", status_code=503)


async def missing(request: Request) -> Response:
    return PlainTextResponse("no", status_code=404)


async def broken(request: Request) -> Response:
    raise RuntimeError("broken")


async def broken_stream(request: Request) -> Response:
    async def parts() -> object:
        yield b"some"
        raise RuntimeError("broken in the middle")

    return StreamingResponse(parts())  # type: ignore[arg-type]


def starlette_app(recorder: Recorder) -> Starlette:
    routes = [
        Route("/ok/{name}", ok, methods=["GET", "POST"]),
        Route("/unavailable", unavailable),
        Route("/missing", missing),
        Route("/broken", broken),
        Route("/broken-stream", broken_stream),
        Mount("/files", app=PlainTextResponse("file")),
        Mount("/tenants/{tenant}", routes=[Route("/items/{item}", ok)]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(levqor.asgi.Middleware, recorder=recorder)
    return app


@pytest.mark.parametrize(
    ("path", "route", "failed"),
    [
        pytest.param("/ok/1", "/ok/{name}", 0, id="an answer"),
        pytest.param("/missing", "/missing", 0, id="a client's mistake"),
        pytest.param("/unavailable", "/unavailable", 1, id="a 5xx"),
        pytest.param("/broken", "/broken", 1, id="an exception"),
        pytest.param("/broken-stream", "/broken-stream", 1, id="an exception after the start"),
        pytest.param("/wp-login.php", "unmatched", 0, id="a scanner"),
        pytest.param("/files/a.css", "/files/*", 0, id="a mounted app without routes"),
        pytest.param("/tenants/7/items/8", "/tenants/{tenant}/items/{item}", 0, id="a route under a mount"),
    ],
)
def test_requests_are_counted_by_route_template(path: str, route: str, failed: int) -> None:
    """S1: error rate is the share of 5xx and of requests that died."""
    recorder = Recorder()
    ask(starlette_app(recorder), path)
    assert drained(recorder) == {("http", "service", "GET", route): (1, failed)}


def test_a_method_that_nobody_knows_is_no_new_series() -> None:
    """P5: labels do not come from clients."""
    recorder = Recorder()
    for method in ("GET", "POST", "BREW", "X" * 500):
        ask(starlette_app(recorder), "/ok/1", method=method)
    assert {series[2] for series in drained(recorder)} == {"GET", "POST", "OTHER"}


def fastapi_app() -> FastAPI:
    inner, outer, sub, app = APIRouter(prefix="/inner"), APIRouter(prefix="/outer/{part}"), FastAPI(), FastAPI()
    inner.add_api_route("/{item}", lambda: 1)
    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    sub.add_api_route("/items/{item}", lambda: 1)
    app.mount("/sub", sub)
    return app


@pytest.mark.parametrize("prefix", ["", "/behind/a/proxy"])
@pytest.mark.parametrize(
    ("path", "route"),
    [
        pytest.param("/api/outer/1/inner/2", "/api/outer/{part}/inner/{item}", id="routers in routers"),
        pytest.param("/sub/items/2", "/sub/items/{item}", id="a mounted app"),
        pytest.param("/sub/nothing", "unmatched", id="nothing under a mount"),
    ],
)
def test_fastapi_routes_have_their_full_template(prefix: str, path: str, route: str) -> None:
    recorder = Recorder()
    app = fastapi_app()
    app.add_middleware(levqor.asgi.Middleware, recorder=recorder)
    ask(app, prefix + path, root_path=prefix)
    assert [series[3] for series in drained(recorder)] == [route]


def test_the_scope_is_chosen_by_the_caller() -> None:
    """S1: what is not the service's own is recorded apart."""
    recorder = Recorder()
    app = starlette_app(Recorder())
    outer = LevqorMiddleware(app, recorder, scope_of=lambda scope: "own" if template_of(scope) == "/missing" else "service")
    ask(outer, "/missing", "/ok/1")
    assert {series[1:4] for series in drained(recorder)} == {("own", "GET", "/missing"), ("service", "GET", "/ok/{name}")}


def test_a_scope_that_cannot_be_told_leaves_the_app_alone() -> None:
    def confused(scope: Scope) -> str:
        raise LookupError("no idea")

    recorder = Recorder()
    assert ask(LevqorMiddleware(starlette_app(Recorder()), recorder, scope_of=confused), "/ok/1") == [200]
    assert drained(recorder) == {}


def test_a_request_lasts_until_its_last_byte_but_not_until_the_background_task() -> None:
    recorder = Recorder()
    seen: list[int] = []

    async def parts() -> object:
        for _ in range(3):
            seen.append(len(recorder.drain()))
            yield b"part"

    async def stream(request: Request) -> Response:
        task = BackgroundTask(lambda: seen.append(len(recorder.drain())))
        return StreamingResponse(parts(), background=task)  # type: ignore[arg-type]

    ask(LevqorMiddleware(Starlette(routes=[Route("/", stream)]), recorder), "/")
    assert seen == [0, 0, 0, 1]


def start(status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(more: bool = False) -> Message:
    return {"type": "http.response.body", "body": b"x", "more_body": more}


def app_sending(messages: Iterable[Message], reads: int = 0, error: BaseException | None = None) -> LevqorMiddleware:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(reads):
            await receive()
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return LevqorMiddleware(app, Recorder())


async def gone() -> Message:
    return {"type": "http.disconnect"}


def test_a_client_that_left_before_the_answer_is_a_request_that_died() -> None:
    """S1."""
    app = app_sending([start(), body()], reads=1)
    call(app, receive=gone)
    assert failures(app.recorder) == (1, 1)


def test_a_client_that_left_during_the_answer_is_not() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await receive()

    app = LevqorMiddleware(stream, Recorder())
    call(app, receive=gone)
    assert failures(app.recorder) == (1, 0)


def test_a_send_that_fails_because_the_client_left_is_not_the_services_failure() -> None:
    async def refuse_the_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    app = app_sending([start(), body(more=True), body()])
    with pytest.raises(ConnectionResetError):
        call(app, send=refuse_the_body)
    assert failures(app.recorder) == (1, 0)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(None, id="no answer at all"),
        pytest.param(RuntimeError("broken"), id="exception"),
        pytest.param(FileNotFoundError("the app's own"), id="an operating system's error"),
        pytest.param(asyncio.CancelledError(), id="cancelled by the server"),
    ],
)
def test_a_request_without_an_answer_died(error: BaseException | None) -> None:
    """S1."""
    app = app_sending([], error=error)
    if error is None:
        call(app)
    else:
        with pytest.raises(type(error)):
            call(app)
    assert failures(app.recorder) == (1, 1)


def test_an_error_of_the_app_in_the_middle_of_its_answer_is_a_failure() -> None:
    app = app_sending([start(), body(more=True)], error=ConnectionError("the app's own database"))
    with pytest.raises(ConnectionError):
        call(app)
    assert failures(app.recorder) == (1, 1)


def test_an_error_after_the_whole_answer_is_counted_once_and_not_as_the_requests() -> None:
    app = app_sending([start(), body()], error=RuntimeError("in a background task"))
    with pytest.raises(RuntimeError):
        call(app)
    assert failures(app.recorder) == (1, 0)


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_websockets_and_lifespan_pass_unmeasured(kind: str) -> None:
    passed: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append((scope, receive, send))

    middleware = LevqorMiddleware(app, Recorder())
    scope: Scope = {"type": kind}
    asyncio.run(middleware(scope, no_message, swallow))
    assert passed == [(scope, no_message, swallow)]
    assert drained(middleware.recorder) == {}


@pytest.mark.parametrize("is_raised", [True, False])
def test_an_app_that_knows_no_lifespan_is_reported_all_the_same(store_url: str, is_raised: bool) -> None:
    """Its answer to the lifespan's start is not its end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            if is_raised:
                raise ValueError("only HTTP")
            return
        await send(start())
        await send(body())

    middleware = LevqorMiddleware(app, redis_url=store_url)

    async def run() -> None:
        with contextlib.suppress(ValueError):
            await middleware({"type": "lifespan"}, no_message, swallow)
        await middleware(dict(HTTP), no_message, swallow)

    asyncio.run(run())
    middleware.reporting.close()
    with connect(store_url) as client:
        assert [counts.total for counts in Telemetry(client).totals().histograms.values()] == [1]


def test_any_app_may_name_its_route() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["levqor.route"] = "/things/:id"
        await send(start())
        await send(body())

    middleware = LevqorMiddleware(app, Recorder())
    call(middleware)
    assert [series[3] for series in drained(middleware.recorder)] == ["/things/:id"]


def test_without_a_store_the_app_works_and_says_so_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("LEVQOR_REDIS_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    app = Starlette(routes=[Route("/", ok)])
    app.add_middleware(levqor.asgi.Middleware)
    with caplog.at_level(logging.WARNING, "levqor"):
        assert ask(app, "/", "/", "/") == [200, 200, 200]
    assert len(caplog.records) == 1
    assert "redis_url=" in caplog.text
