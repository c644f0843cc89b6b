"""A small app as a team might run it beside Levqor, with a fault that can be switched on and that a reload takes away."""

import argparse
import asyncio
import math
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware as AppMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from levqor.asgi import Middleware

MEDIAN_MS, SIGMA = 20.0, 0.5
"""A healthy answer's time, log-normal: P99 is 64 ms."""


@dataclass(slots=True)
class Fault:
    """What is wrong with the app. It is in its memory alone, so a reload heals it."""

    error_share: float = 0.0
    extra_ms: float = 0.0
    is_stuck: bool = False
    """Not even a reload heals it."""

    def reload(self) -> None:
        if not self.is_stuck:
            self.error_share, self.extra_ms = 0.0, 0.0


def create(pid_file: Path | None = None, seed: int = 1) -> Starlette:
    """The app: `/work` is its own route, `/fault` switches, `/readyz` tells that it serves. SIGHUP reloads it."""
    fault = Fault()
    chance = random.Random(seed)  # noqa: S311 (a load's spread, no secret)

    async def work(_request: Request) -> Response:
        await asyncio.sleep((MEDIAN_MS * math.exp(chance.gauss(0.0, SIGMA)) + fault.extra_ms) / 1000)
        if chance.random() < fault.error_share:
            return JSONResponse({"error": "the app is sick"}, 500)
        return JSONResponse({"ok": True})

    async def switch(request: Request) -> Response:
        asked = await request.json()
        fault.error_share, fault.extra_ms = float(asked.get("error_share", 0)), float(asked.get("extra_ms", 0))
        fault.is_stuck = bool(asked.get("is_stuck"))
        return JSONResponse({"ok": True})

    async def ready(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, fault.reload)
        if pid_file is not None:
            pid_file.write_text(str(os.getpid()), encoding="ascii")
        yield

    routes = [Route("/work", work), Route("/fault", switch, methods=["POST"]), Route("/readyz", ready)]
    return Starlette(routes=routes, middleware=[AppMiddleware(Middleware)], lifespan=lifespan)


def main(arguments: Sequence[str] | None = None) -> int:
    """`--port N --pid-file FILE` serves; `--reload FILE` tells a serving one to reload, as a reload command does."""
    parser = argparse.ArgumentParser(prog="python -m levqor.lab.sample_app", description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--pid-file", type=Path)
    parser.add_argument("--reload", type=Path, metavar="PID_FILE")
    asked = parser.parse_args(arguments)
    if asked.reload is not None:
        os.kill(int(asked.reload.read_text(encoding="ascii")), signal.SIGHUP)
        return 0
    import uvicorn

    uvicorn.run(create(asked.pid_file), host="127.0.0.1", port=asked.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
