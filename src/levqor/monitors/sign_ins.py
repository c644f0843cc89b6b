"""Signing in to the dashboard, which is activity too (spec R1)."""

import hashlib

import structlog

from levqor.domain.errors import LevqorError
from levqor.domain.retention import Event
from levqor.monitors.retention import RetentionDesk
from levqor.ports import Clock
from levqor.store.sessions import Session, Sessions

KIND = "sign_in"

log = structlog.get_logger(__name__)


class SignIns:
    """Sessions of the dashboard. Every method raises DatabaseDown."""

    def __init__(self, sessions: Sessions, retention: RetentionDesk, clock: Clock) -> None:
        self._sessions, self._retention, self._clock = sessions, retention, clock

    def begin(self, name: str) -> Session:
        """A new session; whoever begins one was active. That this cannot be counted is no reason to turn them away."""
        session = self._sessions.begin(name)
        # Not the session's id itself: whoever may read events must not be able to sign in with it.
        event_id = hashlib.sha256(b"levqor sign-in " + session.id.encode("ascii")).hexdigest()
        try:
            self._retention.record([Event(event_id, f"levqor:{name}", self._clock.now(), KIND)])
        except LevqorError:
            log.warning("sign-in was not counted as activity", exc_info=True)
        return session

    def find(self, session_id: str) -> Session | None:
        """The session, while it is neither expired nor ended."""
        return self._sessions.find(session_id)

    def end(self, session_id: str) -> None:
        """Sign out; one that has gone is no error."""
        self._sessions.end(session_id)
