"""The WSGI middleware: what counts as a request, as its end and as its failure (spec S1), and that the app is served as before."""

import io
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import flask
import pytest
import werkzeug
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import levqor.wsgi
from levqor.client import log
from levqor.client.recorder import MAX_OVERFLOW_PER_KIND, MAX_SERIES_PER_KIND, Recorder, Series
from levqor.store.telemetry import Counts

Headers = list[tuple[str, str]]


def drained(recorder: Recorder) -> dict[Series, tuple[int, int]]:
    """(requests, failures) by series."""
    return {series: (counts.total, counts.failed) for series, counts in ((s, Counts.of(f)) for s, f in recorder.drain().items())}


def counted(recorder: Recorder) -> tuple[int, int]:
    (answer,) = drained(recorder).values()
    return answer


class Server:
    """A WSGI server's part of one request."""

    def __init__(self, path: str = "/", method: str = "GET", environ: dict[str, Any] | None = None) -> None:
        self.environ: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, **(environ or {})}
        setup_testing_defaults(self.environ)
        self.status = ""
        self.exc_info: Any = None
        self.written: list[bytes] = []
        self.write_error: BaseException | None = None

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], object]:
        self.status, self.exc_info = status, exc_info
        return self.write

    def write(self, data: bytes) -> None:
        if self.write_error is not None:
            raise self.write_error
        self.written.append(data)

    def begin(self, app: Any) -> Any:
        return app(self.environ, self.start_response)

    def serve(self, app: Any) -> bytes:
        body = self.begin(app)
        try:
            self.written += body
        finally:
            if hasattr(body, "close"):
                body.close()
        return b"".join(self.written)


class Closing:
    """A body that says when it was closed, and may break on its way."""

    def __init__(self, parts: Iterable[bytes], error: BaseException | None = None) -> None:
        self.parts, self.error, self.closed = parts, error, 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


def answering(body: Any, status: str = "200 OK") -> tuple[Any, Recorder]:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return body

    recorder = Recorder()
    return levqor.wsgi.Middleware(app, recorder), recorder


@pytest.mark.parametrize(
    ("status", "failed"), [("200 OK", 0), ("404 Not Found", 0), ("499 x", 0), ("500 x", 1), ("503 x", 1), ("599 x", 1)]
)
def test_a_5xx_is_a_failure_and_a_clients_mistake_is_none(status: str, failed: int) -> None:
    """S1."""
    app, recorder = answering([b"x"], status)
    assert Server().serve(app) == b"x"
    assert drained(recorder) == {("http", "service", "GET", "unmatched"): (1, failed)}


def test_a_request_lasts_until_its_last_byte() -> None:
    seen: list[int] = []

    def parts() -> Iterator[bytes]:
        for _ in range(3):
            seen.append(len(recorder.drain()))
            yield b"part"

    app, recorder = answering(parts())
    assert Server().serve(app) == b"partpartpart"
    assert (seen, counted(recorder)) == ([0, 0, 0], (1, 0))


def test_close_is_passed_on_once_and_is_the_end_of_an_answer_that_nobody_waited_for() -> None:
    """A client that leaves in the middle of its answer is no failure; the app's iterator is the server's to close."""
    body = Closing([b"a", b"b"])
    app, recorder = answering(body)
    answer = Server().begin(app)
    parts = iter(answer)
    next(parts)
    answer.close()
    del parts
    assert body.closed == 1
    assert counted(recorder) == (1, 0)


def test_a_body_without_close_and_one_that_is_never_iterated_are_served_too() -> None:
    app, recorder = answering(iter([b"a"]))
    Server().begin(app).close()
    assert counted(recorder) == (1, 0)


@pytest.mark.parametrize("error", [RuntimeError("broken"), OSError("the app's own disk"), SystemExit(1), KeyboardInterrupt()])
def test_an_exception_in_the_app_is_a_failure_and_goes_on(error: BaseException) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise error

    recorder = Recorder()
    with pytest.raises(type(error)):
        Server().serve(levqor.wsgi.Middleware(app, recorder))
    assert counted(recorder) == (1, 1)


@pytest.mark.parametrize("error", [RuntimeError("broken"), OSError("the app's own disk"), SystemExit(1)])
def test_an_exception_in_the_middle_of_the_answer_is_a_failure_and_the_body_is_closed(error: BaseException) -> None:
    body = Closing([b"a"], error)
    app, recorder = answering(body)
    with pytest.raises(type(error)):
        Server().serve(app)
    assert (counted(recorder), body.closed) == ((1, 1), 1)


def test_an_answer_that_never_began_is_a_failure() -> None:
    """S1: a request that died."""
    recorder = Recorder()
    Server().begin(levqor.wsgi.Middleware(lambda environ, start_response: iter(()), recorder)).close()
    assert counted(recorder) == (1, 1)


