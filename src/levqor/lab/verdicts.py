"""What a drill found: times, jobs, acts, alerts, and each promise as kept or broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Promise:
    """One sentence that had to hold, and what was found."""

    text: str
    is_kept: bool
    found: str = ""

    @property
    def line(self) -> str:
        return f"{'kept  ' if self.is_kept else 'BROKEN'}  {self.text}" + (f" ({self.found})" if self.found else "")


@dataclass(frozen=True, slots=True)
class Jobs:
    """Accepted jobs as the witness saw them."""

    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One drill's outcome. Times None: it was not seen, or there was nothing to see."""

    drill: str
    fault: str
    took_s: float
    promises: tuple[Promise, ...]
    jobs: Jobs = Jobs()
    detect_s: float | None = None
    recover_s: float | None = None
    actions: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Were promises made, and all of them kept?"""
        return bool(self.promises) and all(promise.is_kept for promise in self.promises)

    def as_dict(self) -> dict[str, Any]:
        return {
            "drill": self.drill,
            "fault": self.fault,
            "kept": self.is_kept,
            "took_s": round(self.took_s, 1),
            "time_to_detect_s": _rounded(self.detect_s),
            "time_to_recover_s": _rounded(self.recover_s),
            "accepted": self.jobs.accepted,
            "lost": self.jobs.lost,
            "doubled": self.jobs.doubled,
            "cut": self.jobs.cut,
            "actions": list(self.actions),
            "alerts": list(self.alerts),
            "promises": [{"promise": promise.text, "kept": promise.is_kept, "found": promise.found} for promise in self.promises],
        }

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"drill {self.drill}: {'kept' if self.is_kept else 'BROKEN'} in {self.took_s:.0f} s. The fault: {self.fault}",
            f"  time to detect {_said(self.detect_s)}, time to recover {_said(self.recover_s)}",
            f"  jobs: {self.jobs.accepted} accepted, {self.jobs.lost} lost, {self.jobs.doubled} doubled, {self.jobs.cut} runs cut",
            f"  actions: {'; '.join(self.actions) or 'none'}",
            f"  alerts: {'; '.join(self.alerts) or 'none'}",
            *(f"  {promise.line}" for promise in self.promises),
        ]


def page(verdicts: Sequence[Verdict], at: str) -> str:
    """All drills as one Markdown page."""
    broken = [verdict.drill for verdict in verdicts if not verdict.is_kept]
    parts = [
        "# Drills",
        f"Run at {at}. " + (f"Broken: {', '.join(broken)}." if broken else "Every promise was kept."),
        "| drill | detect | recover | lost | doubled | runs cut | actions | alerts | promises |\n|---|---|---|---|---|---|---|---|---|\n"
        + "\n".join(_row(verdict) for verdict in verdicts),
    ]
    for verdict in verdicts:
        kept = "\n".join(f"- {promise.line}" for promise in verdict.promises)
        acts = "\n".join(f"- action: {action}" for action in verdict.actions)
        told = "\n".join(f"- alert: {alert}" for alert in verdict.alerts)
        parts += [f"## {verdict.drill}", f"The fault: {verdict.fault}", *(part for part in (kept, acts, told) if part)]
    return "\n\n".join(parts) + "\n"


def _row(verdict: Verdict) -> str:
    jobs, word = verdict.jobs, "kept" if verdict.is_kept else "**broken**"
    times = f"{_said(verdict.detect_s)} | {_said(verdict.recover_s)}"
    counts = f"{jobs.lost} | {jobs.doubled} | {jobs.cut} | {len(verdict.actions)} | {len(verdict.alerts)}"
    return f"| {verdict.drill} | {times} | {counts} | {word} |"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def _said(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def no_job_lost(jobs: Jobs) -> Promise:
    return Promise("no accepted job is lost", jobs.accepted > 0 and jobs.lost == 0, f"{jobs.lost} of {jobs.accepted}")


def no_job_doubled(jobs: Jobs) -> Promise:
    return Promise("no job finishes twice", jobs.doubled == 0, f"{jobs.doubled} of {jobs.accepted}")


def within(text: str, seconds: float | None, limit_s: float) -> Promise:
    """A time that was seen and is not above its limit."""
    return Promise(
        f"{text} within {limit_s:g} s", seconds is not None and seconds <= limit_s, "not seen" if seconds is None else _said(seconds)
    )


def exactly(text: str, found: int, wanted: int) -> Promise:
    return Promise(text, found == wanted, f"{found}")


def nothing_of(text: str, found: Sequence[str]) -> Promise:
    """Something that must not have happened at all."""
    return Promise(text, not found, "; ".join(found[:3]))
