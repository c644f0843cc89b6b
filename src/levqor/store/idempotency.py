"""The same Idempotency-Key answers the same for 24 h and acts once (spec L3)."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.schema import idempotency

KEEP = timedelta(hours=48)
"""Honoured for 24 h; kept for a day more, so that a wall clock that jumps by hours forgets none (spec P1)."""
PENDING_FOR = timedelta(seconds=90)
"""A claim without an answer for this long belongs to a request that died; the next one goes on with its token."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the key means for this request. `token` names the act, so that it can be repeated without doubling."""

    state: Literal["new", "answered", "pending", "mismatch"]
    token: str
    status: int | None = None
    answer: dict[str, Any] | None = None


class Idempotency:
    """Keys and their answers, in the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def claim(self, scope: str, key: str, body: bytes) -> Claim:
        """Claim a key for this request, or learn what became of it. Raises DatabaseDown."""
        now, digest, token = self._clock.now(), hashlib.sha256(body).hexdigest(), str(uuid.uuid4())
        this = (idempotency.c.scope == scope) & (idempotency.c.key == key)
        with self._database.write() as connection:
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - KEEP))
            try:
                with connection.begin_nested():
                    values = {"scope": scope, "key": key, "body_hash": digest, "token": token, "created_at": now, "claimed_at": now}
                    connection.execute(insert(idempotency).values(**values))
                return Claim("new", token)
            except IntegrityError:
                row = connection.execute(select(idempotency).where(this)).one()
            if row.body_hash != digest:
                return Claim("mismatch", row.token)
            if row.status is not None:
                return Claim("answered", row.token, row.status, row.answer)
            if abs(now - row.claimed_at) < PENDING_FOR:
                return Claim("pending", row.token)
            connection.execute(update(idempotency).where(this).values(claimed_at=now))
            return Claim("new", row.token)

    def answer(self, scope: str, key: str, status: int, answer: dict[str, Any]) -> None:
        """Keep the answer for whoever asks again."""
        this = (idempotency.c.scope == scope) & (idempotency.c.key == key)
        with self._database.write() as connection:
            connection.execute(update(idempotency).where(this).values(status=status, answer=answer))

    def abandon(self, scope: str, key: str) -> None:
        """Nothing was done: the key is free again."""
        unanswered = (idempotency.c.scope == scope) & (idempotency.c.key == key) & idempotency.c.status.is_(None)
        with self._database.write() as connection:
            connection.execute(delete(idempotency).where(unanswered))
