"""The few words of RESP that a flush needs: in the user's process no driver has to be installed, imported or kept in memory."""

import hashlib
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT = 6379
MAX_REPLY_BYTES = 1 << 20
MAX_DEPTH = 8

Reply = bytes | int | None | list[Any]


class StoreRefused(Exception):
    """The store answered with an error. Its text is the error's code alone (NOAUTH, READONLY, OOM): no data and no secret."""


class Store:
    """One connection to a Redis or Valkey by URL: `redis://`, `rediss://` or `unix://`. It answers or fails within `timeout_s`.

    Not for several threads at once. What is sent must bear being sent twice: a connection found dead is made anew, once.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        """Raises ValueError for a URL that names no store."""
        self._socket: socket.socket | None = None
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("a store's URL begins with redis://, rediss:// or unix://")
        self._parts = parts
        self._options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self._address = (parts.hostname or "localhost", parts.port or DEFAULT_PORT)
        self._greetings = self._greet(unquote(parts.username or ""), unquote(parts.password or ""))
        self._timeout_s = timeout_s
        self._deadline = 0.0
        self._received = b""

    def register_script(self, script: str) -> Callable[..., Reply]:
        """The script as a function of `args`; the store is sent its text only where it does not know it."""
        # The store names scripts by this hash.
        name = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()

        def run(args: Sequence[object]) -> Reply:
            try:
                return self._ask("EVALSHA", name, 0, *args)
            except StoreRefused as refusal:
                if str(refusal) != "NOSCRIPT":
                    raise
                return self._ask("EVAL", script, 0, *args)

        return run

    def zrem(self, key: str, member: str) -> Reply:
        return self._ask("ZREM", key, member)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._received = None, b""

    def __del__(self) -> None:
        self.close()

    def _greet(self, user: str, password: str) -> list[tuple[str, ...]]:
        """What is said first on a new connection. Raises ValueError for a database that is no number."""
        path = "" if self._parts.scheme == "unix" else self._parts.path.strip("/")
        database = int(self._options.get("db", path or "0"))
        greetings: list[tuple[str, ...]] = []
        if password:
            greetings.append(("AUTH", user, password) if user else ("AUTH", password))
        if database:
            greetings.append(("SELECT", str(database)))
        return greetings

    def _ask(self, *words: object) -> Reply:
        self._deadline = time.monotonic() + self._timeout_s
        if self._socket is not None:
            try:
                return self._exchange(words)
            except ConnectionError:
                pass  # it was closed at the other end, perhaps long ago
        self._connect()
        return self._exchange(words)

    def _connect(self) -> None:
        self.close()
        self._socket = self._opened()
        for greeting in self._greetings:
            self._exchange(greeting)

    def _opened(self) -> socket.socket:
        if self._parts.scheme == "unix":
            plain = socket.socket(socket.AF_UNIX)
            try:
                plain.settimeout(self._left_s())
                plain.connect(unquote(self._parts.path))
            except OSError:
                plain.close()
                raise
            return plain
        plain = socket.create_connection(self._address, self._left_s())
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._encrypted(plain) if self._parts.scheme == "rediss" else plain
        except OSError:
            plain.close()
            raise

    def _encrypted(self, plain: socket.socket) -> socket.socket:
        import ssl

        context = ssl.create_default_context(cafile=self._options.get("ssl_ca_certs"))
        if self._options.get("ssl_check_hostname", "").lower() in ("false", "0", "no"):
            context.check_hostname = False
        if self._options.get("ssl_cert_reqs") in ("none", "CERT_NONE"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if "ssl_certfile" in self._options:
            context.load_cert_chain(self._options["ssl_certfile"], self._options.get("ssl_keyfile"))
        return context.wrap_socket(plain, server_hostname=self._address[0])

    def _exchange(self, words: Sequence[object]) -> Reply:
        """One question and its answer. Whatever goes wrong in between ends the connection: the next answer would be the last one's."""
        try:
            self._live().sendall(_encoded(words))
            reply: Reply | StoreRefused = self._read(MAX_DEPTH)
        except BaseException:
            self.close()
            raise
        if isinstance(reply, StoreRefused):
            raise reply
        return reply

    def _read(self, depth: int) -> Any:
        """A reply, or the error that it is. Raises ValueError for what no store says."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            return StoreRefused(rest.split(b" ", 1)[0].decode("ascii", "replace"))
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        size = int(rest) if kind in (b"$", b"*") else MAX_REPLY_BYTES + 1
        if size > MAX_REPLY_BYTES or depth == 0:
            raise ValueError("what answers there is no store")
        if size < 0:
            return None
        return self._bytes(size) if kind == b"$" else [self._read(depth - 1) for _ in range(size)]

    def _line(self) -> bytes:
        while b"\r\n" not in self._received:
            if len(self._received) > MAX_REPLY_BYTES:
                raise ValueError("what answers there is no store")
            self._receive()
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def _bytes(self, size: int) -> bytes:
        while len(self._received) < size + 2:
            self._receive()
        text, self._received = self._received[:size], self._received[size + 2 :]
        return text

    def _receive(self) -> None:
        received = self._live().recv(65536)
        if not received:
            raise ConnectionResetError("the store closed the connection")
        self._received += received

    def _live(self) -> socket.socket:
        """The connection, which waits no longer than the answer may still take."""
        if self._socket is None:
            raise ConnectionResetError("there is no connection")
        self._socket.settimeout(self._left_s())
        return self._socket

    def _left_s(self) -> float:
        """How long the answer may still take. Raises TimeoutError once it is due: one that dribbles is as good as none."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the store did not answer in time")
        return left_s


def _encoded(words: Sequence[object]) -> bytes:
    encoded = [str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(encoded), *[b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]])
