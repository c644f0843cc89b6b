"""When to recover, what to do, and when not to: pure, so that a dry run and the real thing cannot differ (spec I1, I6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from levqor.domain.decisions import Hold
from levqor.domain.fleet import FleetKind
from levqor.domain.incidents import Call, Cause, Refusal, RefusalCode, Step, StepName, StepStatus, Verdict
from levqor.domain.signals import Signals
from levqor.policies.slo import Standing

ERROR_RATE = 0.01
"""Above this share of failed requests there is something to recover from (spec I1)."""

HOUR_S, DAY_S = 3_600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class RecoveryLimits:
    """What keeps automatic recoveries rare. None of it binds a person."""

    cooldown_s: float = 1_800.0
    """From one automatic recovery to the next, in seconds of a leader's monotonic clock (spec W3)."""
    attempts: int = 3
    """Automatic recoveries of one incident; then a person is asked."""
    per_hour: int = 3
    """Automatic recoveries in any hour."""
    per_day: int = 7
    """Automatic recoveries in any 24 hours."""
    disarm_after: int = 2
    """So many automatic recoveries in a row without effect end all of them until a person re-arms."""
    own_action_grace_s: float = 120.0
    """For this long after an act of Levqor's own (a drain, a restart, a new control plane) errors may be its own doing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the guards look at. `since_*_s` None: it never happened. `*_problem` None: it answers."""

    is_running: bool = False
    store_problem: str | None = None
    database_problem: str | None = None
    is_enabled: bool = True
    hold: Hold | None = None
    failed_in_a_row: int = 0
    attempts: int = 0
    since_own_action_s: float | None = None
    automatic_ages_s: tuple[float, ...] = ()
    """How long ago, in accrued monotonic seconds, each automatic recovery of the last day began."""


def should_recover(signals: Signals, breach: Cause | None) -> tuple[str, ...]:
    """The reasons for a recovery; none: healthy. What is not known is no reason."""
    reasons = [] if breach is None else [f"the watchdog calls: {breach.summary}"]
    errors, failures = signals.error_rate.value, signals.failures_5m.value
    if errors is not None and errors > ERROR_RATE:
        reasons.append(f"error rate {errors:.2%} is above {ERROR_RATE:.0%}")
    if failures is not None and failures > 0:
        reasons.append(f"{failures:.0f} failed attempts in the last 5 minutes")
    return tuple(reasons)


def refusal(call: Call, facts: Facts, limits: RecoveryLimits) -> Refusal | None:
    """The first guard that says no. A person's call passes all but the single flight and a store or database that is down."""
    return next(iter(automatic_refusals(facts, limits)), None) if call.is_automatic else _binding(facts)


def may_go_on(facts: Facts) -> Refusal | None:
    """Between two steps of an automatic recovery: has a person said stop meanwhile?"""
    return _off(facts) or _held(facts)


def _binding(facts: Facts) -> Refusal | None:
    if facts.is_running:
        return Refusal(RefusalCode.SINGLE_FLIGHT, "a recovery is running already; one at a time in the whole installation")
    if facts.store_problem is not None:
        return Refusal(RefusalCode.STORE_DOWN, f"a restart cannot mend a store that is down: {facts.store_problem}")
    if facts.database_problem is not None:
        return Refusal(RefusalCode.DATABASE_DOWN, f"nothing can be recorded: {facts.database_problem}")
    return None


def automatic_refusals(facts: Facts, limits: RecoveryLimits) -> tuple[Refusal, ...]:
    """Every guard that says no to the watchdog now, the weightiest first; none: it may act."""
    guards = (_off(facts), _held(facts), _disarmed(facts, limits), _attempts(facts, limits), _own_action(facts, limits))
    said = (_binding(facts), *guards, _cooldown(facts, limits), _caps(facts, limits))
    return tuple(guard for guard in said if guard is not None)


def _off(facts: Facts) -> Refusal | None:
    if facts.is_enabled:
        return None
    return Refusal(RefusalCode.AUTORECOVER_OFF, "INCIDENT_AUTORECOVER is false: recorded, and nothing touched")


def _held(facts: Facts) -> Refusal | None:
    return None if facts.hold is None else Refusal(RefusalCode.HELD, f"held by {facts.hold.owner}: {facts.hold.why}")


def _disarmed(facts: Facts, limits: RecoveryLimits) -> Refusal | None:
    if facts.failed_in_a_row < limits.disarm_after:
        return None
    text = f"disarmed: the last {facts.failed_in_a_row} automatic recoveries had no effect; `levqor rearm` arms it again"
    return Refusal(RefusalCode.DISARMED, text)


def _attempts(facts: Facts, limits: RecoveryLimits) -> Refusal | None:
    if facts.attempts < limits.attempts:
        return None
    return Refusal(RefusalCode.ATTEMPTS, f"this incident has had its {facts.attempts} automatic recoveries")