def test_a_generator_that_starts_its_answer_late_is_an_answer() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("204 No Content", [])
        yield b""

    recorder = Recorder()
    Server().serve(levqor.wsgi.Middleware(app, recorder))
    assert counted(recorder) == (1, 0)


def test_an_answer_replaced_by_an_error_page_is_a_failure() -> None:
    """PEP 3333: `exc_info` reaches the server as it is."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            start_response("500 Broken", [], sys.exc_info())
        return [b"sorry"]

    recorder, server = Recorder(), Server()
    server.serve(levqor.wsgi.Middleware(app, recorder))
    assert (server.status, server.exc_info[0]) == ("500 Broken", RuntimeError)
    assert counted(recorder) == (1, 1)


def writing(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [])
    write(b"a")
    write(b"b")
    return [b"c"]


def test_what_is_written_reaches_the_server() -> None:
    recorder = Recorder()
    assert Server().serve(levqor.wsgi.Middleware(writing, recorder)) == b"abc"
    assert counted(recorder) == (1, 0)


@pytest.mark.parametrize(("error", "failed"), [(BrokenPipeError(), 0), (RuntimeError(), 1)])
def test_a_write_that_fails_because_the_client_left_is_not_the_apps_failure(error: Exception, failed: int) -> None:
    recorder, server = Recorder(), Server()
    server.write_error = error
    with pytest.raises(type(error)):
        server.serve(levqor.wsgi.Middleware(writing, recorder))
    assert counted(recorder) == (1, failed)


@pytest.mark.parametrize(("body", "length"), [([b"a"], 1), ((b"a", b"b"), 2), (iter([b"a"]), None)])
def test_a_server_can_still_ask_how_many_parts_there_are(body: Any, length: int | None) -> None:
    """It sets Content-Length from it."""
    app, _ = answering(body)
    answer = Server().begin(app)
    assert (len(answer) if hasattr(answer, "__len__") else None) == length


class Sealed(FileWrapper):
    """As servers written in C have it: no attribute can be set."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "close" and hasattr(self, "filelike"):
            raise AttributeError(name)
        super().__setattr__(name, value)

    def __init__(self, file: Any) -> None:
        self.close = file.close
        self.filelike, self.blksize = file, 8192


@pytest.mark.parametrize(
    "wrapper", [pytest.param(FileWrapper, id="a type of the server's"), pytest.param(lambda file: file, id="a function of the server's")]
)
def test_a_file_is_handed_back_as_the_server_made_it_and_ends_with_its_close(wrapper: Any) -> None:
    """Otherwise the kernel could not send it."""
    file = io.BytesIO(b"content")
    made = wrapper(file)
    app, recorder = answering(made)
    server = Server(environ={"wsgi.file_wrapper": wrapper})
    assert server.begin(app) is made
    assert drained(recorder) == {}
    assert b"".join(made) == b"content"
    made.close()
    assert file.closed
    assert counted(recorder) == (1, 0)


def test_a_file_that_cannot_be_followed_is_counted_at_once() -> None:
    made = Sealed(io.BytesIO(b"content"))
    app, recorder = answering(made)
    assert Server(environ={"wsgi.file_wrapper": Sealed}).begin(app) is made
    assert counted(recorder) == (1, 0)


def test_it_keeps_to_the_protocol_on_both_sides() -> None:
    """PEP 3333, as the standard library checks it."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    recorder = Recorder()
    out, said = io.BytesIO(), io.StringIO()
    handler = SimpleHandler(io.BytesIO(), out, said, Server(environ={"QUERY_STRING": "", "SCRIPT_NAME": ""}).environ)
    handler.run(validator(levqor.wsgi.Middleware(validator(app), recorder)))
    assert out.getvalue().endswith(b"ok"), said.getvalue()
    assert counted(recorder) == (1, 0)


def flask_app(recorder: Recorder) -> flask.Flask:
    app, part = flask.Flask("app"), flask.Blueprint("part", "part", url_prefix="/part")
    part.add_url_rule("/<name>", "named", lambda name: name)
    app.register_blueprint(part)
    app.add_url_rule("/items/<int:item>", "item", lambda item: "ok", methods=["GET", "POST"])
    app.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    app.add_url_rule("/stream", "stream", lambda: flask.Response(iter(["a", "b"])))
    app.wsgi_app = levqor.wsgi.Middleware(app.wsgi_app, recorder)  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize(
    ("path", "route", "failed"),
    [
        pytest.param("/items/7", "/items/<int:item>", 0, id="a rule"),
        pytest.param("/part/x", "/part/<name>", 0, id="a blueprint's"),
        pytest.param("/stream", "/stream", 0, id="a stream"),
        pytest.param("/broken", "/broken", 1, id="an exception"),
        pytest.param("/wp-login.php", "unmatched", 0, id="a scanner"),
        pytest.param("/items/x", "unmatched", 0, id="no rule's value"),
    ],
)
def test_flask_requests_are_counted_by_their_rule(path: str, route: str, failed: int) -> None:
    """With nothing but the one line."""
    recorder = Recorder()
    Server(path, environ={"wsgi.errors": io.StringIO()}).serve(flask_app(recorder))
    assert drained(recorder) == {("http", "service", "GET", route): (1, failed)}


def test_a_mounted_flask_app_is_counted_by_its_rule() -> None:
    recorder = Recorder()
    inner = flask.Flask("inner")
    inner.add_url_rule("/items/<item>", "item", lambda item: "ok")
    outer = levqor.wsgi.Middleware(DispatcherMiddleware(lambda environ, start_response: [], {"/sub": inner}), recorder)
    Server("/sub/items/1").serve(outer)
    assert drained(recorder) == {("http", "service", "GET", "/items/<item>"): (1, 0)}


def test_an_app_of_werkzeugs_own_requests_is_counted_too() -> None:
    """They stand where Flask's stand, and know no rule."""

    @werkzeug.Request.application
    def app(request: werkzeug.Request) -> werkzeug.Response:
        return werkzeug.Response("ok")

    recorder = Recorder()
    Server("/items/1").serve(levqor.wsgi.Middleware(app, recorder))
    assert drained(recorder) == {("http", "service", "GET", "unmatched"): (1, 0)}


