"""A real PostgreSQL server of our own: LEVQOR_TEST_PG_URL, else the system's binaries on a free port with a scratch folder."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest


def postgres_bin() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Postgres:
    """Starts on loopback without fsync; as root it runs as the user `postgres`, since the server refuses root."""

    def __init__(self) -> None:
        binaries = postgres_bin()
        if binaries is None:
            _absent("no PostgreSQL server found: set LEVQOR_TEST_PG_URL or install the package postgresql")
        # Not below pytest's own folder: the server's user may not enter that.
        self._binaries, self._folder = binaries, Path(tempfile.mkdtemp(prefix="levqor-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def start(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "levqor", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", str(data), "-o", options, "-l", str(self._folder / "log"), "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder)

    @property
    def url(self) -> str:
        return f"postgresql://levqor@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self._binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder, timeout=60)


def _absent(why: str) -> NoReturn:
    """Locally a suite without the server says so; in CI it is an error."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
