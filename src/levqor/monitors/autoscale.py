"""The autopilot's loop: read, decide, act, record, each tick, under a lease with a term."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Connection

from levqor.domain.decisions import Action, Decision, Hold
from levqor.domain.errors import DatabaseDown, NotTheLeader, StoreDown
from levqor.domain.flags import AUTOSCALE_ENABLED, WORKER_COUNT, FlagsFileState
from levqor.monitors.alerting import tell_episodes
from levqor.monitors.episodes import Causes, Watch, causes
from levqor.monitors.incident_response import IncidentResponse
from levqor.monitors.judgement import Beat, RuleMemory, Trail, promise_clear_queue, recall, remember, score_promises
from levqor.monitors.loop import Loop
from levqor.monitors.outside import OutsideChange, take_outside_change
from levqor.monitors.reading import Fleet, Look, Reader, Reading
from levqor.monitors.records import to_record
from levqor.monitors.rollups import RollUps
from levqor.monitors.slo_watchdog import Watchdog
from levqor.monitors.work import note_work
from levqor.policies.scaling import Context, ScalingRules, decide
from levqor.ports import Clock
from levqor.store.audit import purge_changes
from levqor.store.database import Database
from levqor.store.decisions import purge_decisions, record_decision
from levqor.store.deploys import purge_deploys
from levqor.store.episodes import open_episodes, purge_episodes, sync_episodes
from levqor.store.flags import DEFAULT_FLEET, FlagsFile, read_flags, write_flag
from levqor.store.holds import count_down_holds, longest_hold, open_holds, purge_holds
from levqor.store.incidents import mark_own_action, purge_incidents
from levqor.store.leases import Lease
from levqor.store.orders import answer_order, open_orders, purge_orders
from levqor.store.promises import purge_promises
from levqor.store.slo import purge_checks
from levqor.store.usage import add_usage
from levqor.store.work import purge_work

RENEW_S = 2.0
ORDERS_S = 0.5
ROLL_UP_S = 15.0
SLO_S = 5.0
BUDGETS_S = 60.0
INCIDENTS_S = 5.0
CARE_S = 600.0
STOPS_WITHIN_S = 10.0
ACTOR = "autoscale"

log = structlog.get_logger(__name__)


Purge = Callable[[Connection, datetime], object]
"""Drops what has been kept long enough."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Work of the leader's beside the tick, each `period_s` seconds. It must be short: while it works, nothing is decided."""

    name: str
    period_s: float
    work: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with; `bootstrap` hands it in."""

    reader: Reader
    fleet: Fleet
    database: Database
    lease: Lease
    flags_file: FlagsFile
    rules: ScalingRules
    tick_s: float
    hourly_cost: Decimal
    clock: Clock
    rollups: RollUps
    watchdog: Watchdog
    incidents: IncidentResponse
    duties: Sequence[Duty] = ()
    """More of them, from the parts that `bootstrap` puts beside the autopilot."""
    purges: Sequence[Purge] = ()
    causes: Sequence[Callable[[], Causes]] = ()
    """More causes for an alert, asked at each tick."""
    manual_hold_s: float = 3_600.0
    """A count that somebody set outside Levqor is kept for so long."""


def broken_flags_hold(state: FlagsFileState) -> Hold | None:
    """A broken flags file holds everything automatic (spec F1)."""
    return Hold("levqor", f"flags file is broken: {state.error}", kind="flags") if state.is_broken else None


@dataclass(slots=True)
class _Turn:
    """Where the ticks of this term stand; a new term begins with a new one and credits no gap."""

    last: float | None = None
    last_action: Action | None = None
    watch: Watch = field(default_factory=Watch)
    trail: Trail = field(default_factory=Trail)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick decided and whether it was put in force."""

    decision: Decision
    applied: bool
    why_not: str | None
    reading: Reading
    record_id: int
    kept_outside: int | None = None
    """A count out of bounds that somebody set outside Levqor: handed on while its hold lasts."""


