"""Promises of a clear queue as they are shown: each with what became of it, and how many were kept."""

from typing import Any

from levqor.store.database import Database
from levqor.store.promises import count_ended, list_promises, score


class PromiseDesk:
    """One per web process; thread-safe. Raises DatabaseDown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def promises(self, limit: int) -> dict[str, Any]:
        """The newest first, and how many of the last 90 days are in each state."""
        with self._database.read() as connection:
            return {"promises": list_promises(connection, limit), "score": score(connection)}

    def ended(self) -> dict[str, int]:
        """How many ended in each state since the installation's first day."""
        with self._database.read() as connection:
            return count_ended(connection)
