"""The steps of a recovery: each measures, acts and checks. Who may act, and when, is decided elsewhere."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from levqor.domain.dead_letters import FlushPlan
from levqor.domain.errors import DependencyDown, LevqorError, StoreDown
from levqor.domain.fleet import Worker
from levqor.domain.incidents import Step, StepStatus
from levqor.monitors.dead_letter_desk import Pace
from levqor.monitors.dead_letters import Flush
from levqor.ports import Clock

LOOK_AGAIN_S = 0.2
CHECK_WITHIN_S = 15.0
"""How long a successor waits for what a step of its predecessor set going, before it writes down how far it came."""


class FleetReport(Protocol):
    """What the agents say of workers and web processes; `running` None: no agent was heard."""

    @property
    def workers(self) -> list[Worker]: ...
    @property
    def running(self) -> int | None: ...
    @property
    def starting(self) -> int: ...
    @property
    def target_seen(self) -> int | None: ...
    @property
    def web(self) -> Mapping[str, int]: ...


class RecoveryFleet(Protocol):
    """What a recovery asks of a fleet. Every call raises StoreDown."""

    def report(self) -> FleetReport: ...
    def restart(self, worker_name: str | None) -> int: ...
    def rotate(self) -> int: ...


class Reload(Protocol):
    """Reloads the attached app; what went wrong, or None."""

    def run(self, stop: threading.Event) -> str | None: ...


class GaveWay(LevqorError):
    """The leader stopped or was followed by another in the midst of a step: whoever leads now goes on."""


class Going(threading.Event):
    """Set once this recovery is no longer this process's to carry out; each wait and each act asks first."""

    def __init__(self, is_ours: Callable[[], bool]) -> None:
        super().__init__()
        self._is_ours = is_ours

    def is_set(self) -> bool:
        return super().is_set() or not self._is_ours()

    def wait(self, timeout: float | None = None) -> bool:
        super().wait(timeout)
        return self.is_set()

    def check(self) -> None:
        """Raises GaveWay."""
        if self.is_set():
            raise GaveWay("another leader goes on with this recovery")


Note = Callable[[dict[str, Any]], None]
"""Writes down what a running step has done so far."""


class Act(Protocol):
    """One kind of step."""

    def measure(self, step: Step) -> dict[str, Any] | None:
        """What is so now, before the act."""
        ...

    def act(self, step: Step, going: Going, note: Note) -> Step:
        """Do it and check it: the step with its outcome. Raises GaveWay, DependencyDown."""
        ...

    def check(self, step: Step, going: Going) -> Step:
        """What became of an act whose leader died in it; nothing is done again."""
        ...


def ended(step: Step, status: StepStatus, after: dict[str, Any] | None, detail: str) -> Step:
    return replace(step, status=status, after=after, detail=detail)


@dataclass(slots=True)
class FlushAct:
    """Dead letters go back to their queues, the canary first."""

    flush: Flush
    plan: Callable[[], FlushPlan]
    batch_id: str
    pace: Pace

    def measure(self, step: Step) -> dict[str, Any] | None:
        return step.before

    def act(self, step: Step, going: Going, note: Note) -> Step:
        pace = self.pace
        outcome = self.flush.run(self.plan(), self.batch_id, going, canary=pace.canary, per_batch=pace.per_batch, pause_s=pace.pause_s)
        going.check()
        status = StepStatus.FAILED if outcome.stopped_why else StepStatus.DONE
        said = f"{outcome.moved} requeued, {outcome.finished} finished, {outcome.died_again} died again, {outcome.quarantined} quarantined"
        return ended(step, status, outcome.as_dict(), "; ".join(part for part in (said, outcome.stopped_why) if part))

    def check(self, step: Step, going: Going) -> Step:
        left = self.plan()
        text = f"its leader died in it; {left.chosen} dead letters are left, and none was lost or moved twice"
        return ended(step, StepStatus.INTERRUPTED, {"left": left.chosen, "quarantine": left.quarantine}, text)


