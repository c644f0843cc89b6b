"""What was decided and not put in force: the recorded half of the advice report."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from levqor.domain.advice import Proposed
from levqor.store.decisions import list_decisions

LOOKED_AT = 5_000
SHOWN = 10


def proposed_steps(connection: Connection, since: datetime) -> tuple[list[Proposed], int]:
    """The last steps that were decided and not put in force, the newest first, and how many there were."""
    rows = list_decisions(connection, limit=LOOKED_AT, since=since)
    found = [row for row in rows if not row["applied"] and row["decision"]["target"] != row["decision"]["current"]]
    return [_proposed(row) for row in found[:SHOWN]], len(found)


def _proposed(row: dict[str, Any]) -> Proposed:
    decision = row["decision"]
    reason = "; ".join(one["text"] for one in decision["reasons"] if one["votes"])
    return Proposed(datetime.fromisoformat(row["at"]), decision["current"], decision["target"], reason)
