"""Children of an agent that was killed: which of them live, and what becomes of each (spec P3, P7)."""

import logging
import threading
from collections.abc import Iterable

from levqor.agent.journal import Entry, Record
from levqor.agent.process import Child, command_line, marked
from levqor.agent.workers import ROLE as WORKER
from levqor.ports import Clock

log = logging.getLogger(__name__)

END_WITHIN_S = 5.0
"""An orphan that was asked to end is killed after this."""

_POLL_S = 0.05


def living(agent_id: str, record: Record) -> list[Entry]:
    """Those on record, and those that were begun too late to be recorded."""
    recorded = [entry for entry in record.children if entry.identity.is_alive()]
    known = {entry.identity for entry in recorded}
    return recorded + [entry for entry in _unrecorded(agent_id) if entry.identity not in known]


def dead_workers(record: Record) -> list[Entry]:
    """Workers on record that died while nobody watched."""
    return [entry for entry in record.children if entry.role == WORKER and not entry.identity.is_alive()]


def bury(entries: Iterable[Entry], clock: Clock) -> None:
    """End what dead children left running: a job must not run on beside its second run."""
    wait_for_end([entry.adopted() for entry in entries], clock, 0.0)


def end(entries: Iterable[Entry], clock: Clock, within_s: float = END_WITHIN_S) -> None:
    """SIGTERM, a bounded wait, SIGKILL to whatever is left."""
    children = [entry.adopted() for entry in entries]
    for child in children:
        log.warning("%s of an earlier run still lives (process %d) and is ended", child.name, child.identity.pid)
        child.terminate()
    wait_for_end(children, clock, within_s)


def wait_for_end(children: list[Child], clock: Clock, within_s: float) -> None:
    """Until all are gone; those that stay longer than `within_s` are killed with all they began."""
    pause = threading.Event()
    asked_at = clock.monotonic()
    left = children
    while left:
        overdue = clock.monotonic() - asked_at >= within_s
        left = [child for child in left if not ((overdue or not child.is_alive) and child.kill_family())]
        if left:
            pause.wait(_POLL_S)


def _unrecorded(agent_id: str) -> list[Entry]:
    found: list[Entry] = []
    for identity, mark in marked(f"{agent_id}/"):
        role, _, name = mark.removeprefix(f"{agent_id}/").partition("/")
        # A job may begin a session of its own; only the worker itself was told its name.
        if role != WORKER or name in command_line(identity.pid):
            found.append(Entry(role, name, identity, mark))
    return found
