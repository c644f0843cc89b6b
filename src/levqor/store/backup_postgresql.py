"""Copies of schema `levqor` by `pg_dump`, of one snapshot with its row counts, and the way back in one transaction."""

import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sqlalchemy import URL

from levqor.domain.backups import BackupFailed, Examined, How, Taken
from levqor.domain.errors import DatabaseDown, LevqorError, NotFound
from levqor.ports import Clock
from levqor.store.backup_sqlite import TERMS_AHEAD
from levqor.store.database import VERSION_TABLE, Database
from levqor.store.manifest import create_private, sync
from levqor.store.postgresql_programs import APPLICATION, CONNECT_TIMEOUT_S, Programs, connection_words, find_programs
from levqor.store.postgresql_questions import has_schema, made, newest_term, row_counts, schema_revision, value
from levqor.store.schema import SCHEMA

if TYPE_CHECKING:
    import psycopg

LOCK_WAIT_MS = 30_000
SCRATCH = "levqor_verify_"
SCRATCH_KEPT = timedelta(hours=6)
"""A scratch database that is older and unused was left by a check that was killed."""

_LOOKS, _LOOK_S = 5, 0.25
_STAMP = "%Y%m%d%H%M%S"
_COPY = re.compile(rb'^COPY (?:"?levqor"?\.)"?([^"(]+?)"? \(.*\) FROM stdin;$')
_NEWER_SETTING = b"SET transaction_timeout"
"""Written by pg_restore 17 and later; older servers do not know it."""


