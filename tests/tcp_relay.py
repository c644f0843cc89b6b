"""A relay before a real server: it may hold back what is answered, or end TLS for a server that speaks none."""

import select
import shutil
import socket
import ssl
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

CHUNK = 65_536
POLL_S = 0.05


class Listener(ABC):
    """Accepts connections, each served in a thread of its own, until it is closed."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(POLL_S)
        self.port = int(self._socket.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @abstractmethod
    def serve(self, client: socket.socket, is_over: Callable[[float], bool]) -> None:
        """Speak with one client until it leaves, or `is_over` says so."""

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                client, _ = self._socket.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(5)
        with suppress(OSError), client:
            if self._tls is None:
                self.serve(client, self._over.wait)
                return
            with self._tls.wrap_socket(client, server_side=True) as spoken:
                self.serve(spoken, self._over.wait)


class Relay(Listener):
    """Hands on to a server of this machine; `delay_s` is how long each answer is held back."""

    def __init__(self, behind: int, *, delay_s: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self.behind, self.delay_s = behind, delay_s
        super().__init__(tls)

    def serve(self, client: socket.socket, is_over: Callable[[float], bool]) -> None:
        with socket.create_connection(("127.0.0.1", self.behind)) as server:
            while not is_over(0):
                ready, _, _ = select.select([client, server], [], [], POLL_S)
                for source, other in ((client, server), (server, client)):
                    if source in ready and not self._hand_on(source, other, is_over if source is server else None):
                        return

    def _hand_on(self, source: socket.socket, other: socket.socket, hold: Callable[[float], bool] | None) -> bool:
        """False at the end."""
        data = source.recv(CHUNK)
        while isinstance(source, ssl.SSLSocket) and source.pending():
            data += source.recv(CHUNK)
        if not data or (hold is not None and self.delay_s and hold(self.delay_s)):
            return False
        other.sendall(data)
        return True


class OneAnswer(Listener):
    """Says the same to whatever is asked; nothing at all: it closes the connection."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        super().__init__()

    def serve(self, client: socket.socket, is_over: Callable[[float], bool]) -> None:
        while client.recv(CHUNK) and self.answer and not is_over(0):
            client.sendall(self.answer)


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate that vouches for itself, for this machine."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, own = folder / "key.pem", folder / "cert.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*made.split(), *names, "-keyout", str(key), "-out", str(own)], check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    return own, context
