"""`doctor` on slots: can the process manager be asked, and does it let a job finish?"""

import re
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from levqor.cli.doctor import Finding
    from levqor.settings import Settings

_SPAN_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def check_slots(settings: "Settings") -> Iterator["Finding"]:
    """Nothing where the fleet is of another kind."""
    from levqor.bootstrap.fleets import slot_commands
    from levqor.cli.doctor import Finding
    from levqor.fleets.slot_commands import SlotsUnknown, Units
    from levqor.host import SystemClock

    if settings.fleet_kind != "slots" or settings.slots_scale is not None:
        return
    commands = slot_commands(settings, SystemClock())
    try:
        listed = commands.listed(threading.Event())
        facts = commands.facts(threading.Event()) if isinstance(commands, Units) else {}
    except SlotsUnknown as error:
        yield Finding("slots", "fail", str(error), "run that command as this user, and correct SLOTS_UNIT, SLOTS_USER or SLOTS_LIST")
        return
    up = [str(number) for number, slot in sorted(listed.items()) if slot.state.is_up]
    yield Finding("slots", "ok", f"up: {', '.join(up) or 'none'}")
    if facts:
        yield from judge_unit(facts, settings.drain_grace_s)


def judge_unit(facts: Mapping[str, str], grace_s: float) -> Iterator["Finding"]:
    """A unit as systemd shows it: is it there, and does its stop leave the job alone for long enough?"""
    from levqor.cli.doctor import Finding

    if facts.get("LoadState") != "loaded":
        yield Finding("slots: unit", "fail", f"{facts.get('Id')} is {facts.get('LoadState')}", "`levqor init systemd` writes one")
        return
    if facts.get("KillMode") not in ("mixed", "process"):
        said = f"KillMode={facts.get('KillMode')} sends SIGTERM to the running job too, which ends it"
        yield Finding("slots: KillMode", "fail", said, "set KillMode=mixed in the unit")
    timeout_s = seconds(facts.get("TimeoutStopUSec", ""))
    if timeout_s is not None and timeout_s < grace_s:
        said = f"TimeoutStopSec is {timeout_s:.0f} s and DRAIN_GRACE_S {grace_s:.0f} s: longer jobs are killed before their grace is over"
        yield Finding("slots: TimeoutStopSec", "warn", said, f"set TimeoutStopSec={grace_s + 10:.0f} in the unit")


def seconds(shown: str) -> float | None:
    """A span as systemd shows it, such as `1min 30s`; None for `infinity` and what is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|min|h|d|w)\b", shown)
    return sum(float(number) * _SPAN_S[unit] for number, unit in parts) if parts else None
