"""SQLite (write-ahead log) or PostgreSQL behind one door."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.schema import CreateSchema

from levqor.domain.errors import DatabaseDown, LevqorError, UsageError
from levqor.store.exact_sums import teach_sqlite
from levqor.store.schema import SCHEMA, metadata

VERSION_TABLE = "levqor_version"
BUSY_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_MS = 5_000
WAL_LIMIT_BYTES = 16 * 1024 * 1024
FREE_PAGES_MIN, FREE_SHARE_MIN, FREE_PAGES_AT_ONCE = 4_096, 0.25, 2_048


class SchemaError(LevqorError):
    """The database's schema is not one that this version can work with."""

    exit_code = 2


def database_url(url: str | None, folder: Path) -> URL:
    """The SQLAlchemy URL of DATABASE_URL, or of the SQLite file in `folder`. Raises UsageError for any other database."""
    if url is None:
        return URL.create("sqlite", database=str(folder / "levqor.db"))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("DATABASE_URL: expected postgresql://user:password@host/database") from None
    if parsed.get_backend_name() in ("postgres", "postgresql"):
        # psycopg 3 by name: a bare postgresql:// means another driver in older SQLAlchemy.
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return parsed.set(drivername="sqlite")
    raise UsageError("DATABASE_URL: expected postgresql://... or sqlite:///file")


class Database:
    """Connections with a deadline, short transactions, and writes that take their lock at the start (spec P4)."""

    def __init__(self, url: URL) -> None:
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url) if self.is_sqlite else _postgresql_engine(url)
        self.url = url

    @property
    def label(self) -> str:
        """The database without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A short read. Raises DatabaseDown."""
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its first statement; commits at the end. Raises DatabaseDown."""
        with self._errors(), self._engine.connect() as connection:
            connection = connection.execution_options(levqor_write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise DatabaseDown(f"database {self.label}: {_first_line(error)}") from error
        except sqlite3.OperationalError as error:
            raise DatabaseDown(f"database {self.label}: {error}") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseDown(f"database {self.label}: {_first_line(error)}") from error
            raise

    def migrate(self, revision: str = "head") -> None:
        """Bring the schema to this version, or up to an older one. Raises SchemaError, and changes nothing, where the database is newer."""
        self._refuse_newer_file()
        with self._errors(), self._engine.connect() as connection:
            newest = _script().get_current_head()
            current = self._revision(connection)
            if current == newest:
                return
            self._refuse_newer(current)
            connection.rollback()
            with connection.execution_options(levqor_write=True).begin():
                if not self.is_sqlite:
                    # Two starts at once: the second waits here and then finds nothing to do.
                    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('levqor.migrate'))"))
                    connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
                config = _alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, revision)

    def _refuse_newer_file(self) -> None:
        """Look before our own connections do: they turn the file's journal to the write-ahead log, which is a change."""
        if not self.is_sqlite or not Path(str(self.url.database)).exists():
            return
        with closing(sqlite3.connect(f"{Path(str(self.url.database)).absolute().as_uri()}?mode=rw", uri=True)) as file:
            try:
                found = file.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 (our own word)
            except sqlite3.Error:
                return  # a new or a damaged one: the next connection says what it is
        self._refuse_newer(None if found is None else found[0])

    def _refuse_newer(self, current: str | None) -> None:
        known = known_revisions()
        if current is not None and current not in known:
            raise SchemaError(
                f"database {self.label} has schema {current}, newer than this Levqor ({known[-1]}): install the newer version"
            )

    def check(self) -> str:
        """The schema's version. Raises DatabaseDown, or SchemaError where it is not this version's."""
        with self.read() as connection:
            current, newest = self._revision(connection), _script().get_current_head()
        if current != newest:
            raise SchemaError(f"database {self.label} has schema {current}, this version needs {newest}: run `levqor up` to migrate")
        return str(current)

    def is_untouched(self) -> bool:
        """Has no Levqor made its tables here yet?"""
        with self.read() as connection:
            return self._revision(connection) is None

    def drop_everything(self) -> list[str]:
        """Remove every table of Levqor's own, and nothing else; their names."""
        names = sorted(table.name for table in metadata.tables.values())
        with self.write() as connection:
            metadata.drop_all(connection)
            prefix = "" if self.is_sqlite else f"{SCHEMA}."
            connection.execute(text(f"DROP TABLE IF EXISTS {prefix}{VERSION_TABLE}"))
            # The schema goes only when nobody else has put something into it.
            if not self.is_sqlite and not inspect(connection).get_table_names(schema=SCHEMA):
                connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA}"))
        return [*names, VERSION_TABLE]

    def watch_log(self) -> int | None:
        """Truncate SQLite's write-ahead log once it has grown past its limit; its size before, in bytes, where there is one."""
        if not self.is_sqlite or self.url.database is None:
            return None
        path = Path(f"{self.url.database}-wal")
        size = path.stat().st_size if path.exists() else 0
        if size > WAL_LIMIT_BYTES:
            with self._errors(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return size

    def give_back_room(self) -> int:
        """Shorten SQLite's file by some of its free pages once they are many; how many pages it gave back."""
        if not self.is_sqlite:
            return 0
        timeout_s = BUSY_TIMEOUT_MS / 1_000
        with self._errors(), closing(sqlite3.connect(str(self.url.database), timeout=timeout_s, isolation_level=None)) as file:
            pages, free = (int(file.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
            if free < FREE_PAGES_MIN or free < pages * FREE_SHARE_MIN:
                return 0
            # A little at a time, since all others wait for the write lock meanwhile. A script is stepped through to its end, a page a step.
            file.executescript(f"PRAGMA incremental_vacuum({FREE_PAGES_AT_ONCE})")
            return free - int(file.execute("PRAGMA freelist_count").fetchone()[0])

    def close(self) -> None:
        self._engine.dispose()

    def _revision(self, connection: Connection) -> str | None:
        options = {"version_table": VERSION_TABLE, "version_table_schema": None if self.is_sqlite else SCHEMA}
        return MigrationContext.configure(connection, opts=options).get_current_revision()


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, execution_options={"schema_translate_map": {SCHEMA: None}})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        # Room that purges free can be given back only in a file that was begun so; in any other it is a word without effect.
        begun = ("auto_vacuum=INCREMENTAL", "journal_mode=WAL")
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", *begun, "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        teach_sqlite(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that turns into a write fails at once when another wrote meanwhile; an immediate one waits.
        is_write = connection.get_execution_options().get("levqor_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "levqor", "tcp_user_timeout": STATEMENT_TIMEOUT_MS}
    engine = create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_timeout=CONNECT_TIMEOUT_S, pool_size=8, max_overflow=8)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.execute(f"SET lock_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.commit()

    return engine


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())


def known_revisions() -> list[str]:
    """Every version of the schema that this code knows, the oldest first."""
    return [script.revision for script in reversed(list(_script().walk_revisions()))]


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
