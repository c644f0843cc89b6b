"""Small apps as a team might have them, each with the one line that attaches it. Real servers run them in tests."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import levqor.asgi
import levqor.wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def flask() -> Any:
    from flask import Flask

    app = Flask("app")
    app.add_url_rule("/items/<int:item>", "items", lambda item: str(os.getpid()))
    app.wsgi_app = levqor.wsgi.Middleware(app.wsgi_app)  # type: ignore[method-assign]
    return app


def forking() -> Any:
    """Each request to `/fork` has a child that serves one request itself, as a server that forks late."""
    app = flask()

    def fork() -> str:
        pid = os.fork()
        if pid == 0:
            app.test_client().get("/items/1", buffered=True)
            app.wsgi_app.reporting.close()
            os._exit(0)
        os.waitpid(pid, 0)
        return "ok"

    app.add_url_rule("/fork", "fork", fork)
    return app


def warm() -> Any:
    """Served a request while it was loaded: with --preload, in the master."""
    app = flask()
    app.test_client().get("/items/0", buffered=True)
    return app


def slow_start() -> "WSGIApplication":
    """Streams without end and counts nothing itself: for clients that leave."""

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/items/1":
            return [b"ok"]
        return iter(lambda: b"x" * 65536, b"")

    return levqor.wsgi.Middleware(app)


def _configure_django() -> None:
    import django
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    def item(request: HttpRequest, item: int) -> HttpResponse:
        return HttpResponse(str(os.getpid()))

    urls = type("urls", (), {"urlpatterns": [path("items/<int:item>", item)]})
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=urls, SECRET_KEY="of a test")
    django.setup()


def django_wsgi() -> Any:
    from django.core.wsgi import get_wsgi_application

    _configure_django()
    return levqor.wsgi.Middleware(get_wsgi_application())


def django_asgi() -> Any:
    from django.core.asgi import get_asgi_application

    _configure_django()
    return levqor.asgi.Middleware(get_asgi_application())


def fastapi() -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    app.add_api_route("/items/{item}", lambda item: os.getpid())
    app.add_middleware(levqor.asgi.Middleware)
    return app
