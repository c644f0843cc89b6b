"""Django's routes, under WSGI and ASGI, with nothing in the project's settings (spec S1, P5)."""

import json
import subprocess
import sys

import pytest

# A process of its own: Django's settings are the whole process's.
PROGRAM = """
import asyncio, gc, io, json, logging, sys
import django
from django.conf import settings
from django.http import Http404, HttpResponse
from django.urls import include, path, re_path

def ok(request, **values):
    return HttpResponse("ok")

def missing(request):
    raise Http404

def broken(request):
    raise RuntimeError("broken")

inner = [path("items/<int:item>/", ok)]
urls = type("urls", (), {"urlpatterns": [
    path("", ok), path("api/<str:tenant>/", include(inner)), re_path("^old/(?P<item>[0-9]+)$", ok),
    path("missing", missing), path("broken", broken),
]})
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=urls, SECRET_KEY="of a test", APPEND_SLASH=True,
                   MIDDLEWARE=["django.middleware.common.CommonMiddleware"], LOGGING_CONFIG=None)
logging.disable(logging.CRITICAL)
django.setup()

from levqor.client.recorder import Recorder
recorder = Recorder()

def wsgi():
    import levqor.wsgi
    from django.core.wsgi import get_wsgi_application
    return levqor.wsgi.Middleware(get_wsgi_application(), recorder)

def ask_wsgi(app, path):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.input": io.BytesIO()}
    body = app(environ, lambda status, headers: None)
    list(body)
    body.close()
    return environ

def asgi():
    import levqor.asgi
    from django.core.asgi import get_asgi_application
    return levqor.asgi.Middleware(get_asgi_application(), recorder)

def ask_asgi(app, path):
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "server": ("x", 80)}
    messages = iter([{"type": "http.request", "body": b""}])

    async def receive():
        for message in messages:
            return message
        await asyncio.Event().wait()

    async def send(message):
        pass

    asyncio.run(app(scope, receive, send))
    return scope

make, ask = {"wsgi": (wsgi, ask_wsgi), "asgi": (asgi, ask_asgi)}[sys.argv[1]]
app, answers = make(), []
for path in sys.argv[2:]:
    carrier = ask(app, path)
    assert not any(name.startswith("levqor") for name in carrier), "the request is not kept alive by what it came in"
    answers.append([[*series, int(fields.get("f", 0))] for series, fields in recorder.drain().items()])
print(json.dumps(answers))
"""

ROUTES = {
    "/": ("/", 0),
    "/api/a/items/7/": ("/api/<str:tenant>/items/<int:item>/", 0),
    "/old/7": ("/^old/(?P<item>[0-9]+)$", 0),
    "/missing": ("/missing", 0),
    "/broken": ("/broken", 1),
    "/wp-login.php": ("unmatched", 0),
    "/api/a/items/7": ("unmatched", 0),
}
"""By path: the route, and whether it failed. Included, a pattern, a view's 404, an exception, a scanner, a redirect for a slash."""


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_django_requests_are_counted_by_their_route(protocol: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, protocol, *ROUTES], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[["http", "service", "GET", route, failed]] for route, failed in ROUTES.values()]
