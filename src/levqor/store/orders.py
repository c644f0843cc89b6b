"""Orders: what a web process asks the leader to do, and its answer."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from levqor.store.schema import orders

KEEP = timedelta(hours=1)


def place_order(connection: Connection, now: datetime, kind: str, body: dict[str, Any], actor: str) -> str:
    """Ask; the order's id."""
    number = str(uuid.uuid4())
    values = {"id": number, "kind": kind, "body": body, "actor": actor[:200], "created_at": now, "status": "open"}
    connection.execute(insert(orders).values(**values))
    return number


def open_orders(connection: Connection) -> list[dict[str, Any]]:
    """What waits for the leader, the oldest first."""
    rows = connection.execute(select(orders).where(orders.c.status == "open").order_by(orders.c.created_at)).mappings()
    return [dict(row) for row in rows]


def answer_order(connection: Connection, number: str, answer: dict[str, Any]) -> bool:
    """Answer an open order; False where its asker has given up meanwhile."""
    waiting = (orders.c.id == number) & (orders.c.status == "open")
    return connection.execute(update(orders).where(waiting).values(status="answered", answer=answer)).rowcount == 1


def withdraw_order(connection: Connection, number: str) -> bool:
    """Take an open order back; False where it was answered first."""
    waiting = (orders.c.id == number) & (orders.c.status == "open")
    return connection.execute(update(orders).where(waiting).values(status="withdrawn")).rowcount == 1


def read_answer(connection: Connection, number: str) -> dict[str, Any] | None:
    row = connection.execute(select(orders.c.status, orders.c.answer).where(orders.c.id == number)).one_or_none()
    return row.answer if row is not None and row.status == "answered" else None


def purge_orders(connection: Connection, now: datetime) -> None:
    connection.execute(delete(orders).where(orders.c.created_at < now - KEEP))
