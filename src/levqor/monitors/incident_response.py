"""Incident response: the leader opens incidents, recovers under guards, checks that it helped, and asks a person where it did not.

Calls are answered in the loop's own thread and begin a recovery; its steps run in a thread of their own, so that ticks go on.
Every write is made under the leader's fence, and an intent is written before each act: a successor of a leader that was
killed goes on with what was planned, checks what was begun, and begins nothing a second time.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, cast

import structlog
from sqlalchemy import Connection

from levqor.domain.dead_letters import FlushPlan, Scope
from levqor.domain.errors import Conflict, DatabaseDown, DependencyDown, NotTheLeader
from levqor.domain.flags import INCIDENT_AUTORECOVER, NEW_QUEUE_ENABLED
from levqor.domain.fleet import FleetKind
from levqor.domain.incidents import Call, Cause, Refusal, RefusalCode, Step, StepName, StepStatus, Verdict
from levqor.monitors.dead_letter_desk import Pace
from levqor.monitors.dead_letters import Flush
from levqor.monitors.incident_answers import compact, recovery_answer
from levqor.monitors.incident_log import IncidentLog
from levqor.monitors.incident_steps import (
    LOOK_AGAIN_S,
    Act,
    FleetReport,
    FlushAct,
    GaveWay,
    Going,
    RecoveryFleet,
    Reload,
    RestartAct,
    RotateAct,
    ended,
)
from levqor.monitors.reading import Look, Reader
from levqor.monitors.slo_watchdog import Breach
from levqor.policies.recovery import (
    Facts,
    PlanFacts,
    RecoveryLimits,
    automatic_refusals,
    is_empty,
    may_go_on,
    plan,
    refusal,
    should_recover,
    verdict,
)
from levqor.policies.slo import Standing
from levqor.ports import Clock
from levqor.store import incidents as rows
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.flags import FlagsFile, read_flags
from levqor.store.holds import longest_hold, open_holds
from levqor.store.leases import Lease
from levqor.store.orders import answer_order
from levqor.store.outbox import enqueue
from levqor.store.timers import read_timer

log = structlog.get_logger(__name__)

LONGEST_TURN_S = 10.0
"""A turn credits at most this: a process that slept has watched nothing meanwhile."""

BEFORE_THE_CALL = timedelta(minutes=5)
"""Jobs that died so long before a person's call belong to its incident: the failures that call for it are of this span."""

BREACHES_BEFORE = 3
"""The breaches that call began so many windows before the last one, one of them for a job that takes its time to die."""

HEARD_WITHIN_S = 3.0
"""So long a call waits for the agents to tell of workers that the broker lists."""

UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

ESCALATES = frozenset(RefusalCode) - {RefusalCode.SINGLE_FLIGHT, RefusalCode.OWN_ACTION, RefusalCode.COOLDOWN}
"""Refusals after which only a person can help. After the others the watchdog calls again."""


class Health(Protocol):
    """Is the service within its objectives, over the last minute? Raises StoreDown."""

    def standing(self) -> Standing: ...


@dataclass(frozen=True, slots=True)
class ResponseRules:
    """The dials."""

    limits: RecoveryLimits = field(default_factory=RecoveryLimits)
    settle_s: float = 75.0
    """So long after a recovery the last minute holds nothing of before it."""
    verify_s: float = 300.0
    """Within this the service must be back inside its objectives."""
    quiet_s: float = 600.0
    """An incident closes after so long without a breach or a recovery."""
    each_worker_s: float = 165.0
    """A worker that is restarted is replaced within this."""
    each_web_s: float = 60.0
    """A web process that is rotated is replaced within this."""
    allow: frozenset[str] = frozenset()
    """Handlers whose dead letters are flushed without a person."""
    pace: Pace = field(default_factory=Pace)
    """Of the flush."""


