"""Many rows in few statements, on either database: never a round trip for each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, Insert, LargeBinary, Table, any_, func, literal, select
from sqlalchemy.dialects.postgresql import insert as insert_on_postgresql

BOUND_AT_MOST = 999
"""Bound values in one statement: the oldest builds of SQLite take no more."""


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def among(connection: Connection, column: Column[Any], values: Sequence[str] | Sequence[int]) -> ColumnElement[bool]:
    """`column` is one of any number of texts or numbers: they go as one bound value."""
    if is_sqlite(connection):
        return column.in_(select(func.json_each(json.dumps(list(values), ensure_ascii=False)).table_valued("value").c.value))
    return column == any_(literal(list(values), ARRAY(column.type)))


def which(connection: Connection, table: Table, generations: Sequence[int], hashes: Sequence[bytes]) -> set[bytes]:
    """Those of the hashes that one of the generations holds."""
    if not generations or not hashes:
        return set()
    query = select(table.c.hash).where(among(connection, table.c.generation, generations))
    if not is_sqlite(connection):
        return set(connection.scalars(query.where(table.c.hash == any_(literal(list(hashes), ARRAY(table.c.hash.type))))).all())
    some = (hashes[start : start + BOUND_AT_MOST // 2] for start in range(0, len(hashes), BOUND_AT_MOST // 2))
    return {bytes(found) for part in some for found in connection.scalars(query.where(table.c.hash.in_(part))).all()}


def insert_new(connection: Connection, table: Table, key: str, columns: Mapping[str, Sequence[Any]]) -> set[Any]:
    """Insert rows, given column by column, whose key is not there yet; the keys that were not."""
    if not columns[key]:
        return set()
    if not is_sqlite(connection):
        return set(connection.scalars(_from_arrays(table, columns).returning(table.c[key])).all())
    size = BOUND_AT_MOST // len(columns)
    rows = _raw_rows(connection, table, columns)
    found: set[Any] = set()
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        insertion = f"{_into(table, columns, len(some))} RETURNING {key}"
        found.update(connection.exec_driver_sql(insertion, tuple(value for values in some for value in values)).scalars().all())
    return found


def insert_rows(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows, given column by column; one whose key is there already stays as it is."""
    if not is_sqlite(connection):
        connection.execute(_from_arrays(table, columns))
    elif rows := _raw_rows(connection, table, columns):
        connection.exec_driver_sql(_into(table, columns, 1), rows)


def _from_arrays(table: Table, columns: Mapping[str, Sequence[Any]]) -> Insert:
    arrays = [func.unnest(literal(list(values), ARRAY(table.c[name].type))) for name, values in columns.items()]
    return insert_on_postgresql(table).from_select(list(columns), select(*arrays)).on_conflict_do_nothing()


def _into(table: Table, columns: Mapping[str, Sequence[Any]], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING"  # noqa: S608 (names of our own tables and columns)


def _raw_rows(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(zip(*(_raw(connection, table.c[name], values) for name, values in columns.items()), strict=True))


def _raw(connection: Connection, column: Column[Any], values: Sequence[Any]) -> Sequence[Any]:
    """As the driver takes them. SQLAlchemy's own way costs more than all the rest of taking an event."""
    process = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if process is None or isinstance(column.type, LargeBinary):
        return values
    known = {value: process(value) for value in set(values)}
    return [known[value] for value in values]