class Autopilot(Loop):
    """Ticks while it leads; otherwise waits for the lease."""

    def __init__(self, parts: Parts) -> None:
        super().__init__("autopilot", STOPS_WITHIN_S)
        self._parts = parts
        self._turn = _Turn()
        self._term: int | None = None

    @property
    def is_leading(self) -> bool:
        return self._parts.lease.is_trusted

    def run(self) -> None:
        """The loop. It outlives any error of a turn: it logs and goes on."""
        clock, parts = self._parts.clock, self._parts
        renew = Duty("renew", RENEW_S, self.renew)
        duties = (
            Duty("tick", parts.tick_s, self.tick),
            Duty("roll_up", ROLL_UP_S, self.roll_up),
            Duty("slo", SLO_S, parts.watchdog.check),
            Duty("budgets", BUDGETS_S, parts.watchdog.watch_budgets),
            Duty("incidents", INCIDENTS_S, parts.incidents.turn),
            Duty("care", CARE_S, self.care),
            *parts.duties,
        )
        due = dict.fromkeys((duty.name for duty in (renew, *duties)), clock.monotonic())

        def do_if_due(duty: Duty) -> None:
            if clock.monotonic() >= due[duty.name]:
                # The period is kept from the due time, so ticks do not drift; after a stall none is made up for.
                due[duty.name] = max(due[duty.name] + duty.period_s, clock.monotonic())
                self._guarded(duty.name, duty.work)

        while not self.is_stopping:
            for duty in duties:
                # Before each: a store that hangs makes every duty slow, and together they must not outlast the lease.
                do_if_due(renew)
                do_if_due(duty)
            self._guarded("orders", self.answer_orders)
            self.rest(max(0.0, min(ORDERS_S, min(due.values()) - clock.monotonic())))
        self._guarded("release", parts.lease.release)

    def _guarded(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except NotTheLeader as error:
            log.warning("stepped down", turn=what, reason=str(error))
        except DatabaseDown as error:
            log.error("database does not answer", turn=what, error=str(error))
        except Exception:
            log.exception("turn failed", turn=what)

    def renew(self) -> bool:
        """Renew or try to take the lease."""
        was_term = self._term
        leads = self._parts.lease.attempt()
        self._term = self._parts.lease.term
        if self._term != was_term:
            self._turn = _Turn()
            log.info("leads" if leads else "does not lead", term=self._term, holder=self._parts.lease.holder_seen)
        return leads

    def tick(self, *, actor: str | None = None) -> Outcome | None:
        """One turn: None where this process does not lead. `actor`: a person asked for it (spec A7)."""
        if not self._parts.lease.is_trusted:
            return None
        look = self._parts.reader.look()
        with self._parts.lease.fenced() as connection:
            outcome = self._decide_and_commit(look, connection, actor)
        self._publish(outcome)
        return outcome

    def _decide_and_commit(self, look: Look, connection: Connection, actor: str | None) -> Outcome:
        parts, beat = self._parts, self._beat()
        now = beat.now
        file_state = parts.flags_file.sync(connection, now)
        count_down_holds(connection, now, beat.elapsed_s)
        outside = self._take_outside_change(connection, look, now)
        reading = parts.reader.assemble(look, connection)
        memory = recall(connection, reading, parts.rules, beat)
        hold = broken_flags_hold(file_state) or longest_hold(open_holds(connection))
        context = self._context(reading, memory, hold, beat)
        decision = decide(reading.signals, context)
        why_not = _why_not(decision, hold, reading, is_enabled=bool(read_flags(connection)[AUTOSCALE_ENABLED]))
        applied = decision.is_step and why_not is None
        if applied:
            self._put_in_force(connection, now, decision, actor or ACTOR)
            memory = memory.after_step(decision, reading.signals)
        remember(connection, now, reading.fleet.name, memory)
        record_id = self._record(connection, reading, context, decision, applied, why_not, actor)
        self._promise(connection, reading, context, decision, record_id if applied else None, beat)
        if reading.fleet.running:
            add_usage(connection, now, reading.fleet.name, reading.fleet.running * beat.elapsed_s, parts.hourly_cost)
        note_work(connection, reading, beat)
        self._tell(connection, reading, decision, file_state, beat)
        parts.rollups.observe(reading)
        self._turn.last, self._turn.last_action = beat.monotonic, decision.action
        _log_step(decision, applied, why_not)
        return Outcome(decision, applied, why_not, reading, record_id, outside.kept)

    def _beat(self) -> Beat:
        """This tick's time; the first one of a term credits nothing for the gap."""
        clock, last = self._parts.clock, self._turn.last
        monotonic = clock.monotonic()
        elapsed_s = 0.0 if last is None else monotonic - last
        return Beat(clock.now(), monotonic, elapsed_s, self._parts.tick_s, is_first=last is None)

    def _take_outside_change(self, connection: Connection, look: Look, now: datetime) -> OutsideChange:
        """A count that somebody set by other means becomes the target before anything is decided."""
        parts = self._parts
        report = None if isinstance(look.report, str) else look.report
        found = take_outside_change(connection, now, DEFAULT_FLEET, report, parts.rules, parts.manual_hold_s)
        if found.is_new:
            parts.flags_file.sync(connection, now)
        return found

    def _context(self, reading: Reading, memory: RuleMemory, hold: Hold | None, beat: Beat) -> Context:
        """Everything that `decide` reads besides the signals."""
        return Context(
            fleet=reading.fleet,
            rules=self._parts.rules,
            calm_s=memory.quiet.accrued_s,
            hold=hold,
            wait=memory.wait,
            p95_step=memory.p95_step,
            depth_slope=self._turn.trail.see(beat, reading.signals.queue_depth.value),
        )

    def _put_in_force(self, connection: Connection, now: datetime, decision: Decision, actor: str) -> None:
        """The target moves, in the database and in the flags file."""
        write_flag(connection, now, WORKER_COUNT, decision.target, actor)
        self._parts.flags_file.sync(connection, now)
        mark_own_action(connection, now)

    def _promise(
        self, connection: Connection, reading: Reading, context: Context, decision: Decision, applied_id: int | None, beat: Beat
    ) -> None:
        """Score the promises that are open, and give a new one with a step up that was put in force."""
        trail, target = self._turn.trail, decision.current if applied_id is None else decision.target
        score_promises(connection, reading, trail, beat)
        if applied_id is not None and decision.action is Action.SCALE_UP:
            promise_clear_queue(connection, reading, context, decision, applied_id, beat.now)
        trail.leave(target, reading.fleet.paused_queues)

    def _tell(self, connection: Connection, reading: Reading, decision: Decision, file_state: FlagsFileState, beat: Beat) -> None:
        """Open and close episodes as this tick's causes have it, and enqueue their alerts."""
        parts = self._parts
        before = open_episodes(connection)
        already_open = {key: (row["severity"], row["summary"]) for key, row in before.items()}
        found = {**causes(reading, decision, file_state), **parts.watchdog.causes}
        for more in parts.causes:
            found.update(more())
        wanted = self._turn.watch.wanted(found, already_open, beat.monotonic)
        opened, closed = sync_episodes(connection, beat.now, wanted)
        if opened or closed:
            tell_episodes(connection, beat.now, opened, closed, before, open_episodes(connection))
        _log_episodes(opened, closed, wanted)

    def _record(
        self,
        connection: Connection,
        reading: Reading,
        context: Context,
        decision: Decision,
        applied: bool,
        why_not: str | None,
        actor: str | None,
    ) -> int:
        facts = {"kind": "apply" if actor else "tick", "actor": actor, "applied": applied, "why_not": why_not}
        return record_decision(
            connection,
            at=reading.measured_at,
            fleet=reading.fleet.name,
            term=self._parts.lease.term or 0,
            applied=applied,
            is_change=applied or decision.action is not self._turn.last_action,
            record=to_record(reading.signals, context, decision, **facts),
        )

    def _publish(self, outcome: Outcome) -> None:
        """Hand the target on each tick anew, so that a store that was emptied has it again."""
        term = self._parts.lease.term
        if term is None or not outcome.reading.fleet.is_scalable:
            return  # nobody follows, and nothing is written to a broker that is the team's own
        target = outcome.decision.target if outcome.applied else outcome.decision.current
        if outcome.kept_outside is not None:
            target = outcome.kept_outside
        try:
            self._parts.fleet.publish(target, term)
            self._parts.fleet.publish_paused(list(outcome.reading.fleet.paused_queues))
        except StoreDown as error:
            log.warning("target not handed on", target=target, error=str(error))

    def answer_orders(self) -> None:
        """Do what web processes asked the leader for."""
        if not self._parts.lease.is_trusted:
            return
        with self._parts.database.read() as connection:
            waiting = open_orders(connection)
        for order in waiting:
            if order["kind"] == "recover":
                self._parts.incidents.take_order(order)
                continue
            try:
                outcome = self.tick(actor=order["actor"])
            except StoreDown as error:
                answer: dict[str, Any] = {"error": str(error)}
            else:
                if outcome is None:
                    return
                answer = {"record_id": outcome.record_id, "applied": outcome.applied, "why_not": outcome.why_not}
            with self._parts.lease.fenced() as connection:
                answer_order(connection, order["id"], answer)

    def roll_up(self) -> None:
        """Keep the minutes that have ended; the store is read before the write lock is taken."""
        if not self._parts.lease.is_trusted:
            return
        with self._parts.database.read() as connection:
            spans = self._parts.rollups.spans(connection, self._parts.clock.now())
        minutes = self._parts.rollups.read(spans)
        if minutes:
            with self._parts.lease.fenced() as connection:
                self._parts.rollups.write(connection, minutes)

    def care(self) -> None:
        """Drop what has been kept long enough, and keep the database's log small."""
        if not self._parts.lease.is_trusted:
            return
        now = self._parts.clock.now()
        with self._parts.lease.fenced() as connection:
            purge_decisions(connection, now)
            purge_orders(connection, now)
            self._parts.rollups.purge(connection, now)
            purge_checks(connection, now)
            purge_episodes(connection, now)
            purge_changes(connection, now)
            purge_incidents(connection, now)
            purge_holds(connection, now)
            purge_deploys(connection, now)
            purge_promises(connection, now)
            purge_work(connection, now)
            for purge in self._parts.purges:
                purge(connection, now)
        self._parts.database.give_back_room()
        self._parts.database.watch_log()


def _why_not(decision: Decision, hold: Hold | None, reading: Reading, *, is_enabled: bool) -> str | None:
    """Why a decision is not put in force; None where it may be."""
    if hold is not None:
        return f"held by {hold.owner}: {hold.why}"
    if not reading.fleet.is_scalable:
        return "the fleet's workers are the team's own (fleet kind none): advice only"
    if not is_enabled:
        return "observing: AUTOSCALE_ENABLED is false"
    if not decision.is_step:
        return "no step was decided"
    return None


def _log_step(decision: Decision, applied: bool, why_not: str | None) -> None:
    if decision.is_step:
        reason = "; ".join(reason.text for reason in decision.reasons if reason.votes)
        step = {"action": decision.action.value, "current": decision.current, "target": decision.target}
        log.info("step", **step, applied=applied, reason=reason, why_not=why_not)


def _log_episodes(opened: list[str], closed: list[str], wanted: Causes) -> None:
    for key in opened:
        log.warning("episode opened", episode=key, summary=wanted[key][1])
    for key in closed:
        log.info("episode closed", episode=key)