def test_any_app_may_name_its_route() -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["levqor.route"] = "/things/:id"
        start_response("200 OK", [])
        return [b""]

    recorder = Recorder()
    Server("/things/1").serve(levqor.wsgi.Middleware(app, recorder))
    assert drained(recorder) == {("http", "service", "GET", "/things/:id"): (1, 0)}


@pytest.mark.parametrize("route", [7, b"/x", "", ["/x"]])
def test_a_route_that_is_no_text_is_none(route: object) -> None:
    app, recorder = answering([])
    Server(environ={"levqor.route": route}).serve(app)
    assert [series[3] for series in drained(recorder)] == ["unmatched"]


def test_a_hundred_thousand_paths_and_routes_are_a_bounded_number_of_series() -> None:
    """P5: paths are no labels at all, routes and methods only up to a bound; nothing is uncounted."""
    flask_recorder, recorder = Recorder(), Recorder()
    app = flask_app(flask_recorder)
    named = levqor.wsgi.Middleware(lambda environ, start_response: [], recorder)
    server = Server()
    for position in range(100_000):
        environ = {**server.environ, "PATH_INFO": f"/{position}", "REQUEST_METHOD": f"M{position}", "levqor.route": f"/{position}"}
        for _part in named(environ, server.start_response):
            raise AssertionError("it has none")
    for position in range(300):
        Server(f"/scan/{position}", f"M{position}").serve(app)
    assert drained(flask_recorder) == {("http", "service", "OTHER", "unmatched"): (300, 0)}
    counts = drained(recorder)
    assert len(counts) <= MAX_SERIES_PER_KIND + MAX_OVERFLOW_PER_KIND + 1
    assert sum(total for total, _ in counts.values()) == 100_000


def test_an_environ_that_cannot_be_told_leaves_the_app_alone() -> None:
    app, recorder = answering([b"x"])
    server = Server()
    del server.environ["REQUEST_METHOD"]
    assert server.serve(app) == b"x"
    assert drained(recorder) == {}


def test_without_a_store_the_app_works_and_says_so_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("LEVQOR_REDIS_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    app = levqor.wsgi.Middleware(lambda environ, start_response: [b"x"])
    with caplog.at_level(logging.WARNING, "levqor"):
        assert [Server().serve(app) for _ in range(3)] == [b"x"] * 3
    assert len(caplog.records) == 1
    assert "redis_url=" in caplog.text


def test_a_flusher_that_cannot_start_is_no_error_of_the_app(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    app = levqor.wsgi.Middleware(lambda environ, start_response: [b"x"], redis_url="redis://127.0.0.1:1")
    with caplog.at_level(logging.WARNING, "levqor"):
        assert Server().serve(app) == b"x"
    assert "no thread could be started" in caplog.text


def test_a_fault_of_ours_is_told_once_and_never_reaches_the_app(caplog: pytest.LogCaptureFixture) -> None:
    """Never silent: what cannot be recorded is missing from the figures, so somebody has to hear of it."""

    class Broken(Recorder):
        def observe(self, *_arguments: object, **_named: object) -> None:
            raise RuntimeError("a bug")

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"well"]

    log.fault.cache_clear()
    measured = levqor.wsgi.Middleware(app, Broken())
    for _ in range(3):
        body: Any = measured({"REQUEST_METHOD": "GET"}, lambda *_: lambda _data: None)
        assert b"".join(body) == b"well"
        body.close()
    assert [record.message for record in caplog.records] == ["requests are not recorded; the app is not affected"]
    assert "a bug" in str(caplog.records[0].exc_info)
