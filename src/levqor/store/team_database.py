"""The team's own database: read a page at a time, over a connection that cannot write (spec R7)."""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Row, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from levqor.domain.errors import DatabaseDown, UsageError
from levqor.store.database import database_url

PAGE = 10_000
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 120_000
DOWN = ("unable to open", "locked", "disk i/o", "not a database", "malformed")
"""What SQLite says when not the statement is at fault."""


class TeamDatabase:
    """PostgreSQL in a read-only session, or SQLite opened read-only. Connections live for one read each."""

    def __init__(self, url: str) -> None:
        """Nothing is opened yet. Raises UsageError for a URL that is none."""
        try:
            parsed = database_url(url, Path())
        except UsageError:
            raise UsageError("ANALYTICS_DATABASE_URL: expected postgresql://user:password@host/database or sqlite:///file") from None
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._engine = _read_only_sqlite(Path(parsed.database or "").absolute())
        else:
            # In UTC, so that a column without a zone means UTC on both sides of a comparison.
            options = f"-c default_transaction_read_only=on -c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}"
            arguments = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "levqor-pull", "options": options}
            self._engine = create_engine(parsed, connect_args=arguments, poolclass=NullPool)

    def pages(self, setting: str, sql: str, columns: Sequence[str], since: datetime) -> Generator[list[Row[Any]], None, None]:
        """The rows that the setting's SELECT gives for `:since`, in pages; to be closed. Raises UsageError for wrong SQL, DatabaseDown."""
        with self._connected() as connection, _blamed(setting), closing(self._select(connection, sql, since)) as result:
            if not result.returns_rows or not set(columns) <= set(result.keys()):
                raise UsageError(f"{setting}: expected a SELECT with the columns {', '.join(columns)}")
            yield from (list(page) for page in result.partitions(PAGE))

    def _select(self, connection: Connection, sql: str, since: datetime) -> CursorResult[Any]:
        statement = text(sql.strip().rstrip(";"))
        bound: Any = since.astimezone(UTC)
        if self.is_sqlite:
            bound = bound.strftime("%Y-%m-%d %H:%M:%S")  # as SQLite's own functions write a time
        values = {"since": bound} if "since" in statement.compile().params else {}
        return connection.execution_options(stream_results=True, max_row_buffer=PAGE).execute(statement, values)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            connection = self._engine.connect()
        except OperationalError as error:
            raise DatabaseDown(f"the team's database (ANALYTICS_DATABASE_URL) does not answer: {_said(error)}") from error
        with connection:
            yield connection


@contextmanager
def _blamed(setting: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        said = _said(error)
        if error.connection_invalidated or (isinstance(error, OperationalError) and _is_down(error, said)):
            raise DatabaseDown(f"the team's database (ANALYTICS_DATABASE_URL) does not answer: {said}") from error
        raise UsageError(f"{setting}: {said}") from error
    except SQLAlchemyError as error:
        raise UsageError(f"{setting}: expected one SELECT, with no other bound name than :since") from error


def _is_down(error: OperationalError, said: str) -> bool:
    return not isinstance(error.orig, sqlite3.Error) or any(words in said.lower() for words in DOWN)


def _said(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0][:300]


def _read_only_sqlite(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=CONNECT_TIMEOUT_S, check_same_thread=False)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)
