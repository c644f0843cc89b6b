"""Decisions, their closed list of reasons, and holds."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from levqor.domain.signals import Signal


class Action(StrEnum):
    """What a decision asks for."""

    SCALE_UP = "scale_up"
    SCALE_DOWN = "scale_down"
    FREEZE = "freeze"
    HOLD = "hold"


class Code(StrEnum):
    """Why: in the order in which a guard or a rule may have the last word."""

    HELD = "held"
    UNKNOWN = "unknown"
    FREEZE = "freeze"
    SPEND_UNKNOWN = "spend_unknown"
    NO_ROOM = "no_room"
    AT_MAX = "at_max"
    STARTING = "starting"
    WATCHING = "watching"
    DID_NOT_HELP = "did_not_help"
    P95_HIGH = "p95_high"
    DEPTH_HIGH = "depth_high"
    WAIT_HIGH = "wait_high"
    TOO_FEW = "too_few"
    WAIT_LOW = "wait_low"
    PAUSE = "pause"
    CALM = "calm"
    CALMING = "calming"
    AT_MIN = "at_min"
    STEADY = "steady"
    STEP_PRICE = "step_price"
    PROMISE = "promise"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule's or guard's word. A note (`votes` false) informs and decides nothing."""

    code: Code
    text: str
    votes: bool = True

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code.value, "text": self.text, "votes": self.votes}


@dataclass(frozen=True, slots=True)
class Hold:
    """A person's word that nothing automatic acts, for `remaining_s` more seconds (None: until released)."""

    owner: str
    why: str
    remaining_s: float | None = None
    id: int | None = None
    kind: str = "person"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy answers. `current` is the target in force, `target` the one proposed, `running` what lives."""

    action: Action
    current: int
    running: int | None
    target: int
    inputs: dict[str, Signal]
    reasons: tuple[Reason, ...]
    next: str
    guard: dict[str, Any] = field(default_factory=dict)
    """The spend guard's word, its figures and the price of a step."""

    @property
    def is_step(self) -> bool:
        return self.target != self.current

    def as_dict(self) -> dict[str, Any]:
        return {
            "action": self.action.value,
            "current": self.current,
            "running": self.running,
            "target": self.target,
            "inputs": {name: signal.as_dict() for name, signal in self.inputs.items()},
            "reasons": [reason.as_dict() for reason in self.reasons],
            "next": self.next,
            "guard": self.guard,
        }
