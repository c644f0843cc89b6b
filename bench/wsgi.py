"""How much longer a request takes with the WSGI middleware, on a no-op app called directly, beside prometheus_flask_exporter."""

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics

import levqor.wsgi
from levqor.client.recorder import Recorder

REQUESTS = 200
ROUNDS = 101
LIMIT_US = 3.0

WsgiApp = Callable[..., Iterable[bytes]]


def bare() -> WsgiApp:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    return app


def bare_measured() -> WsgiApp:
    return levqor.wsgi.Middleware(bare(), Recorder())


def flask() -> Flask:
    app = Flask("bench")
    app.add_url_rule("/items/<int:item>", view_func=lambda item: "ok", endpoint="items")
    return app


def flask_measured() -> WsgiApp:
    app = flask()
    app.wsgi_app = levqor.wsgi.Middleware(app.wsgi_app, Recorder())  # type: ignore[method-assign]
    return app


def flask_exported() -> WsgiApp:
    app = flask()
    PrometheusMetrics(app, registry=CollectorRegistry(), group_by="url_rule")
    return app


def environ_of_request() -> dict[str, Any]:
    environ: dict[str, Any] = {"PATH_INFO": "/items/7", "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)
    return environ


def accept(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
    assert status == "200 OK", status
    return len


def _call(app: WsgiApp) -> int:
    """How long one request takes (ns), its environ's making left out."""
    environ = environ_of_request()
    begin = time.perf_counter_ns()
    body = app(environ, accept)
    for _part in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return time.perf_counter_ns() - begin


def costs_us(builders: dict[str, Callable[[], WsgiApp]]) -> dict[str, list[float]]:
    """A figure a round: its median request. Short rounds take turns, so that a busy moment of the machine meets all apps."""
    order = random.Random(8)
    apps = {name: build() for name, build in builders.items()}
    turns = list(apps)
    rounds: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        order.shuffle(turns)
        for name in turns:
            rounds[name].append(statistics.median(_call(apps[name]) for _ in range(REQUESTS)) / 1000)
    return rounds


def added_us(costs: dict[str, list[float]], name: str, base: str) -> float:
    """The median over the rounds of what the two differ by."""
    return statistics.median(mine - plain for mine, plain in zip(costs[name], costs[base], strict=True))


def report(base: str, builders: dict[str, Callable[[], WsgiApp]], limit: str = "") -> float:
    """Prints the group's lines; answers what ours adds (us)."""
    costs = costs_us(builders)
    for name, each in costs.items():
        added = "" if name == base else f"{added_us(costs, name, base):.2f}"
        print(f"{name:<32}{statistics.median(each):>8.2f}{added:>8}{limit if 'levqor' in name else '':>9}")
    return added_us(costs, "  with levqor", base)


def main() -> int:
    print(f"{'no-op app, per request':<32}{'us':>8}{'added':>8}{'limit':>9}")
    ours = report("WSGI app", {"WSGI app": bare, "  with levqor": bare_measured}, f"{LIMIT_US:.1f} us")
    # Shown beside a peer, without a limit: after Flask's own work nothing of ours is in the processor's caches.
    report("Flask", {"Flask": flask, "  with levqor": flask_measured, "  with prometheus_flask_exporter": flask_exported})
    return 0 if ours <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
