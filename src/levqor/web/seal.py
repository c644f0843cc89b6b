"""The session cookie's seal: signed, so that a guess costs no look into the database (spec X2)."""

import hashlib
import hmac

from pydantic import SecretStr

COOKIE = "levqor_session"
MAX_COOKIE_LENGTH = 300


class Seal:
    """Signs session ids and makes their CSRF tokens.

    The keys are derived from JWT_SECRET, which itself signs nothing. The admin's token goes into them: a new token ends
    every session that an old one began.
    """

    def __init__(self, secret: SecretStr, admin_token: SecretStr) -> None:
        basis = hashlib.sha256(admin_token.get_secret_value().encode()).digest()
        root = hmac.new(secret.get_secret_value().encode(), b"levqor sessions" + basis, hashlib.sha256).digest()
        self._cookie_key = hmac.new(root, b"cookie", hashlib.sha256).digest()
        self._csrf_key = hmac.new(root, b"csrf", hashlib.sha256).digest()

    def cookie(self, session_id: str) -> str:
        """The cookie's value."""
        return f"{session_id}.{_sign(self._cookie_key, session_id)}"

    def session_id(self, cookie: str) -> str | None:
        """The session that a cookie names; None where we did not seal it."""
        session_id, dot, signature = cookie.rpartition(".")
        if not dot or len(cookie) > MAX_COOKIE_LENGTH:
            return None
        return session_id if is_same(signature, _sign(self._cookie_key, session_id)) else None

    def csrf(self, session_id: str) -> str:
        """What a change must carry in X-CSRF-Token; another origin cannot read it."""
        return _sign(self._csrf_key, session_id)


def is_same(given: str, wanted: str) -> bool:
    """Compared in constant time, as bytes: a header may hold any."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def _sign(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
