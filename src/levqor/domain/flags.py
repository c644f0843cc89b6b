"""Flags: the few switches that a person turns while the service runs (spec F1)."""

from dataclasses import dataclass

FlagValue = bool | int

WORKER_COUNT = "WORKER_COUNT"
AUTOSCALE_ENABLED = "AUTOSCALE_ENABLED"
INCIDENT_AUTORECOVER = "INCIDENT_AUTORECOVER"
NEW_QUEUE_ENABLED = "NEW_QUEUE_ENABLED"

DEFAULTS: dict[str, FlagValue] = {
    WORKER_COUNT: 2,
    AUTOSCALE_ENABLED: False,
    INCIDENT_AUTORECOVER: False,
    NEW_QUEUE_ENABLED: False,
}


@dataclass(frozen=True, slots=True)
class FlagsFileState:
    """What the file said at the last look: its values, or why there are none."""

    state: str
    """`ok`, `missing` or `broken`."""
    values: dict[str, FlagValue] | None = None
    error: str | None = None

    @property
    def is_broken(self) -> bool:
        return self.state == "broken"
