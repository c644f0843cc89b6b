"""Deploy marks: what came when, told by whoever deploys."""

from typing import Any

import structlog

from levqor.ports import Clock
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.deploys import list_deploys, record_deploy
from levqor.store.incidents import mark_own_action

log = structlog.get_logger(__name__)


class DeployDesk:
    """One per web process; thread-safe. Raises DatabaseDown."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def mark(self, sha: str, note: str, actor: str) -> dict[str, Any]:
        """A version came just now. What fails right after it counts as a deploy's doing: no automatic recovery (OWN_ACTION_GRACE_S)."""
        now = self._clock.now()
        with self._database.write() as connection:
            mark = record_deploy(connection, now, sha, note, actor)
            record_change(connection, now, actor, "deploy", None, {"id": mark["id"], "sha": sha}, note or None)
            mark_own_action(connection, now)
        log.info("deploy", sha=sha, id=mark["id"], actor=actor)
        return mark

    def deploys(self, limit: int) -> dict[str, Any]:
        """The newest first."""
        with self._database.read() as connection:
            return {"deploys": list_deploys(connection, limit)}
