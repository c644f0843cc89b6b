"""Signals: measured values with their age, and the three other things a reading can be."""

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

RATE_OVER_S = 15.0
"""The arrival rate is counted over this long (s): short enough to follow a load, long enough to count one."""


class SignalState(StrEnum):
    """What a reading is; `value` is the only one that carries a number."""

    VALUE = "value"
    NO_TRAFFIC = "no_traffic"
    NOT_CONFIGURED = "not_configured"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signal:
    """One reading: a number, or the reason why there is none. Built by its named constructors."""

    state: SignalState
    value: float | None = None
    age_s: float | None = None
    detail: str = ""

    @classmethod
    def of(cls, value: float, age_s: float = 0.0, detail: str = "") -> "Signal":
        """A measured number, `age_s` seconds old."""
        return cls(SignalState.VALUE, float(value), age_s, detail)

    @classmethod
    def no_traffic(cls, age_s: float = 0.0) -> "Signal":
        """Measured, and there was nothing to measure: calm."""
        return cls(SignalState.NO_TRAFFIC, None, age_s)

    @classmethod
    def not_configured(cls, detail: str = "") -> "Signal":
        """The installation does not have this source."""
        return cls(SignalState.NOT_CONFIGURED, None, None, detail)

    @classmethod
    def unknown(cls, detail: str, age_s: float | None = None) -> "Signal":
        """The source failed or is too old; never zero, never calm."""
        return cls(SignalState.UNKNOWN, None, age_s, detail)

    @property
    def is_value(self) -> bool:
        return self.state is SignalState.VALUE

    @property
    def is_unknown(self) -> bool:
        return self.state is SignalState.UNKNOWN

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "state": self.state.value}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Signal":
        return cls(SignalState(data["state"]), data.get("value"), data.get("age_s"), data.get("detail", ""))


UNREAD = Signal.unknown("not read yet")


@dataclass(frozen=True, slots=True)
class Signals:
    """All signals at one moment. Latencies in ms, rates 0..1, ages and waits in s, spend in the reporting currency.

    `requests` and `slow_requests` are the evidence behind the latencies: how many requests the window holds, and how
    many of them took `SCALE_DOWN_P95_MS` or more. `arrival_rate` is jobs a second over the last `RATE_OVER_S`. Spend and
    forecast are of the categories that the spend guard counts.
    """

    p50_ms: Signal = UNREAD
    p95_ms: Signal = UNREAD
    p99_ms: Signal = UNREAD
    request_rate: Signal = UNREAD
    requests: Signal = UNREAD
    slow_requests: Signal = UNREAD
    error_rate: Signal = UNREAD
    availability: Signal = UNREAD
    queue_depth: Signal = UNREAD
    oldest_wait_s: Signal = UNREAD
    running: Signal = UNREAD
    arrival_rate: Signal = UNREAD
    mean_service_s: Signal = UNREAD
    dead: Signal = UNREAD
    failures_5m: Signal = UNREAD
    spend_last_24h: Signal = UNREAD
    forecast_next_30d: Signal = field(default_factory=lambda: Signal.not_configured("no forecast yet"))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))

    def as_dict(self) -> dict[str, dict[str, Any]]:
        return {name: getattr(self, name).as_dict() for name in self.names()}

    @classmethod
    def from_dict(cls, data: dict[str, dict[str, Any]]) -> "Signals":
        return cls(**{name: Signal.from_dict(data[name]) for name in cls.names() if name in data})

    def unknown_names(self) -> list[str]:
        return [name for name in self.names() if getattr(self, name).is_unknown]
