"""Which alerts there is cause for: an episode opens once its cause has lasted, and closes once it has been gone as long."""

from dataclasses import dataclass, field

from levqor.domain.decisions import Action, Code, Decision
from levqor.domain.flags import FlagsFileState
from levqor.domain.fleet import FleetKind
from levqor.domain.signals import Signal
from levqor.monitors.reading import Reading

LASTS_S = 15.0
"""A cause must last this long before it opens an episode, and be gone this long before it closes: no flapping."""

UNKNOWN_GROUPS: dict[str, tuple[str, ...]] = {
    "unknown:queue": ("queue_depth", "oldest_wait_s", "running", "dead"),
    "unknown:http": ("p95_ms", "error_rate", "request_rate"),
    "unknown:jobs": ("failures_5m",),
    "unknown:availability": ("availability",),
    "unknown:spend": ("spend_last_24h",),
}
"""Signals that fail together are one episode."""

_READ_FROM: dict[str, set[str]] = {
    "unknown:queue": {"store", "broker"},
    "unknown:http": {"store"},
    "unknown:jobs": {"store"},
    "unknown:availability": {"store"},
    "unknown:spend": set(),
}
"""The servers that the signals of a group come from. The store is most often the broker too."""

PAGE, TICKET = "page", "ticket"

SUMMARY_CHARS = 500

Causes = dict[str, tuple[str, str]]
"""Severity and summary by an episode's key."""


@dataclass(slots=True)
class Watch:
    """How long each cause has been seen or gone, on one leader's monotonic clock."""

    _since: dict[str, float] = field(default_factory=dict)
    _gone_since: dict[str, float] = field(default_factory=dict)

    def wanted(self, causes: Causes, already_open: Causes, now: float) -> Causes:
        """The episodes that should be open now. One that a predecessor opened stays open while its cause lasts."""
        for key in causes:
            self._since.setdefault(key, now)
            self._gone_since.pop(key, None)
        for key in [key for key in self._since if key not in causes]:
            del self._since[key]
        begun = {key: cause for key, cause in causes.items() if key in already_open or now - self._since[key] >= LASTS_S}
        fading = {
            key: cause for key, cause in already_open.items() if key not in causes and now - self._gone_since.setdefault(key, now) < LASTS_S
        }
        return {**begun, **fading}


def causes(reading: Reading, decision: Decision, file_state: FlagsFileState) -> Causes:
    """Severity and summary of everything that is wrong in this reading, by the episode's key.

    A server that does not answer is one cause: what cannot be read because of it is not told beside it.
    """
    found = _servers_down(reading)
    for key, names in UNKNOWN_GROUPS.items():
        unknown = [name for name in names if _signal(reading, name).is_unknown]
        if unknown and not _READ_FROM[key] & found.keys():
            # Nothing breaks while money is unknown: the brake only forbids steps up.
            severity = TICKET if key == "unknown:spend" else PAGE
            found[key] = (severity, f"{', '.join(unknown)} unknown: {_signal(reading, unknown[0]).detail}")
    if file_state.is_broken:
        found["flags"] = (TICKET, f"nothing automatic acts: {file_state.error}")
    if decision.action is Action.FREEZE:
        found["freeze"] = (TICKET, next(reason.text for reason in decision.reasons if reason.code is Code.FREEZE))
    if reading.report is not None and reading.report.problems:
        said = "; ".join(reading.report.problems)[:SUMMARY_CHARS]
        if reading.report.running is None:
            found["slots"] = (PAGE, said)
        else:
            found["slots"] = (TICKET, said)
    elif reading.fleet.kind is FleetKind.AGENT and reading.report is not None and reading.report.running is None:
        found["agent"] = (PAGE, "no agent reports its workers")
    if reading.report is not None and reading.report.crash_looping:
        found["crash_loop"] = (PAGE, f"workers keep dying: {reading.report.deaths_10m} in 10 minutes")
    for name in reading.fleet.unserved_queues:
        found[f"unserved:{name}"] = (PAGE, f"jobs wait in queue {name!r} and no worker serves it")
    return found


def _servers_down(reading: Reading) -> Causes:
    """One episode for the store, or for a broker of its own; where one server is both, one episode for it."""
    store, broker = reading.problems.get("http"), reading.problems.get("queues")
    if store is not None:
        return {"store": (PAGE, f"{store}; nothing steps down and nothing is restarted meanwhile")}
    return {} if broker is None else {"broker": (PAGE, broker)}


def _signal(reading: Reading, name: str) -> Signal:
    signal: Signal = getattr(reading.signals, name)
    return signal
