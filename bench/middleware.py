"""CPU that a request costs more with the middleware, on a no-op app called directly, beside starlette_exporter."""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message
from starlette_exporter import PrometheusMiddleware

import levqor.asgi
from levqor.client.recorder import Recorder

REQUESTS = 10_000
ROUNDS = 9
LIMIT_US = 3.0


async def no_op(request: Request) -> Response:
    return PlainTextResponse("ok")


def plain() -> Starlette:
    return Starlette(routes=[Route("/items/{id}", no_op)])


def measured() -> Starlette:
    app = plain()
    app.add_middleware(levqor.asgi.Middleware, recorder=Recorder())
    return app


def exported() -> Starlette:
    app = plain()
    app.add_middleware(PrometheusMiddleware, app_name="bench", group_paths=True)
    return app


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    return None


def _scope() -> dict[str, object]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/items/7",
        "raw_path": b"/items/7",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"service")],
        "server": ("service", 80),
        "client": ("127.0.0.1", 1),
    }


async def _call(app: ASGIApp) -> float:
    """CPU time per request (us)."""
    begin = time.process_time()
    for _ in range(REQUESTS):
        await app(_scope(), _receive, _send)
    return (time.process_time() - begin) / REQUESTS * 1e6


def costs_us(builders: dict[str, Callable[[], Starlette]]) -> dict[str, list[float]]:
    """Rounds take turns, so that a busy moment of the machine meets all of them."""
    apps = {name: build() for name, build in builders.items()}
    costs: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        for name, app in apps.items():
            costs[name].append(asyncio.run(_call(app)))
    return costs


def main() -> int:
    costs = costs_us({"plain": plain, "levqor": measured, "starlette_exporter": exported})
    base = min(costs["plain"])
    added = {name: min(each) - base for name, each in costs.items()}
    print(f"{'no-op app, CPU per request':<30}{'us':>8}{'median':>8}{'added':>8}{'ratio':>8}{'limit':>9}")
    for name, each in costs.items():
        ratio = added[name] / added["starlette_exporter"]
        limit = f"{LIMIT_US:>6.1f} us" if name == "levqor" else ""
        print(f"{name:<30}{min(each):>8.2f}{statistics.median(each):>8.2f}{added[name]:>8.2f}{ratio:>8.2f}{limit}")
    return 0 if added["levqor"] <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