def _own_action(facts: Facts, limits: RecoveryLimits) -> Refusal | None:
    since, grace_s = facts.since_own_action_s, limits.own_action_grace_s
    if since is None or since >= grace_s:
        return None
    return Refusal(RefusalCode.OWN_ACTION, f"Levqor itself acted {since:.0f} s ago; what fails within {grace_s:.0f} s may be its doing")


def _cooldown(facts: Facts, limits: RecoveryLimits) -> Refusal | None:
    since = min(facts.automatic_ages_s, default=None)
    if since is None or since >= limits.cooldown_s:
        return None
    return Refusal(RefusalCode.COOLDOWN, f"cools down for {limits.cooldown_s - since:.0f} s more after the last automatic recovery")


def _caps(facts: Facts, limits: RecoveryLimits) -> Refusal | None:
    for code, span_s, most, word in (
        (RefusalCode.PER_HOUR, HOUR_S, limits.per_hour, "hour"),
        (RefusalCode.PER_DAY, DAY_S, limits.per_day, "24 hours"),
    ):
        recent = sum(age < span_s for age in facts.automatic_ages_s)
        if recent >= most:
            return Refusal(code, f"{recent} automatic recoveries in the last {word}; at most {most}")
    return None


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """The real figures that a plan is made of. None: they could not be read, and `problems` says why, by the step's name."""

    dead_letters: Mapping[str, Any] | None = None
    """`chosen`, `waiting`, `quarantine`, `groups`."""
    workers: Mapping[str, int | None] | None = None
    """Process id by the worker's name."""
    fleet_kind: FleetKind = FleetKind.AGENT
    web: Mapping[str, int] | None = None
    """Process id by the web process's name; empty where nobody supervises them."""
    has_reload_command: bool = False
    is_rotation_enabled: bool | None = False
    problems: Mapping[str, str] = field(default_factory=dict)


def plan(facts: PlanFacts) -> tuple[Step, ...]:
    """All three steps, each planned or skipped with its reason. Nothing selected means nothing is done, never everything."""
    return (_plan_flush(facts), _plan_restart(facts), _plan_rotate(facts))


def is_empty(steps: tuple[Step, ...]) -> bool:
    """Is there nothing that could be done?"""
    return all(step.status is StepStatus.SKIPPED for step in steps)


def _skipped(name: StepName, why: str, before: dict[str, Any] | None = None) -> Step:
    return Step(name, StepStatus.SKIPPED, before=before, detail=why)


def _plan_flush(facts: PlanFacts) -> Step:
    name, figures = StepName.FLUSH, facts.dead_letters
    if figures is None:
        return _skipped(name, f"dead letters are not known: {facts.problems.get(name, 'not read')}")
    before = dict(figures)
    if not figures["chosen"] and not figures["quarantine"]:
        waiting = figures["waiting"]
        return _skipped(name, f"{waiting} dead letters wait for a person" if waiting else "no dead letters", before)
    text = f"{figures['chosen']} to requeue, {figures['quarantine']} to quarantine, {figures['waiting']} wait for a person"
    return Step(name, StepStatus.PLANNED, before=before, detail=text)


def _plan_restart(facts: PlanFacts) -> Step:
    name = StepName.RESTART
    if facts.fleet_kind in (FleetKind.NONE, FleetKind.EXTERNAL):
        return _skipped(name, f"the workers are the team's own (fleet kind {facts.fleet_kind}): restart them with your process manager")
    if facts.workers is None:
        return _skipped(name, f"the workers are not known: {facts.problems.get(name, 'nobody reports them')}")
    before = {"workers": dict(facts.workers)}
    if not facts.workers:
        return _skipped(name, "no worker lives", before)
    return Step(name, StepStatus.PLANNED, before=before, detail=f"{len(facts.workers)} workers, one after another, each after its job")


def _plan_rotate(facts: PlanFacts) -> Step:
    name = StepName.ROTATE
    if facts.is_rotation_enabled is None:
        return _skipped(name, f"the flags are not known: {facts.problems.get(name, 'not read')}")
    if not facts.is_rotation_enabled:
        return _skipped(name, "NEW_QUEUE_ENABLED is false")
    before = {"web": dict(facts.web or {}), "reload_command": facts.has_reload_command}
    if not facts.web and not facts.has_reload_command:
        return _skipped(name, "not ours: no agent supervises web processes, and APP_RELOAD_COMMAND is not set", before)
    app = "the attached app by APP_RELOAD_COMMAND" if facts.has_reload_command else "the attached app is skipped: not ours"
    return Step(name, StepStatus.PLANNED, before=before, detail=f"{len(facts.web or {})} web processes one after another; {app}")


def verdict(standing: Standing, since_s: float, settle_s: float, within_s: float) -> Verdict | None:
    """What a recovery came to, `since_s` after its end; None: not to be told yet (spec W5).

    Before `settle_s` the window still holds what was before the recovery. Unknown until the end is not a success.
    """
    if since_s < settle_s:
        return None
    if standing is Standing.MET:
        return Verdict.HELPED
    if since_s < within_s:
        return None
    return Verdict.NO_EFFECT if standing is Standing.BREACHED else Verdict.UNKNOWN