@dataclass(frozen=True, slots=True)
class ResponseParts:
    """What incident response works with; `bootstrap` hands it in."""

    reader: Reader
    fleet: RecoveryFleet
    flush: Flush
    reload: Reload | None
    health: Health
    database: Database
    lease: Lease
    flags_file: FlagsFile
    clock: Clock
    log: IncidentLog
    rules: ResponseRules = field(default_factory=ResponseRules)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read before the write lock is taken."""

    look: Look
    plan_facts: PlanFacts
    store_problem: str | None


@dataclass(slots=True)
class _Walker:
    """The thread that carries out a recovery."""

    recovery_id: int
    going: Going
    thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class IncidentResponse:
    """One per process that may lead. Its methods are called by the leader's loop, outside any transaction."""

    def __init__(self, parts: ResponseParts) -> None:
        self._parts = parts
        self._walker: _Walker | None = None
        self._last: float | None = None
        self._term: int | None = None
        self._closing = threading.Event()

    def close(self, within_s: float = 5.0) -> None:
        """Begin nothing more; what is under way is left to the next leader."""
        self._closing.set()
        walker = self._walker
        if walker is not None and walker.thread is not None:
            walker.going.set()
            walker.thread.join(within_s)

    # Calls

    def call_by_watchdog(self, breach: Breach) -> None:
        """Three breaches in a row (spec W2): recover, or say why not."""
        began_at = breach.window_start - BREACHES_BEFORE * width_of(breach.series)
        found = {name: {"state": one.state.value, "p_value": one.p_value, "why": one.why} for name, one in breach.judgements.items()}
        cause = Cause(f"slo:{breach.series}", breach.cause, began_at, {"judgements": found})
        self.recover(Call("watchdog", is_automatic=True, breach=cause))

    def take_order(self, order: Mapping[str, Any]) -> None:
        """A person's call, as a web process handed it on."""
        body = order["body"]
        call = Call(order["actor"], dead_letters=body.get("dead_letters", "incident"), token=body.get("token"))
        self.recover(call, order_id=order["id"])

    def recover(self, call: Call, order_id: str | None = None) -> dict[str, Any] | None:
        """Begin a recovery, or refuse it; None where this process does not lead. Raises DatabaseDown."""
        if not self._parts.lease.is_trusted:
            return None
        seen = self._see(call)
        now = self._parts.clock.now()
        try:
            with self._parts.lease.fenced() as connection:
                answer, line = self._begin(connection, now, call, seen)
                if order_id is not None and not answer_order(connection, order_id, answer):
                    raise Conflict("whoever asked has gone")
                record_change(connection, now, call.actor, "recover", None, answer)
        except Conflict as error:
            log.info("recovery not begun", reason=str(error))
            return None
        if line is not None:
            self._parts.log.write(line)
        if "recovery_id" in answer:
            self._walk(int(answer["recovery_id"]))
        return answer

    def _begin(self, connection: Connection, now: datetime, call: Call, seen: _Seen) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The order's answer, and the log's line where nothing goes on."""
        known = None if call.token is None else rows.recovery_by_token(connection, call.token)
        if known is not None:
            return {"recovery_id": known["id"], "incident_id": known["incident_id"]}, None
        signals = self._parts.reader.assemble(seen.look, connection).signals
        reasons = should_recover(signals, call.breach)
        no = refusal(call, self._facts(connection, seen.store_problem), self._parts.rules.limits)
        if no is not None and (reasons or not call.is_automatic):
            return self._refused(connection, now, call, no, reasons)
        if not reasons:
            answer: dict[str, Any] = {"ok": True, "recovered": False, "incident_id": None, "reasons": []}
            return {"healthy": True, **answer}, self._line(call, now, **answer)
        incident_id = self._incident(connection, now, call, reasons)
        steps = plan(seen.plan_facts)
        if is_empty(steps):
            return self._helpless(connection, now, call, incident_id, steps, reasons)
        recovery_id = rows.begin_recovery(connection, now, incident_id, call, steps, reasons)
        log.warning("recovery begins", incident=incident_id, recovery=recovery_id, actor=call.actor, reasons=list(reasons))
        return {"recovery_id": recovery_id, "incident_id": incident_id}, None

    def _refused(
        self, connection: Connection, now: datetime, call: Call, no: Refusal, reasons: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        answer: dict[str, Any] = {"refused": no.code.value, "reason": no.text, "incident_id": None}
        if call.is_automatic:
            incident_id = self._incident(connection, now, call, reasons)
            rows.restart_timer(connection, rows.QUIET, incident_id, now)
            answer["incident_id"] = incident_id
            if no.code in ESCALATES:
                self._escalate(connection, now, incident_id, no.text)
        log.warning("recovery refused", actor=call.actor, guard=no.code.value, reason=no.text)
        return answer, self._line(call, now, ok=False, recovered=False, **answer, reasons=list(reasons))

    def _helpless(
        self, connection: Connection, now: datetime, call: Call, incident_id: int, steps: tuple[Step, ...], reasons: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """There is a breach and nothing that Levqor can do about it."""
        why = f"there is nothing that Levqor can do: {compact([step.as_dict() for step in steps])}"
        self._escalate(connection, now, incident_id, why)
        shown = {"steps": [step.as_dict() for step in steps], "reasons": list(reasons)}
        answer = {"ok": False, "recovered": False, "incident_id": incident_id, "detail": why, **shown}
        return {"helpless": True, **answer}, self._line(call, now, **answer)

    def _incident(self, connection: Connection, now: datetime, call: Call, reasons: tuple[str, ...]) -> int:
        """The incident that this call belongs to: the one that goes on, or a new one."""
        current = rows.open_incident(connection)
        if current is not None:
            return int(current["id"])
        cause = call.breach or Cause("called", "; ".join(reasons) or "called by hand", now - BEFORE_THE_CALL)
        number = rows.begin_incident(connection, now, cause)
        log.warning("incident opened", incident=number, cause=cause.summary)
        return number

    def _escalate(self, connection: Connection, now: datetime, incident_id: int, why: str) -> None:
        """Ask a person, once per incident."""
        if not rows.escalate_incident(connection, now, incident_id):
            return
        incident = rows.read_incident(connection, incident_id) or {"cause": ""}
        _tell(
            connection,
            now,
            incident_id,
            _Alert(
                key=f"incident:{incident_id}",
                kind="escalation",
                severity="page",
                title=f"Incident {incident_id} needs a person",
                text=f"{incident['cause']}\n{why}\nlevqor incidents {incident_id}",
            ),
        )
        log.error("incident escalated", incident=incident_id, reason=why)

    def _line(self, call: Call, now: datetime, **facts: Any) -> dict[str, Any]:
        who = {"at": now.isoformat(), "actor": call.actor, "call": "watchdog" if call.is_automatic else "person", "dry_run": False}
        return {**who, **facts}

    # What is so

    def dry_run(self, call: Call) -> dict[str, Any]:
        """The plan that would run, with real figures; changes nothing and is never refused (spec I2, I6). Any process may ask."""
        seen = self._see(call)
        now = self._parts.clock.now()
        try:
            with self._parts.database.read() as connection:
                reading = self._parts.reader.assemble(seen.look, connection)
                no = refusal(call, self._facts(connection, seen.store_problem), self._parts.rules.limits)
        except DatabaseDown as error:
            reading = self._parts.reader.without_database(seen.look, str(error))
            no = refusal(call, Facts(database_problem=str(error)), self._parts.rules.limits)
        reasons = should_recover(reading.signals, call.breach)
        answer = {
            "ok": True,
            "recovered": False,
            "dry_run": True,
            "incident_id": None,
            "would_recover": bool(reasons) and no is None,
            "would_refuse": None if no is None else {"refused": no.code.value, "reason": no.text},
            "reasons": list(reasons),
            "steps": [step.as_dict() for step in plan(seen.plan_facts)],
        }
        self._parts.log.write({**self._line(call, now), **answer})
        return answer

    def _see(self, call: Call) -> _Seen:
        parts = self._parts
        look = parts.reader.look()
        problem = next((part for part in (look.report, look.http, look.queues) if isinstance(part, str)), None)
        problems: dict[str, str] = {}
        report = self._fresh_report(look)
        if report is None or report.running is None:
            problems[StepName.RESTART.value] = problem or "nobody reports them"
        enabled = self._rotation_enabled(problems)
        facts = PlanFacts(
            dead_letters=self._dead_letters(call, problems),
            workers=None if report is None or report.running is None else {worker.name: worker.pid for worker in report.workers},
            fleet_kind=FleetKind(parts.reader.scope.kind),
            web={} if report is None else dict(report.web),
            has_reload_command=parts.reload is not None,
            is_rotation_enabled=enabled,
            problems=problems,
        )
        return _Seen(look, facts, problem)

    def _fresh_report(self, look: Look) -> FleetReport | None:
        """What the agents say. Workers that the broker lists and no agent tells of yet are waited for: a heartbeat may lag."""
        if isinstance(look.report, str):
            return None
        report = cast(FleetReport, look.report)
        deadline = self._parts.clock.monotonic() + HEARD_WITHIN_S
        while look.workers and not isinstance(look.workers, str) and not report.workers and self._parts.clock.monotonic() < deadline:
            if self._closing.wait(LOOK_AGAIN_S):
                break
            try:
                report = self._parts.fleet.report()
            except DependencyDown as error:
                log.info("agents not heard", reason=str(error))
        return report

    def _rotation_enabled(self, problems: dict[str, str]) -> bool | None:
        try:
            with self._parts.database.read() as connection:
                return bool(read_flags(connection)[NEW_QUEUE_ENABLED])
        except DatabaseDown as error:
            problems[StepName.ROTATE.value] = str(error)
            return None

    def _dead_letters(self, call: Call, problems: dict[str, str]) -> dict[str, Any] | None:
        try:
            return self._flush_plan(call.dead_letters, self._since(call), call.is_automatic).as_dict()
        except DependencyDown as error:
            problems[StepName.FLUSH.value] = str(error)
            return None

    def _since(self, call: Call) -> datetime:
        """When the incident that this call belongs to began."""
        with self._parts.database.read() as connection:
            current = rows.open_incident(connection)
        if current is not None:
            return datetime.fromisoformat(current["evidence"]["began_at"])
        return self._parts.clock.now() - BEFORE_THE_CALL if call.breach is None else call.breach.began_at

    def _flush_plan(self, scope: str, since: datetime, is_automatic: bool) -> FlushPlan:
        """An automatic flush keeps to the incident, whatever was asked for."""
        return self._parts.flush.plan("incident" if is_automatic else cast(Scope, scope), since, self._parts.rules.allow)

    def _facts(self, connection: Connection, store_problem: str | None) -> Facts:
        current = rows.open_incident(connection)
        return replace(
            self._wishes(connection),
            is_running=rows.running_recovery(connection) is not None,
            store_problem=store_problem,
            failed_in_a_row=rows.failed_in_a_row(connection),
            attempts=0 if current is None else current["attempts"],
            since_own_action_s=rows.own_action_age(connection),
            automatic_ages_s=rows.automatic_ages(connection),
        )

    def automatic_refusals(self, connection: Connection) -> tuple[Refusal, ...]:
        """What keeps the watchdog from acting now, as far as the database tells."""
        return automatic_refusals(self._facts(connection, None), self._parts.rules.limits)

    def _wishes(self, connection: Connection) -> Facts:
        """What people have said: the flag and the holds. A broken flags file holds everything automatic."""
        hold = longest_hold(open_holds(connection))
        is_enabled = bool(read_flags(connection)[INCIDENT_AUTORECOVER]) and not self._parts.flags_file.look().is_broken
        return Facts(is_enabled=is_enabled, hold=hold)

    # Carrying out

    def _walk(self, recovery_id: int) -> None:
        """Carry out a recovery in a thread of its own, unless that thread lives."""
        if self._closing.is_set() or (self._walker is not None and self._walker.is_alive):
            return
        lease, term = self._parts.lease, self._parts.lease.term
        going = Going(lambda: lease.term == term)
        walker = _Walker(recovery_id, going)
        walker.thread = threading.Thread(target=self._carry_out, args=(recovery_id, going), name="recovery", daemon=True)
        self._walker = walker
        walker.thread.start()

    def _carry_out(self, recovery_id: int, going: Going) -> None:
        try:
            self.carry_out(recovery_id, going)
        except (GaveWay, NotTheLeader) as error:
            log.warning("recovery is left to the next leader", recovery=recovery_id, reason=str(error))
        except DatabaseDown as error:
            log.error("recovery waits for the database", recovery=recovery_id, error=str(error))
        except Exception:
            log.exception("recovery failed for a moment and goes on at the next turn", recovery=recovery_id)

    def carry_out(self, recovery_id: int, going: Going) -> None:
        """Every step that is not over: begin it if it was only planned, check it if a leader died in it. Then say so."""
        with self._parts.database.read() as connection:
            recovery, steps = rows.read_recovery(connection, recovery_id), rows.read_steps(connection, recovery_id)
            incident = None if recovery is None else rows.read_incident(connection, recovery["incident_id"])
        if recovery is None or incident is None:
            return
        since = datetime.fromisoformat(incident["evidence"]["began_at"])
        for position, step in steps:
            if step.status is StepStatus.RUNNING:
                self._settle(recovery_id, position, step, self._act(step, recovery, since), going)
            elif step.status is StepStatus.PLANNED:
                self._take(recovery, position, step, self._act(step, recovery, since), going)
        self._say_ended(recovery, going)

    def _act(self, step: Step, recovery: Mapping[str, Any], since: datetime) -> Act:
        parts, rules = self._parts, self._parts.rules
        if step.name is StepName.FLUSH:
            scope, is_automatic = recovery["plan"]["dead_letters"], recovery["is_automatic"]
            return FlushAct(parts.flush, lambda: self._flush_plan(scope, since, is_automatic), f"recovery-{recovery['id']}", rules.pace)
        if step.name is StepName.RESTART:
            return RestartAct(parts.fleet, parts.clock, rules.each_worker_s)
        return RotateAct(parts.fleet, parts.clock, parts.reload, rules.each_web_s)

    def _take(self, recovery: Mapping[str, Any], position: int, step: Step, act: Act, going: Going) -> None:
        """Intent, act, outcome. A dependency that is down fails the step; the next one is tried all the same."""
        going.check()
        clock, lease, number = self._parts.clock, self._parts.lease, int(recovery["id"])
        try:
            step = replace(step, before=act.measure(step))
        except DependencyDown as error:
            self._end(number, position, ended(step, StepStatus.FAILED, None, f"not begun: {error}"), going)
            return
        with lease.fenced() as connection:
            going.check()
            stop = may_go_on(self._wishes(connection)) if recovery["is_automatic"] else None
            if stop is not None:
                rows.end_step(connection, clock.now(), number, position, ended(step, StepStatus.SKIPPED, None, stop.text))
                return
            rows.intend_step(connection, clock.now(), number, position, step.before)
            rows.mark_own_action(connection, clock.now())
        self._end(number, position, self._outcome(step, act, going, self._noter(number, position)), going)

    def _noter(self, recovery_id: int, position: int) -> Callable[[dict[str, Any]], None]:
        def note(after: dict[str, Any]) -> None:
            with self._parts.lease.fenced() as connection:
                rows.note_step(connection, recovery_id, position, after)

        return note

    def _outcome(self, step: Step, act: Act, going: Going, note: Callable[[dict[str, Any]], None]) -> Step:
        try:
            return act.act(step, going, note)
        except (GaveWay, NotTheLeader, DatabaseDown):
            raise
        except DependencyDown as error:
            return ended(step, StepStatus.FAILED, None, str(error))
        except Exception as error:
            log.exception("step failed", step=step.name.value)
            return ended(step, StepStatus.FAILED, None, f"{type(error).__name__}; the control plane's log says more")

    def _settle(self, recovery_id: int, position: int, step: Step, act: Act, going: Going) -> None:
        """A leader died between intent and outcome: look how far it came, and do nothing again."""
        going.check()
        try:
            found = act.check(step, going)
        except DependencyDown as error:
            found = ended(step, StepStatus.INTERRUPTED, None, f"its leader died in it, and how far it came is not known: {error}")
        self._end(recovery_id, position, found, going)

    def _end(self, recovery_id: int, position: int, step: Step, going: Going) -> None:
        now = self._parts.clock.now()
        with self._parts.lease.fenced() as connection:
            going.check()
            rows.end_step(connection, now, recovery_id, position, step)
            rows.mark_own_action(connection, now)
        log.info("step ended", recovery=recovery_id, step=step.name.value, status=step.status.value, detail=step.detail)

    def _say_ended(self, recovery: Mapping[str, Any], going: Going) -> None:
        """The log's line first: whoever finds the recovery still running looks whether the line is there."""
        number, incident_id, now = int(recovery["id"]), int(recovery["incident_id"]), self._parts.clock.now()
        with self._parts.database.read() as connection:
            steps = [step for _position, step in rows.read_steps(connection, number)]
        answer = recovery_answer(incident_id, number, steps, recovery["plan"]["reasons"])
        going.check()
        call = Call(recovery["actor"], is_automatic=recovery["is_automatic"])
        self._parts.log.write_once(number, {**self._line(call, now), **answer})
        with self._parts.lease.fenced() as connection:
            going.check()
            if rows.end_acting(connection, now, number, answer):
                _tell(
                    connection,
                    now,
                    incident_id,
                    _Alert(
                        key=f"recovery:{number}",
                        kind="recovery",
                        severity="info" if answer["ok"] else "ticket",
                        title=f"Recovery {number} of incident {incident_id}: {'done' if answer['ok'] else 'not all steps worked'}",
                        text=f"by {recovery['actor']}: {'; '.join(answer['reasons'])}\n{compact(answer['steps'])}",
                    ),
                )
        log.warning("recovery acted", recovery=number, ok=answer["ok"])

    # As time passes

    def turn(self) -> None:
        """Let the timers run, go on with what a predecessor left, verify, and close what is over. Called every few seconds."""
        lease = self._parts.lease
        if not lease.is_trusted or self._closing.is_set():
            return
        elapsed = self._elapsed()
        with self._parts.database.read() as connection:
            running = rows.running_recovery(connection)
            verifying, incident = rows.verifying_recovery(connection), rows.open_incident(connection)
        standing = Standing.UNKNOWN if incident is None and verifying is None else self._standing()
        now = self._parts.clock.now()
        with lease.fenced() as connection:
            rows.advance_timers(connection, elapsed or 0.0, now, is_quiet=standing is Standing.MET)
            if elapsed is None:
                rows.mark_own_action(connection, now)  # a control plane that has just begun is a deploy, or a crash
            if verifying is not None and running is None:
                self._verify(connection, now, verifying, standing)
            if incident is not None and running is None and verifying is None:
                self._quieten(connection, now, incident, standing)
        if running is not None:
            self._walk(int(running["id"]))

    def _elapsed(self) -> float | None:
        """Since the last turn of this term; None at its first: a successor credits nothing for the gap (spec P1)."""
        mono, term = self._parts.clock.monotonic(), self._parts.lease.term
        elapsed = None if self._last is None or term != self._term else min(mono - self._last, LONGEST_TURN_S)
        self._last, self._term = mono, term
        return elapsed

    def _standing(self) -> Standing:
        try:
            return self._parts.health.standing()
        except DependencyDown:
            return Standing.UNKNOWN

    def _verify(self, connection: Connection, now: datetime, recovery: Mapping[str, Any], standing: Standing) -> None:
        """Did the service come back? If not, a person is asked; nothing is repeated (spec W5)."""
        number, rules = int(recovery["id"]), self._parts.rules
        since = read_timer(connection, f"{rows.VERIFY}{number}")
        found = verdict(standing, since, rules.settle_s, rules.verify_s)
        if found is None or not rows.end_verification(connection, number, found):
            return
        log.warning("recovery verified", recovery=number, verdict=found.value)
        rows.restart_timer(connection, rows.QUIET, int(recovery["incident_id"]), now)
        if found is not Verdict.HELPED:
            said = "the service is still outside its objectives" if found is Verdict.NO_EFFECT else "whether it helped cannot be told"
            self._escalate(connection, now, int(recovery["incident_id"]), f"recovery {number} ended {since:.0f} s ago and {said}")

    def _quieten(self, connection: Connection, now: datetime, incident: Mapping[str, Any], standing: Standing) -> None:
        """Breached starts the quiet time again; unknown neither counts nor ends it."""
        number = int(incident["id"])
        quiet_s = read_timer(connection, f"{rows.QUIET}{number}")
        if standing is Standing.BREACHED:
            rows.restart_timer(connection, rows.QUIET, number, now)
        elif standing is Standing.MET and quiet_s >= self._parts.rules.quiet_s and rows.close_incident(connection, now, number):
            log.warning("incident closed", incident=number)
            if incident["escalated_at"] is not None:
                text = f"{incident['cause']}\nquiet for {quiet_s:.0f} s"
                _tell(connection, now, number, _Alert(f"incident:{number}", "resolved", "info", f"Incident {number} is over", text))


def width_of(series: str) -> timedelta:
    """The width of a series' windows by its name, such as `5m`."""
    return timedelta(seconds=int(series[:-1]) * UNIT_S[series[-1]])


@dataclass(frozen=True, slots=True)
class _Alert:
    key: str
    kind: str
    severity: str
    title: str
    text: str


def _tell(connection: Connection, now: datetime, incident_id: int, alert: _Alert) -> None:
    """Have a person told once this transaction commits."""
    enqueue(
        connection,
        now,
        key=alert.key,
        kind=alert.kind,
        severity=alert.severity,
        title=alert.title,
        text=alert.text,
        incident_id=incident_id,
    )