@dataclass(slots=True)
class RestartAct:
    """Workers are replaced one after another, each after its job; the first that does not come back ends the step."""

    fleet: RecoveryFleet
    clock: Clock
    each_within_s: float

    def measure(self, step: Step) -> dict[str, Any] | None:
        report = self.fleet.report()
        if report.running is None:
            raise StoreDown("nobody reports the workers any more")
        return {"workers": _pids(report)}

    def act(self, step: Step, going: Going, note: Note) -> Step:
        before: dict[str, int | None] = (step.before or {})["workers"]
        replaced: list[str] = []
        if not before:
            return ended(step, StepStatus.SKIPPED, None, "no worker lives any more")
        for name, pid in before.items():
            going.check()
            report = self.fleet.report()
            if report.running is None:
                return self._failed(step, replaced, "nobody reports the workers any more")
            if (name, pid) in _pids(report).items():
                problem = self._replace(name, pid, report.running, going)
                if problem is not None:
                    return self._failed(step, replaced, problem)
            replaced.append(name)
            note({"replaced": list(replaced)})
        return ended(step, StepStatus.DONE, self._after(replaced), f"{len(replaced)} of {len(before)} workers were replaced")

    def check(self, step: Step, going: Going) -> Step:
        before: dict[str, int | None] = (step.before or {})["workers"]

        def gone() -> list[str]:
            there = _pids(self.fleet.report()).items()
            return [name for name, pid in before.items() if (name, pid) not in there]

        _until(lambda: len(gone()) == len(before), CHECK_WITHIN_S, self.clock, going)
        replaced = gone()
        status = StepStatus.DONE if len(replaced) == len(before) else StepStatus.INTERRUPTED
        return ended(step, status, self._after(replaced), f"its leader died in it; {len(replaced)} of {len(before)} workers were replaced")

    def _replace(self, name: str, pid: int | None, serving: int, going: Going) -> str | None:
        if not self.fleet.restart(name):
            return f"nobody took the restart of {name}"

        def is_replaced() -> bool:
            report = self.fleet.report()
            # The autopilot may have taken a step down meanwhile: its target is enough.
            enough = serving if report.target_seen is None else min(serving, report.target_seen)
            return (
                report.running is not None
                and report.running >= enough
                and report.starting == 0
                and (name, pid) not in _pids(report).items()
            )

        if _until(is_replaced, self.each_within_s, self.clock, going):
            return None
        return f"{name} was not replaced within {self.each_within_s:.0f} s; the others are left as they are"

    def _failed(self, step: Step, replaced: list[str], why: str) -> Step:
        return ended(step, StepStatus.FAILED, self._after(replaced), f"{why} ({len(replaced)} replaced)")

    def _after(self, replaced: list[str]) -> dict[str, Any]:
        return {"workers": _pids(self.fleet.report()), "replaced": replaced}


@dataclass(slots=True)
class RotateAct:
    """The attached app by its command, then Levqor's own web processes; the leader itself may be one of them."""

    fleet: RecoveryFleet
    clock: Clock
    reload: Reload | None
    within_s: float
    after_answer_s: float = 1.5
    """Whoever asked has the answer by then."""

    def measure(self, step: Step) -> dict[str, Any] | None:
        planned: dict[str, Any] = step.before or {}
        # An agent that is not heard for a moment has not lost its web processes.
        return {**planned, "web": dict(self.fleet.report().web) or planned.get("web", {})}

    def act(self, step: Step, going: Going, note: Note) -> Step:
        going.wait(self.after_answer_s)
        going.check()
        app = "skipped: not ours" if self.reload is None else (self.reload.run(going) or "reloaded")
        going.check()
        note({"app": app})
        before: dict[str, int] = (step.before or {})["web"]
        if before and self.fleet.rotate():
            _until(lambda: self._are_replaced(before), self.within_s * len(before), self.clock, going)
        return self._outcome(step, app)

    def check(self, step: Step, going: Going) -> Step:
        before: dict[str, int] = (step.before or {})["web"]
        app = (step.after or {}).get("app")
        if app is None and self.reload is not None:
            text = "its leader died while the attached app was being reloaded; it is not reloaded again"
            return ended(step, StepStatus.INTERRUPTED, {"web": dict(self.fleet.report().web), "app": "unknown"}, text)
        _until(lambda: self._are_replaced(before), self.within_s, self.clock, going)
        found = self._outcome(step, app or "skipped: not ours")
        return found if found.status is StepStatus.DONE else replace(found, status=StepStatus.INTERRUPTED)

    def _are_replaced(self, before: dict[str, int]) -> bool:
        web = self.fleet.report().web
        return all(name in web and web[name] != pid for name, pid in before.items())

    def _outcome(self, step: Step, app: str) -> Step:
        before: dict[str, int] = (step.before or {})["web"]
        web = dict(self.fleet.report().web)
        replaced = [name for name, pid in before.items() if name in web and web[name] != pid]
        is_done = len(replaced) == len(before) and app in ("reloaded", "skipped: not ours")
        text = f"{len(replaced)} of {len(before)} web processes were replaced; attached app: {app}"
        return ended(step, StepStatus.DONE if is_done else StepStatus.FAILED, {"web": web, "app": app}, text)


def _pids(report: FleetReport) -> dict[str, int | None]:
    return {worker.name: worker.pid for worker in report.workers}


def _until(is_so: Callable[[], bool], within_s: float, clock: Clock, going: Going) -> bool:
    """Wait for it; a store that is silent for a moment says neither yes nor no. Raises GaveWay."""
    deadline = clock.monotonic() + within_s
    while True:
        try:
            if is_so():
                return True
        except DependencyDown:
            if clock.monotonic() >= deadline:
                raise
        if clock.monotonic() >= deadline:
            return False
        going.wait(LOOK_AGAIN_S)
        going.check()