class PostgresKeeper:
    """Takes, examines and puts back dumps of schema `levqor`."""

    kind = "postgresql"
    file = "levqor.dump"

    def __init__(self, url: URL, environment: Mapping[str, str], clock: Clock) -> None:
        self._url, self._environment, self._clock = url, environment, clock

    @property
    def label(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def size(self) -> int:
        """Bytes that a copy takes at most. Raises DatabaseDown, and NotFound where there is no schema yet."""
        query = "SELECT coalesce(sum(pg_table_size(c.oid)), 0) FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = %s::regnamespace"
        with self._connected() as connection:
            if not has_schema(connection):
                raise NotFound(f"there is no schema {SCHEMA} yet in {self.label}")
            return int(value(connection, query, SCHEMA))

    def take(self, folder: Path) -> Taken:
        """Write a dump; counts and dump see the same snapshot. Raises BackupFailed, DatabaseDown, DependencyDown."""
        dump = folder / self.file
        with self._connected() as connection:
            programs = self._programs(connection)
            connection.autocommit = False
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            snapshot = str(value(connection, "SELECT pg_export_snapshot()"))
            taken = Taken(schema_revision(connection), row_counts(connection))
            create_private(dump)
            what = (f"--schema={SCHEMA}", "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}")
            how = (f"--lock-wait-timeout={LOCK_WAIT_MS}", "--no-password", f"--file={dump}", f"--dbname={connection_words(self._url)}")
            programs.run("pg_dump", *what, *how)
        sync(dump)
        return taken

    def examine(self, file: Path, scratch: Path) -> Examined:
        """Read the dump to its end, then restore it into a database of its own where the server allows one."""
        with self._connected() as connection:
            programs = self._programs(connection)
            try:
                found = self._read(programs, file)
            except BackupFailed as error:
                return Examined(How.READ, None, {}, [str(error)])
            self._drop_forgotten(connection)
            name = f"{SCRATCH}{self._clock.now():{_STAMP}}_{secrets.token_hex(4)}"
            if not made(connection, name):
                return found
            try:
                return self._restored(programs, file, self._url.set(database=name))
            finally:
                connection.execute(f'DROP DATABASE "{name}"{" WITH (FORCE)" if connection.info.server_version >= 130_000 else ""}')

    def is_readable(self) -> bool:
        """Is there a schema?"""
        with self._connected() as connection:
            return has_schema(connection)

    def in_use(self) -> str | None:
        """Which of Levqor's processes are connected, in words; None where none is."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'levqor'"
        pause, count = threading.Event(), 0
        with self._connected() as connection:
            for _ in range(_LOOKS):
                count = int(value(connection, query))
                if not count or pause.wait(_LOOK_S):  # the server takes a moment to see that one has gone
                    break
        return f"{count} connections of a running levqor are open to {self.label}" if count else None

    def aside(self, mark: str) -> str | None:
        """What the present schema will be called; None where there is none."""
        with self._connected() as connection:
            return _aside(mark) if has_schema(connection) else None

    def put_back(self, file: Path, scratch: Path, mark: str) -> None:
        """Rename the present schema and restore the dump in one transaction, all of it or nothing; then migrate it."""
        with self._connected() as connection:
            programs, is_there = self._programs(connection), has_schema(connection)
            newest = newest_term(connection) if is_there else 0
        first = [f'ALTER SCHEMA {SCHEMA} RENAME TO "{_aside(mark)}";'] if is_there else []
        free = f"UPDATE {SCHEMA}.leases SET holder = NULL, term = greatest(term, {newest}) + {TERMS_AHEAD};"  # noqa: S608 (our own numbers)
        _feed(programs, file, connection_words(self._url), first, [free])
        _migrate(self._url)

    def _read(self, programs: Programs, file: Path) -> Examined:
        """Count the rows as they pass; a damaged or cut dump does not come to a good end."""
        rows: dict[str, int] = {}
        revision, table = None, None
        with programs.reading("pg_restore", "--file=-", str(file)) as lines:
            for line in lines:
                if table is None:
                    begun = _COPY.match(line)
                    table = begun[1].decode() if begun else None
                    if table is not None:
                        rows[table] = 0
                elif line == b"\\.\n":
                    table = None
                else:
                    rows[table] += 1
                    revision = line.decode().strip() if table == VERSION_TABLE else revision
        return Examined(How.READ, revision, rows)

    def _restored(self, programs: Programs, file: Path, url: URL) -> Examined:
        try:
            _feed(programs, file, connection_words(url), [], [])
        except BackupFailed as error:
            return Examined(How.RESTORED, None, {}, [str(error)])
        with self._connected(url) as connection:
            found = Examined(How.RESTORED, schema_revision(connection), row_counts(connection))
        _migrate(url)
        return found

    def _programs(self, connection: "psycopg.Connection[Any]") -> Programs:
        return find_programs(connection.info.server_version // 10_000, self._url, self._environment)

    def _drop_forgotten(self, connection: "psycopg.Connection[Any]") -> None:
        """Scratch databases of checks that were killed; one that is in use or not ours to drop stays."""
        query = "SELECT datname FROM pg_database WHERE datname LIKE %s AND pg_get_userbyid(datdba) = current_user"
        unused = " AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.datname = pg_database.datname)"
        for (name,) in connection.execute(query + unused, (f"{SCRATCH}%",)).fetchall():
            stamp = name.removeprefix(SCRATCH).partition("_")[0]
            if (
                stamp.isdigit()
                and len(stamp) == 14
                and self._clock.now() - datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) > SCRATCH_KEPT
            ):
                connection.execute(f'DROP DATABASE IF EXISTS "{name}"')

    @contextmanager
    def _connected(self, url: URL | None = None) -> Iterator["psycopg.Connection[Any]"]:
        """A connection without the service's deadlines, since a dump may take long. Raises DatabaseDown."""
        import psycopg

        _, given = (url or self._url).get_dialect()().create_connect_args(url or self._url)
        found: dict[str, Any] = {**given, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": APPLICATION}
        try:
            with psycopg.connect(**found, autocommit=True) as connection:
                yield connection
        except psycopg.Error as error:
            raise DatabaseDown(f"database {self.label}: {str(error).strip().partition(chr(10))[0]}") from error


def _feed(programs: Programs, file: Path, where: str, before: list[str], after: list[str]) -> None:
    """Run the dump as one transaction. It is committed only once pg_restore has come to a good end."""
    arguments = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-", f"--dbname={where}")
    with programs.writing("psql", *arguments) as script:
        script.write("\n".join(["BEGIN;", *before, ""]).encode())
        with programs.reading("pg_restore", "--no-owner", "--no-privileges", "--file=-", str(file)) as lines:
            _pass_on(lines, script)
        script.write("\n".join([*after, "COMMIT;", ""]).encode())


def _pass_on(lines: IO[bytes], script: IO[bytes]) -> None:
    is_data = False
    for line in lines:
        if is_data:
            is_data = line != b"\\.\n"
        elif line.startswith(_NEWER_SETTING):
            continue
        else:
            is_data = _COPY.match(line) is not None
        script.write(line)


def _migrate(url: URL) -> None:
    database = Database(url)
    try:
        database.migrate()
    except LevqorError:
        raise
    except Exception as error:
        raise BackupFailed(f"what was restored cannot be brought to this version's schema: {type(error).__name__}") from error
    finally:
        database.close()


def _aside(mark: str) -> str:
    return f"{SCHEMA}_{mark.replace('-', '_').lower()}"
