"""What the rule `wait` remembers: kept in the database under the leader's lease, so that a successor goes on from it (spec P1)."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from levqor.domain.signals import Signal, Signals
from levqor.monitors.reading import Reading
from levqor.policies.quiet import credited_s
from levqor.policies.scaling import ScalingRules, load_of, wait_rules
from levqor.policies.wait import WaitMemory
from levqor.store.memories import read_memory, write_memory

BY_LEADER = "as the autopilot's last tick counted it"


def wait_memory(fleet: str) -> str:
    """The name of what the rule `wait` remembers."""
    return f"wait:{fleet}"


def read_wait(connection: Connection, fleet: str) -> WaitMemory:
    """As the last tick left it."""
    return WaitMemory.from_dict(read_memory(connection, wait_memory(fleet)))


def recall_wait(connection: Connection, reading: Reading, rules: ScalingRules, *, elapsed_s: float, tick_s: float) -> WaitMemory | None:
    """The memory as this tick's signals leave it; None under another rule. A tick that did not happen adds nothing."""
    if rules.name != "wait":
        return None
    load = load_of(reading.signals, reading.fleet, rules, credited_s(elapsed_s, tick_s))
    return read_wait(connection, reading.fleet.name).after(load, wait_rules(rules))


def keep_wait(connection: Connection, now: datetime, fleet: str, memory: WaitMemory | None) -> None:
    """Checkpoint it, within the leader's fenced transaction."""
    if memory is not None:
        write_memory(connection, now, wait_memory(fleet), memory.as_dict())


def with_leaders_flow(signals: Signals, memory: WaitMemory) -> Signals:
    """A process that looked for the first time knows no rates; the autopilot's last tick did."""
    known: dict[str, Signal] = {}
    for name, value in (("arrival_rate", memory.arrival_rate), ("mean_service_s", memory.mean_service_s)):
        if getattr(signals, name).value is None and value is not None:
            known[name] = Signal.of(value, detail=BY_LEADER)
    return replace(signals, **known)
