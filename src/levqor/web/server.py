"""Serving: one socket, bounded in time and size, ended within seconds."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from levqor.domain.errors import UsageError
from levqor.settings import Settings
from levqor.web.wire import protocol

log = logging.getLogger("levqor.web")

GRACE_S = 5
"""Requests at work when the end is asked for may take this long; then they are cut."""
MAX_CONNECTIONS = 1_000
KEEP_ALIVE_S = 15
BACKLOG = 512


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError that says in one line why there is none."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    listener.set_inheritable(True)
    return listener


def _nothing() -> None:
    """Nobody waits to hear that connections are accepted."""


def tell_ready(descriptor: int | None) -> Callable[[], None]:
    """Says to whoever began this process that connections are accepted."""
    if descriptor is None:
        return _nothing

    def told() -> None:
        try:
            os.write(descriptor, b"\n")
            os.close(descriptor)
        except OSError as error:
            log.warning("nobody hears that connections are accepted", extra={"error": str(error)})

    return told


class Server(uvicorn.Server):
    """Ends on a signal or on `stop`, and then returns: the caller has more to close."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event, on_ready: Callable[[], None] = _nothing) -> None:
        super().__init__(config)
        self._stop, self._on_ready = stop, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal once more after its end, and the process would die of it.
        self._stop.set()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.is_set()


def serve(
    app: ASGIApp,
    settings: Settings,
    *,
    fd: int | None = None,
    stop: threading.Event | None = None,
    on_ready: Callable[[], None] = _nothing,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`. `fd` is an inherited listening socket; without one it binds HOST and PORT."""
    listener = socket.socket(fileno=fd) if fd is not None else listen(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        http=protocol(settings.head_timeout_s),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who asks is the peer; a header is anybody's word
        server_header=False,
        h11_max_incomplete_event_size=settings.header_max_bytes,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        backlog=BACKLOG,
    )
    log.info("serving", extra={"address": str(listener.getsockname())})
    with listener:
        asyncio.run(Server(config, stop or threading.Event(), on_ready).serve(sockets=[listener]))
