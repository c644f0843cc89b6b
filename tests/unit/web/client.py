"""Asking the app without a socket, from any address."""

import asyncio
from typing import Any

import httpx
from tests.unit.web.fakes import TOKEN, Installation

from levqor.web.app import create_app

LOOPBACK = "127.0.0.1"
STRANGER = "203.0.113.7"
ADMIN = {"X-ADMIN-TOKEN": TOKEN}


class Client:
    """A caller at an address; each call is a request of its own to one and the same app."""

    def __init__(self, installation: Installation, address: str = LOOPBACK, host: str = "localhost:8000") -> None:
        self.app = create_app(installation.services)
        self.address, self.host = address, host

    def at(self, address: str, host: str = "levqor.example") -> "Client":
        """Somebody else before the same app."""
        other = object.__new__(Client)
        other.app, other.address, other.host = self.app, address, host
        return other

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self.ask(method, path, **options))

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.address, 4321))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{self.host}") as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self("POST", path, **options)
