"""Workers that somebody set by other means: their count is the target from then on, and a hold keeps it (design.md, "outside Levqor")."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from levqor.domain.flags import WORKER_COUNT
from levqor.monitors.reading import FleetReport
from levqor.policies.scaling import ScalingRules
from levqor.store.audit import record_change
from levqor.store.flags import read_flags, write_flag
from levqor.store.holds import OUTSIDE, open_holds, place_hold
from levqor.store.incidents import mark_own_action
from levqor.store.memories import forget_memory, read_memory, write_memory

OWNER = "outside Levqor"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """What a tick made of the count that the fleet reports."""

    is_new: bool = False
    """The target and a hold were written just now."""
    kept: int | None = None
    """A count out of bounds: it is handed on in the target's place while its hold lasts, so that nobody's word is undone."""


def take_outside_change(
    connection: Connection, now: datetime, fleet: str, report: FleetReport | None, rules: ScalingRules, for_s: float
) -> OutsideChange:
    """Make the count that somebody else set the target, once for each change. `report` None: nobody knows what runs.

    The fleet reports a count until it has been handed one that agrees: the same one again is no news.
    """
    name = f"outside:{fleet}"
    memory = read_memory(connection, name)
    seen, target = memory.get("seen"), int(read_flags(connection)[WORKER_COUNT])
    kept = _still_kept(connection, memory.get("kept"), target, rules)
    count = seen if report is None or report.running is None else report.outside
    is_new = count is not None and count not in (seen, target if kept is None else kept)
    if count is not None and is_new:
        target = _take(connection, now, count, rules, for_s)
        kept = count if count != target else None
    _remember(connection, now, name, memory, {"seen": count, "kept": kept})
    return OutsideChange(is_new, kept)


def _still_kept(connection: Connection, count: int | None, target: int, rules: ScalingRules) -> int | None:
    """A count out of bounds, as long as its hold lasts and nobody has set another target since."""
    is_held = any(hold["kind"] == OUTSIDE for hold in open_holds(connection))
    return count if count is not None and is_held and _bounded(count, rules) == target else None


def _remember(connection: Connection, now: datetime, name: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    if not any(value is not None for value in after.values()):
        if before:
            forget_memory(connection, name)
    elif before != after:
        write_memory(connection, now, name, after)


def _take(connection: Connection, now: datetime, count: int, rules: ScalingRules, for_s: float) -> int:
    """Write the target, the hold and their audit lines; the target."""
    target, before = _bounded(count, rules), read_flags(connection)[WORKER_COUNT]
    why = f"somebody set {count} workers by other means"
    if target != count:
        bound = "WORKERS_MIN" if count < target else "WORKERS_MAX"
        why += f"; {bound} is {target}: they are left so until the hold ends, then {target} are in force"
    write_flag(connection, now, WORKER_COUNT, target, OWNER)
    hold_id = place_hold(connection, now, OUTSIDE, OWNER, why, for_s)
    record_change(connection, now, OWNER, "hold", before, {"id": hold_id, "count": count, "target": target, "for_s": for_s}, why)
    mark_own_action(connection, now)
    log.warning("workers were set outside Levqor", count=count, before=before, target=target, hold_id=hold_id, for_s=for_s)
    return target


def _bounded(count: int, rules: ScalingRules) -> int:
    return max(rules.min_workers, min(rules.max_workers, count))
