"""A WSGI middleware: from the request's arrival until the last byte of its answer is taken, or the answer is closed."""

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from levqor.client import django_requests, log
from levqor.client.flush import STEERING_SCOPE
from levqor.client.recorder import Recorder
from levqor.client.reporting import OTHER_METHOD, ROUTE, UNMATCHED, Reporting, method_label

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NO_ANSWER = "5"
"""The status of an answer that never began: a failure, as every status that begins so."""

Write = Callable[[bytes], object]


class LevqorMiddleware:
    """Records every request by route template; a 5xx, an exception and an answer that never began are failures.

    Given a `recorder` it only records. Without one it makes its own and flushes it to `redis_url`, else LEVQOR_REDIS_URL, else REDIS_URL.
    """

    def __init__(self, app: "WSGIApplication", recorder: Recorder | None = None, *, redis_url: str | None = None) -> None:
        self.app = app
        self.reporting = Reporting(recorder, redis_url)
        self._observe = self.reporting.recorder.observe
        django_requests.keep(app)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = _Answer(environ, start_response, self._observe)
        if not self.reporting.is_started:
            self.reporting.start()
        try:
            body: Any = self.app(environ, answer.start)
        except BaseException:
            answer.end(has_failed=True)
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if wrapper is not None and _is_file(body, wrapper):
            return answer.following(body)
        answer.body = body
        return _SizedAnswer(answer) if hasattr(body, "__len__") else answer


class _Answer:
    """One request on its way: the app's `start_response`, then what the server takes. Recorded once, at whatever end comes first."""

    __slots__ = ("_begin", "_environ", "_observe", "_request", "_start_response", "_status", "_write", "body", "is_over")

    _write: Write
    body: Any

    def __init__(self, environ: "WSGIEnvironment", start_response: "StartResponse", observe: Callable[..., None]) -> None:
        self._begin = perf_counter()
        self._environ = environ
        self._start_response = start_response
        self._observe = observe
        self._status = NO_ANSWER
        self._request: Any = None
        self.is_over = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Write:
        """What the app calls as `start_response`. Flask forgets its request when the app returns, so it is kept here."""
        self._status = status
        self._request = self._environ.get("werkzeug.request")
        begin = self._start_response
        self._write = begin(status, headers) if exc_info is None else begin(status, headers, exc_info)
        return self._written

    def _written(self, data: bytes) -> object:
        try:
            return self._write(data)
        except OSError:
            # The client went away in the middle of its answer: that is its choice.
            self.end()
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            # Not `yield from`: it would close the app's iterator, which is the server's to close.
            for part in self.body:  # noqa: UP028
                yield part
        except GeneratorExit:
            raise
        except BaseException:
            self.end(has_failed=True)
            raise
        self.end()

    def close(self) -> None:
        """Called by the server at the end of everything, also of an answer that nobody waited for."""
        if not self.is_over:
            self.end()
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    def following(self, body: Any) -> Iterable[bytes]:
        """A server's own wrapper of a file goes back to it as it is, so that the kernel can send it; its `close` is the end."""
        close = getattr(body, "close", None)

        def closed() -> None:
            self.end()
            if close is not None:
                close()

        try:
            body.close = closed
        except Exception:
            self.end()
        followed: Iterable[bytes] = body
        return followed

    def end(self, has_failed: bool = False) -> None:
        """The last byte, the answer's close, or an exception of the app's: a failure whatever its status was."""
        if self.is_over:
            return
        self.is_over = True
        ms = (perf_counter() - self._begin) * 1000
        try:
            environ = self._environ
            series = ("http", STEERING_SCOPE, method_label(environ["REQUEST_METHOD"], OTHER_METHOD), template_of(environ, self._request))
            self._observe(series, ms, has_failed or self._status[0] == "5")
        except Exception:
            log.fault("requests are not recorded; the app is not affected")


class _SizedAnswer:
    """An answer of a known number of parts, which a server asks for to set Content-Length."""

    __slots__ = ("_answer", "close")

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self.close = answer.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def __len__(self) -> int:
        return len(self._answer.body)


def template_of(environ: "WSGIEnvironment", request: Any = None) -> str:
    """The template of the request's route, as far as the app or its framework tells; UNMATCHED otherwise."""
    route = environ.get(ROUTE)
    if route is None:
        # Werkzeug's own request, of an app that is not Flask's, has no rule.
        route = django_requests.route_in(environ) if request is None else getattr(getattr(request, "url_rule", None), "rule", None)
    return route if isinstance(route, str) and route else UNMATCHED


def _is_file(body: Any, wrapper: Any) -> bool:
    """Whether the server knows this body as a file that it made with its `wsgi.file_wrapper`."""
    return isinstance(body, wrapper) if isinstance(wrapper, type) else hasattr(body, "read")
