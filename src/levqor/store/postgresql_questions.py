"""What backups ask the server over a connection of their own."""

from typing import TYPE_CHECKING, Any

from levqor.store.database import VERSION_TABLE
from levqor.store.schema import SCHEMA

if TYPE_CHECKING:
    import psycopg


def made(connection: "psycopg.Connection[Any]", name: str) -> bool:
    """A new, empty database; False where the server does not allow it."""
    from psycopg.errors import InsufficientPrivilege

    try:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    except InsufficientPrivilege:
        return False
    return True


def value(connection: "psycopg.Connection[Any]", query: Any, *arguments: Any) -> Any:
    """The first column of the first row; None where there is none."""
    row = connection.execute(query, arguments or None).fetchone()
    return None if row is None else row[0]


def has_schema(connection: "psycopg.Connection[Any]") -> bool:
    return bool(value(connection, "SELECT to_regnamespace(%s) IS NOT NULL", SCHEMA))


def tables(connection: "psycopg.Connection[Any]") -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename"
    return [str(row[0]) for row in connection.execute(query, (SCHEMA,)).fetchall()]


def row_counts(connection: "psycopg.Connection[Any]") -> dict[str, int]:
    from psycopg import sql

    query = sql.SQL("SELECT count(*) FROM {}")
    return {name: int(value(connection, query.format(sql.Identifier(SCHEMA, name)))) for name in tables(connection)}


def schema_revision(connection: "psycopg.Connection[Any]") -> str | None:
    """The schema's version; None where it was never migrated."""
    if VERSION_TABLE not in tables(connection):
        return None
    found = value(connection, f"SELECT version_num FROM {SCHEMA}.{VERSION_TABLE}")  # noqa: S608 (our own words)
    return None if found is None else str(found)


def newest_term(connection: "psycopg.Connection[Any]") -> int:
    """Of any lease; 0 where there is none."""
    if "leases" not in tables(connection):
        return 0
    return int(value(connection, f"SELECT coalesce(max(term), 0) FROM {SCHEMA}.leases"))  # noqa: S608 (our own words)
