"""Where a person calls for recovery and reads about incidents: a web process hands the call to the leader and waits for its answer."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from levqor.domain.errors import DatabaseDown, DependencyDown, GuardRefused, NotFound
from levqor.domain.incidents import Call, RefusalCode
from levqor.monitors.incident_answers import before_rotation, incident_row, is_answerable, recovery_answer, recovery_row
from levqor.monitors.incident_log import IncidentLog
from levqor.monitors.incident_response import IncidentResponse
from levqor.monitors.rollups import quantile_ms
from levqor.ports import Clock
from levqor.store import incidents as rows
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.deploys import deploys_between
from levqor.store.orders import place_order, read_answer, withdraw_order
from levqor.store.rollups import list_rollups

T = TypeVar("T")

TAKEN_WITHIN_S = 15.0
LOOK_AGAIN_S = 0.1
AROUND = timedelta(minutes=30)
"""An incident's signals are told from so long before it until so long after it."""

MOST_POINTS = 1_440


@dataclass(frozen=True, slots=True)
class IncidentDeskParts:
    """What the desk works with; `bootstrap` hands it in."""

    response: IncidentResponse
    database: Database
    clock: Clock
    log: IncidentLog
    wake: Callable[[], None]


class IncidentDesk:
    """One per web process; thread-safe."""

    def __init__(self, parts: IncidentDeskParts) -> None:
        self._parts = parts
        self._closing = threading.Event()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._closing.set()

    def recover(self, call: Call, *, dry_run: bool, wait_s: float) -> tuple[bool, dict[str, Any]]:
        """Whether it is finished, and the answer (spec I2). Raises GuardRefused, DependencyDown."""
        if dry_run:
            return True, self._parts.response.dry_run(call)
        try:
            told = self._told(call)
            if "recovery_id" not in told:
                return True, self._at_once(told)
            return self._progress(int(told["recovery_id"]), wait_s)
        except DatabaseDown as error:
            raise self._refused(call, error) from error

    def _told(self, call: Call) -> dict[str, Any]:
        """What the leader says to the call."""
        body = {"dead_letters": call.dead_letters, "token": call.token}
        with self._parts.database.write() as connection:
            number = place_order(connection, self._parts.clock.now(), "recover", body, call.actor)
        self._parts.wake()
        told = self._wait_for(lambda: self._answer(number), TAKEN_WITHIN_S)
        if told is None:
            with self._parts.database.write() as connection:
                withdrawn = withdraw_order(connection, number)
            told = None if withdrawn else self._answer(number)
        if told is None:
            raise DependencyDown(f"no autopilot took the call within {TAKEN_WITHIN_S:.0f} s: is one running? (`levqor doctor`)")
        if "refused" in told:
            raise GuardRefused(f"{told['refused']}: {told['reason']}")
        if "error" in told:
            raise DependencyDown(str(told["error"]))
        return told

    def _at_once(self, told: dict[str, Any]) -> dict[str, Any]:
        """Healthy, or nothing that could be done."""
        said = {name: value for name, value in told.items() if name not in ("healthy", "helpless")}
        return {"dry_run": False, "steps": [], **said}

    def _progress(self, recovery_id: int, wait_s: float) -> tuple[bool, dict[str, Any]]:
        """Wait until all but a rotation is over, at most `wait_s`."""

        def finished() -> tuple[bool, dict[str, Any]] | None:
            done, answer = self._now(recovery_id)
            return (done, answer) if done else None

        return self._wait_for(finished, wait_s) or self._now(recovery_id)

    def _now(self, recovery_id: int) -> tuple[bool, dict[str, Any]]:
        with self._parts.database.read() as connection:
            recovery = rows.read_recovery(connection, recovery_id)
            steps = [step for _position, step in rows.read_steps(connection, recovery_id)]
        if recovery is None:
            raise NotFound(f"recovery {recovery_id} is gone")
        answer = recovery_answer(recovery["incident_id"], recovery_id, steps, recovery["plan"]["reasons"])
        if not is_answerable(steps):
            return False, answer
        return True, answer if all(step.status.is_over for step in steps) else before_rotation(answer, steps)

    def _refused(self, call: Call, error: DatabaseDown) -> GuardRefused:
        """Without a database nothing is recorded but this line, and nothing may be touched (spec I6)."""
        no = {"refused": RefusalCode.DATABASE_DOWN.value, "reason": str(error)}
        who = {"at": self._parts.clock.now().isoformat(), "actor": call.actor, "call": "person", "dry_run": False}
        self._parts.log.write({**who, "ok": False, "recovered": False, "incident_id": None, **no})
        return GuardRefused(f"{RefusalCode.DATABASE_DOWN.value}: {error}")

    def _answer(self, number: str) -> dict[str, Any] | None:
        with self._parts.database.read() as connection:
            return read_answer(connection, number)

    def _wait_for(self, question: Callable[[], T | None], within_s: float) -> T | None:
        deadline = self._parts.clock.monotonic() + within_s
        while True:
            answer = question()
            if answer is not None or self._parts.clock.monotonic() >= deadline or self._closing.wait(LOOK_AGAIN_S):
                return answer

    # Reading

    def incidents(self, limit: int, open_only: bool) -> dict[str, Any]:
        """The newest first, and what keeps automatic recoveries from acting."""
        with self._parts.database.read() as connection:
            found = rows.list_incidents(connection, limit, open_only=open_only)
            failed, ages = rows.failed_in_a_row(connection), rows.automatic_ages(connection)
            refusals = self._parts.response.automatic_refusals(connection)
        since = min(ages, default=None)
        guards = {
            "refuses": [{"refused": no.code.value, "reason": no.text} for no in refusals],
            "failed_in_a_row": failed,
            "since_last_automatic_s": None if since is None else round(since, 1),
        }
        return {"incidents": [incident_row(row) for row in found], "guards": guards}

    def incident(self, incident_id: int) -> dict[str, Any]:
        """One incident with its recoveries, their steps, and the signals and deploys around it. Raises NotFound."""
        with self._parts.database.read() as connection:
            row = rows.read_incident(connection, incident_id)
            if row is None:
                raise NotFound(f"no incident {incident_id}")
            recoveries = [
                recovery_row(recovery, rows.step_times(connection, recovery["id"]))
                for recovery in rows.recoveries_of(connection, incident_id)
            ]
            begin, end = row["opened_at"] - AROUND, (row["closed_at"] or self._parts.clock.now()) + AROUND
            minutes = list_rollups(connection, "minute", begin, end)[-MOST_POINTS:]
            deploys = deploys_between(connection, begin, end)
        return {
            **incident_row(row),
            "recoveries": recoveries,
            "deploys": deploys,
            "signals": [_point(start, data) for start, data in minutes],
        }

    def rearm(self, actor: str) -> dict[str, Any]:
        """Automatic recoveries may act again after failures; how many are acknowledged."""
        with self._parts.database.write() as connection:
            acknowledged = rows.acknowledge_failures(connection)
            record_change(connection, self._parts.clock.now(), actor, "rearm", None, {"acknowledged": acknowledged})
        return {"armed": True, "acknowledged": acknowledged}


def _point(start: datetime, data: dict[str, Any]) -> dict[str, Any]:
    """One minute of the signals; what was not measured is null."""
    http, gauges = data["http"], data["gauges"]
    return {
        "at": start.isoformat(),
        "error_rate": http["failed"] / http["total"] if http["total"] else None,
        "p99_ms": quantile_ms(http, 0.99),
        "requests": http["total"],
        "queue_depth": gauges.get("queue_depth"),
        "dead": gauges.get("dead"),
        "workers": gauges.get("workers"),
    }
