"""Decisions as the service's answers tell them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SeenReason:
    """One reason of a decision; a note informs and decided nothing."""

    code: str
    text: str
    votes: bool = True


@dataclass(frozen=True, slots=True)
class SeenDecision:
    """One decision read from an answer. `applied` is None where the answer does not say."""

    action: str
    current: int | None
    target: int | None
    running: int | None = None
    at: datetime | None = None
    reasons: tuple[SeenReason, ...] = ()
    next: str = ""
    mode: str = ""
    applied: bool | None = None
    why_not: str = ""
    number: int | None = None
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, answer: dict[str, Any]) -> "SeenDecision":
        """From a decision, a record around one, or the answer of `dryrun` or `apply`."""
        inner = answer.get("decision")
        decision = {**answer, **inner} if isinstance(inner, dict) else answer
        reasons = [SeenReason(str(reason["code"]), str(reason["text"]), bool(reason.get("votes", True))) for reason in decision["reasons"]]
        return cls(
            action=str(decision["action"]),
            current=decision.get("current"),
            target=decision.get("target"),
            running=decision.get("running"),
            at=moment_of(decision.get("at") or decision.get("measured_at")),
            reasons=tuple(reasons),
            next=str(decision.get("next") or ""),
            mode=str(decision.get("mode") or ""),
            applied=decision.get("applied"),
            why_not=str(decision.get("why_not") or ""),
            number=decision.get("id"),
            inputs=dict(decision.get("inputs") or {}),
        )

    @property
    def is_step(self) -> bool:
        return self.action in ("scale_up", "scale_down")

    @property
    def because(self) -> str:
        """The reasons that decided, in one line; where none voted, the notes."""
        voting = [reason.text for reason in self.reasons if reason.votes] or [reason.text for reason in self.reasons]
        return "; ".join(voting) or "no reason was recorded"

    @property
    def sentence(self) -> str:
        """What was decided and why: `step up 1 -> 2: depth 14 > 10`."""
        if self.is_step:
            way = "up" if self.action == "scale_up" else "down"
            wish = "would " if self.applied is False else ""
            return f"{wish}step {way} {self.current} -> {self.target}: {self.because}"
        if self.action == "freeze":
            return f"frozen at {self.current}: {self.because}"
        return f"did nothing because {self.because}"


def moment_of(text: object) -> datetime | None:
    """An aware moment from an answer; None where there is none."""
    if not isinstance(text, str) or not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone() if moment.tzinfo is None else moment
