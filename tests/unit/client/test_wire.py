"""The client's own connection to the store: every way to name one, every way to fail, and never longer than allowed."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from tests.conftest import Valkey, valkey_binary
from tests.waiting import eventually

from levqor.client.wire import Store, StoreRefused

ECHO = "return {ARGV[1], 7, false, redis.status_reply('fine')}"


def echo(store: Store, text: str) -> object:
    return store.register_script(ECHO)(args=[text])


def test_a_script_is_known_after_its_first_use_and_again_after_the_store_forgot_it(store_url: str) -> None:
    store = Store(store_url, 5)
    with redis.Redis.from_url(store_url) as client:
        for _ in range(2):
            client.script_flush()
            assert [echo(store, "ä\r\n") for _ in range(2)] == [["ä\r\n".encode(), 7, None, b"fine"]] * 2


def test_an_answer_in_many_pieces_is_one(store_url: str) -> None:
    text = "x" * 300_000
    answer = echo(Store(store_url, 5), text)
    assert isinstance(answer, list)
    assert answer[0] == text.encode()


def test_a_database_and_a_user_of_the_url_are_used(store_url: str) -> None:
    with redis.Redis.from_url(store_url) as client:
        client.acl_setuser("a@b", enabled=True, passwords=["+p/:@"], keys="*", commands=["+@all"])
        parts = urlsplit(store_url)
        store = Store(f"redis://a%40b:p%2F%3A%40@{parts.hostname}:{parts.port}/3", 5)
        store.register_script("return redis.call('ZADD', 'key', 1, ARGV[1])")(args=["member"])
        client.acl_deluser("a@b")
        with redis.Redis.from_url(f"{store_url.rpartition('/')[0]}/3") as third:
            assert third.zrange("key", 0, -1) == [b"member"]
    other = Store(f"{store_url.rpartition('/')[0]}?db=3", 5)
    assert other.zrem("key", "member") == 1


@pytest.mark.parametrize("url", ["http://host", "host:6379", "", "redis://host:port/0", "redis://host/zero", "redis://host?db=x"])
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Store(url, 1)


def test_a_refusal_is_told_by_its_code_alone(store_url: str) -> None:
    """X2: the text of an error may hold data."""
    parts = urlsplit(store_url)
    with pytest.raises(StoreRefused, match=r"^WRONGPASS$"):
        echo(Store(f"redis://:wrong@{parts.hostname}:{parts.port}", 5), "x")
    with pytest.raises(StoreRefused, match=r"^NOAUTH$"):
        echo(Store(f"redis://{parts.hostname}:{parts.port}", 5), "x")


def test_a_connection_that_was_closed_meanwhile_is_made_anew(valkey: Valkey) -> None:
    store = Store(valkey.url, 5)
    assert echo(store, "x")
    with valkey.client as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert echo(store, "x")
    valkey.kill()
    with pytest.raises(ConnectionRefusedError):
        echo(store, "x")
    valkey.start()
    assert echo(store, "x")


def test_a_store_that_hangs_is_given_up_and_heard_again(valkey: Valkey) -> None:
    store = Store(valkey.url, 0.2)
    assert echo(store, "x")
    valkey.pause()
    try:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                echo(store, "x")
    finally:
        valkey.resume()
    eventually(lambda: _echoes(store))


def _echoes(store: Store) -> bool:
    try:
        return bool(echo(store, "x"))
    except OSError:
        return False


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """A server that says one thing to everybody, then nothing: its URL."""
    listeners: list[socket.socket] = []

    def start(says: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    connection.recv(100_000)
                    connection.sendall(says)
                    threading.Thread(target=drain, args=[connection], daemon=True).start()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return f"redis://127.0.0.1:{listener.getsockname()[1]}"

    def drain(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(100_000):
                pass

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("says", "error"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", ValueError, id="a web server"),
        pytest.param(b"$99999999999\r\n", ValueError, id="an answer without bounds"),
        pytest.param(b"*1\r\n" * 100, ValueError, id="a nest without bottom"),
        pytest.param(b"x" * (3 << 20), ValueError, id="a line without end"),
        pytest.param(b"$10\r\nhalf", TimeoutError, id="half an answer"),
        pytest.param(b"", TimeoutError, id="nothing"),
    ],
)
def test_what_is_no_answer_is_an_error(answering: Callable[[bytes], str], says: bytes, error: type[Exception]) -> None:
    """P5."""
    with pytest.raises(error):
        echo(Store(answering(says), 0.5), "x")


def is_listening(path: Path) -> bool:
    """The file is there a moment before the server listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_unix_socket_works(tmp_path: Path) -> None:
    path = tmp_path / "store.sock"
    command = [valkey_binary(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: is_listening(path))
        assert echo(Store(f"unix://{path}?db=2", 5), "x")
    finally:
        process.terminate()
        process.wait(10)


class TlsFront:
    """Ends TLS before a store that has none."""

    def __init__(self, folder: Path, port: int) -> None:
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        made = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(self.certificate),
            "-days",
            "1",
        ]
        subprocess.run([*made, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._store = ("127.0.0.1", port)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=[plain], daemon=True).start()

    def _carry(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as outside, socket.create_connection(self._store) as inside:
                while asked := outside.recv(65536):
                    inside.sendall(asked)
                    outside.sendall(inside.recv(65536))
        except OSError:
            return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize(
    ("query", "is_trusted"),
    [
        pytest.param("ssl_ca_certs={}", True, id="an authority that is named"),
        pytest.param("ssl_cert_reqs=none", True, id="no check wanted"),
        pytest.param("", False, id="an authority that nobody knows"),
    ],
)
def test_tls_is_checked_unless_told_otherwise(tmp_path: Path, store_url: str, query: str, is_trusted: bool) -> None:
    parts = urlsplit(store_url)
    assert parts.port is not None
    front = TlsFront(tmp_path, parts.port)
    try:
        store = Store(f"rediss://:{parts.password}@localhost:{front.port}/0?{query.format(front.certificate)}", 5)
        if is_trusted:
            assert echo(store, "x")
        else:
            with pytest.raises(ssl.SSLError):
                echo(store, "x")
    finally:
        front.close()
