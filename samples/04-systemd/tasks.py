"""What the workers do. Levqor needs no change here."""

import hashlib


def thumbnail(number: int, rounds: int = 100_000) -> str:
    """Some work of the processor's, about 50 ms."""
    return hashlib.pbkdf2_hmac("sha256", str(number).encode(), b"salt", rounds).hex()


def broken() -> None:
    """A dead letter."""
    raise ValueError("broken on purpose")
