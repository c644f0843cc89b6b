"""Who is signed in: rows that a sign-out ends at once, in every process."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from levqor.ports import Clock
from levqor.store.database import Database
from levqor.store.schema import sessions

MOST_SESSIONS = 1_000
"""Beyond this many the oldest ends: a table that anybody with the token could fill is bounded."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person. `id` is the secret half of the cookie; the table holds its hash alone."""

    id: str
    name: str
    expires_at: datetime


class Sessions:
    """Sessions in the database. Every method raises DatabaseDown."""

    def __init__(self, database: Database, clock: Clock, lasts: timedelta) -> None:
        self._database, self._clock, self._lasts = database, clock, lasts

    def begin(self, name: str) -> Session:
        """A new session, from now on for as long as sessions last."""
        now = self._clock.now()
        session = Session(secrets.token_urlsafe(32), name, now + self._lasts)
        with self._database.write() as connection:
            purge_sessions(connection, now)
            kept = select(sessions.c.id_hash).order_by(sessions.c.created_at.desc()).limit(MOST_SESSIONS - 1)
            connection.execute(delete(sessions).where(sessions.c.id_hash.not_in(kept)))
            values = {"id_hash": _hash(session.id), "name": name, "created_at": now, "expires_at": session.expires_at}
            connection.execute(insert(sessions).values(**values))
        return session

    def find(self, session_id: str) -> Session | None:
        """The session, while it is neither expired nor ended."""
        with self._database.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.id_hash == _hash(session_id))).one_or_none()
        if row is None or row.expires_at <= self._clock.now():
            return None
        return Session(session_id, row.name, row.expires_at)

    def end(self, session_id: str) -> None:
        """Sign out; one that has gone is no error."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.id_hash == _hash(session_id)))


def purge_sessions(connection: Connection, now: datetime) -> None:
    """Drop what has expired."""
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))


def _hash(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogateescape")).hexdigest()
