"""PostgreSQL's own programs, found and run: `pg_dump`, `pg_restore`, `psql`. No password is ever on a command line."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL

from levqor.domain.backups import BackupFailed
from levqor.domain.errors import DependencyDown

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/opt/libpq/bin", "/opt/homebrew/opt/libpq/bin")
APPLICATION = "levqor backup"
CONNECT_TIMEOUT_S = 5
RUN_TIMEOUT_S = 6 * 3_600
"""No dump takes so long; a program that hangs is ended."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with the three programs, all of one major version, and the environment that they run in."""

    folder: Path
    major: int
    environment: Mapping[str, str]

    def command(self, program: str, *arguments: str) -> list[str]:
        return [str(self.folder / program), *arguments]

    def run(self, program: str, *arguments: str) -> None:
        """Run one to its end. Raises BackupFailed with what it said last."""
        try:
            subprocess.run(
                self.command(program, *arguments),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=RUN_TIMEOUT_S,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise BackupFailed(f"{program}: {_first_said(error.stderr)}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackupFailed(f"{program}: {type(error).__name__}") from error

    @contextmanager
    def reading(self, program: str, *arguments: str) -> Iterator[IO[bytes]]:
        """What one writes, line by line. Raises BackupFailed where it did not come to a good end."""
        with self._begun(program, *arguments, stdout=subprocess.PIPE) as process:
            yield _pipe(process.stdout)

    @contextmanager
    def writing(self, program: str, *arguments: str) -> Iterator[IO[bytes]]:
        """Its input. Raises BackupFailed where it did not come to a good end."""
        with self._begun(program, *arguments, stdin=subprocess.PIPE) as process:
            try:
                yield _pipe(process.stdin)
                _pipe(process.stdin).close()
            except BrokenPipeError:
                process.wait()  # it had enough; what it said tells why

    @contextmanager
    def _begun(self, program: str, *arguments: str, **pipes: int) -> Iterator["subprocess.Popen[bytes]"]:
        """A running program, ended with whatever error of ours comes first."""
        with tempfile.TemporaryFile() as said:
            options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": said, **pipes}
            try:
                process = subprocess.Popen(self.command(program, *arguments), env=self.environment, **options)
            except OSError as error:
                raise BackupFailed(f"{program}: {error.strerror}") from error
            try:
                yield process
                code = process.wait(RUN_TIMEOUT_S)
            except BaseException:
                process.kill()
                raise
            finally:
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    _close(pipe)
            if code:
                said.seek(0)
                raise BackupFailed(f"{program}: {_first_said(said.read().decode(errors='replace'))}")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise BackupFailed("a program was begun without a pipe")
    return pipe


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(BrokenPipeError):  # it had ended before it read everything
            pipe.close()


def find_programs(server_major: int, url: URL, environment: Mapping[str, str], places: Sequence[str] = PLACES) -> Programs:
    """The programs of the server's own major version, else the nearest newer one. Raises DependencyDown with one line."""
    versions = {folder: major for folder in _folders(environment, places) if (major := _major(folder)) is not None}
    fitting = {major: folder for folder, major in reversed(versions.items()) if major >= server_major}
    if not fitting:
        have = f"there is only version {max(versions.values())}" if versions else "none is on PATH or in /usr/lib/postgresql"
        raise DependencyDown(f"pg_dump {server_major} or newer is needed, {have}: install postgresql-client-{server_major}")
    major = min(fitting)
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    more = {"PGAPPNAME": APPLICATION, "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_S), "LC_ALL": "C"}
    return Programs(fitting[major], major, {**environment, **more, **secret})


def connection_words(url: URL) -> str:
    """How libpq is told where to connect; without the password, which goes by the environment."""
    from psycopg.conninfo import make_conninfo

    _, found = url.get_dialect()().create_connect_args(url)
    return make_conninfo(**{name: value for name, value in found.items() if name not in ("password", "sslpassword")})


def _folders(environment: Mapping[str, str], places: Sequence[str]) -> list[Path]:
    on_path = shutil.which("pg_dump", path=environment.get("PATH"))
    packaged = [found for place in places for found in sorted(Path("/").glob(place.lstrip("/")))]
    # The one on PATH may be a wrapper that picks a version by itself: those that say their version by their place come first.
    return [*(folder for folder in packaged if (folder / "pg_dump").exists()), *([Path(on_path).parent] if on_path else [])]


def _major(folder: Path) -> int | None:
    """The major version of a folder's programs; None where one of the three is missing or does not run."""
    if any(not (folder / name).exists() for name in ("pg_restore", "psql")):
        return None
    try:
        said = subprocess.run([str(folder / "pg_dump"), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)(?:\.\d+)*\s", said + " ")
    return None if found is None else int(found[1])


def _first_said(text: str) -> str:
    """The first error line of a program; libpq's lines hold no password."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
    return (errors or lines or ["it ended without a word"])[0][:300]
