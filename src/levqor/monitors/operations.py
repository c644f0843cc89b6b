"""What the API and the command line ask for: readings, what-ifs, and a person's acts. Answers are JSON-able."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from levqor.domain.errors import DatabaseDown, DependencyDown, GuardRefused, NotFound, StoreDown, UsageError
from levqor.domain.flags import AUTOSCALE_ENABLED, WORKER_COUNT, FlagsFileState, FlagValue
from levqor.domain.signals import Signal, Signals
from levqor.monitors.autoscale import broken_flags_hold
from levqor.monitors.judgement import read_p95_step
from levqor.monitors.reading import Fleet, Reader, Reading
from levqor.monitors.records import to_answer
from levqor.monitors.slo_watchdog import Watchdog
from levqor.monitors.wait_memory import read_wait, with_leaders_flow
from levqor.policies.flags import check_flag
from levqor.policies.p95_step import P95Step
from levqor.policies.scaling import Context, ScalingRules, decide
from levqor.policies.wait import WaitMemory
from levqor.ports import Clock
from levqor.store import decisions as decision_rows
from levqor.store import holds as hold_rows
from levqor.store import promises as promise_rows
from levqor.store.audit import list_changes, record_change
from levqor.store.database import Database
from levqor.store.deploys import deploys_between
from levqor.store.episodes import list_episodes
from levqor.store.flags import FlagsFile, flag_rows, read_flags, write_flag
from levqor.store.incidents import mark_own_action
from levqor.store.leases import LeaseWatch
from levqor.store.orders import place_order, read_answer, withdraw_order
from levqor.store.rollups import Counts, sum_counts
from levqor.store.timers import quiet_timer, read_timer

FRESH_S = 0.5
"""A reading younger than this is handed out as it is."""

USABLE_S = 1.5
"""An older one is still handed out while a newer one is read in the background; beyond this the asker waits."""

log = structlog.get_logger(__name__)

APPLY_WAIT_S = 10.0
LOOK_AGAIN_S = 0.1
CLOSES_WITHIN_S = 5.0
"""As long as a store, a broker and a database that hang together hold a reading up."""

MAX_HOLD_S = 31 * 86_400.0
DEPLOYS_BEFORE = timedelta(hours=1)
"""Deploys of so long before a moment are told with its decision."""

WHAT_IF = frozenset({"queue_depth", "p95_ms", "error_rate", "spend_last_24h", "forecast_next_30d", "calm_for_s"})


@dataclass(frozen=True, slots=True)
class OperationsParts:
    """What the operations work with; `bootstrap` hands it in."""

    reader: Reader
    fleet: Fleet
    database: Database
    flags_file: FlagsFile
    rules: ScalingRules
    clock: Clock
    watchdog: Watchdog
    manual_hold_s: float
    configuration: Mapping[str, Mapping[str, Any]]
    wake: Callable[[], None]
    lease_watch: LeaseWatch


@dataclass(frozen=True, slots=True)
class _Standing:
    """What decides in the database besides the target: flags, holds, the quiet timer, what the rules remember."""

    flags: dict[str, FlagValue]
    holds: list[dict[str, Any]]
    calm_s: float
    p95_step: P95Step
    wait: WaitMemory


def _standing(connection: Connection, fleet: str) -> _Standing:
    return _Standing(
        flags=read_flags(connection),
        holds=hold_rows.open_holds(connection),
        calm_s=read_timer(connection, quiet_timer(fleet)),
        p95_step=read_p95_step(connection, fleet),
        wait=read_wait(connection, fleet),
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """A reading that several askers share; `standing` None: the database did not answer."""

    at: float
    reading: Reading
    standing: _Standing | None
    flags_file: FlagsFileState


class Operations:
    """One per web process; thread-safe."""

    def __init__(self, parts: OperationsParts) -> None:
        self._parts = parts
        self._started_at, self._started = parts.clock.now(), parts.clock.monotonic()
        self._lock, self._reading_now = threading.Lock(), threading.Lock()
        self._kept: _Kept | None = None
        self._acts = 0
        self._closing = threading.Event()

    def close(self) -> None:
        """Nobody waits any more, and a reading under way has ended: its database may be closed."""
        self._closing.set()
        if self._reading_now.acquire(timeout=CLOSES_WITHIN_S):
            self._reading_now.release()

    # Readings

    def reading(self) -> Reading:
        """Everything measured, at most one and a half seconds ago; threads share it."""
        return self._recent().reading

    def _recent(self) -> "_Kept":
        kept, now = self._kept, self._parts.clock.monotonic()
        if kept is not None and now - kept.at <= FRESH_S:
            return kept
        if kept is not None and now - kept.at <= USABLE_S:
            if self._reading_now.acquire(blocking=False):
                self._begin_reading()
            return kept
        with self._reading_now:
            newer = self._kept
            return newer if newer is not None and newer is not kept else self._read()

    def _begin_reading(self) -> None:
        try:
            threading.Thread(target=self._read_behind, name="reading", daemon=True).start()
        except RuntimeError:
            # No thread to be had now: what is kept is still usable, and the next asker tries again.
            self._reading_now.release()
            log.warning("no thread for a reading", exc_info=True)

    def _read_behind(self) -> None:
        try:
            self._read()
        except Exception:
            log.warning("reading failed", exc_info=True)
        finally:
            self._reading_now.release()

    def _read(self) -> "_Kept":
        acts, at = self._acts, self._parts.clock.monotonic()
        look = self._parts.reader.look()
        file_state = self._parts.flags_file.look()
        try:
            with self._parts.database.read() as connection:
                reading = self._parts.reader.assemble(look, connection)
                standing = _standing(connection, reading.fleet.name)
        except DatabaseDown as error:
            reading, standing = self._parts.reader.without_database(look, str(error)), None
        kept = _Kept(at, reading, standing, file_state)
        with self._lock:
            # What a person changed meanwhile is not in it.
            self._kept = kept if acts == self._acts else None
        return kept

    def dryrun(self, what_if: Mapping[str, float]) -> dict[str, Any]:
        """The decision now, or what it would be if; changes nothing. Raises DatabaseDown, UsageError."""
        unknown = set(what_if) - WHAT_IF
        if unknown:
            raise UsageError(f"{', '.join(sorted(unknown))}: no such what-if; there are {', '.join(sorted(WHAT_IF))}")
        kept = self._recent()
        standing = kept.standing
        if standing is None:
            raise DatabaseDown(kept.reading.problems["database"])
        hold = broken_flags_hold(kept.flags_file) or hold_rows.longest_hold(standing.holds)
        context = Context(
            fleet=kept.reading.fleet,
            rules=self._parts.rules,
            calm_s=what_if.get("calm_for_s", standing.calm_s),
            hold=hold,
            what_if=frozenset(what_if),
            p95_step=standing.p95_step,
            wait=standing.wait,
        )
        # Under another rule the memory is no leader's: it may be of days ago, when the rule was `wait`.
        knows_flow = self._parts.rules.name == "wait" and self._leader()["leads"]
        measured = with_leaders_flow(kept.reading.signals, standing.wait) if knows_flow else kept.reading.signals
        decision = decide(_with(measured, what_if, self._parts.rules), context)
        return {
            **decision.as_dict(),
            "mode": _mode(standing.flags, hold is not None),
            "held": hold is not None,
            "what_if": dict(what_if),
            "measured_at": kept.reading.measured_at.isoformat(),
        }

    def status(self) -> dict[str, Any]:
        """Everything at a glance; unknown figures are null and named."""
        kept = self._recent()
        reading = kept.reading
        answer: dict[str, Any] = {
            "fleet": reading.fleet.name,
            "fleet_kind": reading.fleet.kind.value,
            "queues": list(reading.fleet.queues),
            "paused_queues": list(reading.fleet.paused_queues),
            "running": reading.fleet.running,
            "starting": reading.fleet.starting,
            "draining": reading.fleet.draining,
            "signals": reading.signals.as_dict(),
            "advice": reading.advice,
            "problems": reading.problems,
            "leader": self._leader(),
            "measured_at": reading.measured_at.isoformat(),
            "uptime_s": round(self._parts.clock.monotonic() - self._started, 1),
        }
        unknown = reading.signals.unknown_names() + (["running"] if reading.fleet.running is None else [])
        return {**answer, **self._status_from_database(kept), "unknown": sorted(set(unknown))}

    def _status_from_database(self, kept: "_Kept") -> dict[str, Any]:
        file_state, standing = kept.flags_file, kept.standing
        flags_answer: dict[str, Any] = {"state": file_state.state, "error": file_state.error, "values": None}
        if standing is None:
            nothing = dict.fromkeys(("holds", "target", "episodes", "last_decision", "promises"))
            return {"mode": "unknown", "flags": flags_answer, **nothing}
        with self._parts.database.read() as connection:
            episodes = list_episodes(connection, open_only=True)
            last = decision_rows.list_decisions(connection, limit=1, changes=False)
            promises = promise_rows.score(connection)
        return {
            "mode": _mode(standing.flags, bool(standing.holds) or file_state.is_broken),
            "holds": [_hold(hold, self._parts.clock.now()) for hold in standing.holds],
            "flags": {**flags_answer, "values": standing.flags},
            "target": kept.reading.fleet.target,
            "episodes": episodes,
            "last_decision": to_answer(last[0]) if last else None,
            "promises": promises,
        }

    def queue_health(self) -> dict[str, Any]:
        """Depth, waits and workers of the fleet's queues (spec E3)."""
        reading = self.reading()
        depth, oldest = reading.signals.queue_depth, reading.signals.oldest_wait_s
        figures: dict[str, Any] = {
            "depth": None if reading.queues is None else sum(queue.depth for queue in reading.queues),
            "oldest_age_s": oldest.value,
            "running": None if reading.queues is None else sum(queue.running for queue in reading.queues),
            "dead": None if reading.queues is None else sum(queue.dead for queue in reading.queues),
            "workers": None if reading.workers is None else [_worker(worker.as_dict()) for worker in reading.workers],
        }
        unknown = [name for name, value in figures.items() if value is None and (name != "oldest_age_s" or depth.is_unknown)]
        queues = None if reading.queues is None else [queue.as_dict() for queue in reading.queues]
        return {**figures, "queues": queues, "unknown": unknown, "advice": reading.advice, "measured_at": reading.measured_at.isoformat()}

    def uptime(self) -> dict[str, Any]:
        """Since when this process serves, and availability as the probes saw it over an hour, a day and 30 days."""
        now = self._parts.clock.now()
        answer: dict[str, Any] = {
            "started_at": self._started_at.isoformat(),
            "uptime_s": round(self._parts.clock.monotonic() - self._started, 1),
            "now": self.reading().signals.availability.as_dict(),
        }
        spans = {"1h": ("minute", timedelta(hours=1)), "24h": ("minute", timedelta(hours=24)), "30d": ("hour", timedelta(days=30))}
        with self._parts.database.read() as connection:
            counts = {name: sum_counts(connection, resolution, now - span, now, 0) for name, (resolution, span) in spans.items()}
        availability = {name: _availability(found) for name, found in counts.items()}
        return {**answer, "availability": availability, "unknown": [name for name, value in availability.items() if value is None]}

    def ready(self) -> dict[str, Any]:
        """Do the dependencies answer?"""
        reading = self.reading()
        checks = {
            "database": _check(reading.problems.get("database")),
            "store": _check(reading.problems.get("http")),
            "broker": _check(reading.problems.get("queues")),
            "leader": _check(None if self._leader()["leads"] else "no autopilot leads"),
        }
        return {"ok": all(check["ok"] for check in checks.values()), "checks": checks}

    def _leader(self) -> dict[str, Any]:
        try:
            return dict(self._parts.lease_watch.leader())
        except DatabaseDown as error:
            return {"holder": None, "term": None, "still_s": None, "leads": False, "problem": str(error)}

    def slo(self) -> dict[str, Any]:
        """Objectives, checks, streaks and error budgets (spec W). Raises DatabaseDown."""
        return self._parts.watchdog.answer()

    # Acts

    def apply(self, dry_run: bool, actor: str) -> dict[str, Any]:
        """Decide on measured signals and have the fleet follow (spec A7). Raises DependencyDown when no leader takes it."""
        if dry_run:
            return {**self.dryrun({}), "applied": False, "why_not": "dry run"}
        before = self.reading().report
        with self._parts.database.write() as connection:
            number = place_order(connection, self._parts.clock.now(), "apply", {}, actor)
        self._parts.wake()
        answer = self._wait_for(lambda: self._answer(number), APPLY_WAIT_S)
        if answer is None:
            with self._parts.database.write() as connection:
                withdrawn = withdraw_order(connection, number)
            answer = None if withdrawn else self._answer(number)
        if answer is None:
            raise DependencyDown("no autopilot took the order within 10 s: is one running? (`levqor doctor`)")
        if "error" in answer:
            raise DependencyDown(str(answer["error"]))
        with self._parts.database.read() as connection:
            record = decision_rows.decision_by_id(connection, int(answer["record_id"]))
        if record is None:
            raise NotFound("the decision's record has gone")
        result = to_answer(record)
        after = self._wait_for_workers(result["target"]) if result["applied"] else None
        return {**result, "workers_before": _living(before), "workers_after": _living(before) if after is None else after}

    def _answer(self, number: str) -> dict[str, Any] | None:
        with self._parts.database.read() as connection:
            return read_answer(connection, number)

    def _wait_for_workers(self, target: int) -> int | None:
        """How many workers live once the fleet has followed, or after 10 s."""
        self._wait_for(lambda: self._settled(target) or None, APPLY_WAIT_S)
        try:
            return self._parts.fleet.report().running
        except StoreDown:
            return None

    def _settled(self, target: int) -> bool:
        try:
            report = self._parts.fleet.report()
        except StoreDown:
            return False
        return report.running == target and report.starting == 0

    def _wait_for(self, question: Callable[[], Any], within_s: float) -> Any:
        deadline = self._parts.clock.monotonic() + within_s
        while True:
            answer = question()
            if answer is not None or self._parts.clock.monotonic() >= deadline or self._closing.wait(LOOK_AGAIN_S):
                return answer

    def scale(self, count: int | None, delta: int | None, owner: str, why: str, for_s: float | None) -> dict[str, Any]:
        """Set the target by hand; a manual hold keeps it for `for_s` seconds. Raises UsageError out of bounds, GuardRefused."""
        if (count is None) == (delta is None):
            raise UsageError("give a count or a delta, one of them")
        for_s = _hold_span(self._parts.manual_hold_s if for_s is None else for_s)
        if not self.reading().fleet.is_scalable:
            raise GuardRefused("the fleet's workers are the team's own (fleet kind none): Levqor does not scale them")
        now = self._parts.clock.now()
        with self._parts.database.write() as connection:
            before = int(read_flags(connection)[WORKER_COUNT])
            wanted = count if count is not None else before + (delta or 0)
            target = check_flag(WORKER_COUNT, wanted, self._parts.rules.min_workers, self._parts.rules.max_workers)
            write_flag(connection, now, WORKER_COUNT, target, owner)
            hold_id = hold_rows.place_hold(connection, now, hold_rows.MANUAL, owner, why or f"scaled to {target} by hand", for_s)
        self._forget_and_wake()
        return {"before": before, "target": target, "hold_id": hold_id, **_expiry(now, for_s), "owner": owner}

    def scale_auto(self, owner: str) -> dict[str, Any]:
        """End what keeps a count, by hand or from outside: the autopilot goes on from the target as it is."""
        with self._parts.database.write() as connection:
            ended = hold_rows.end_count_holds(connection, self._parts.clock.now(), owner)
            target = read_flags(connection)[WORKER_COUNT]
        self._forget_and_wake()
        return {"ended": ended, "target": target}

    def hold(self, owner: str, why: str, for_s: float | None) -> dict[str, Any]:
        """No automatic act from now on, for `for_s` seconds or until released. Raises UsageError."""
        if not why.strip():
            raise UsageError("why: expected a reason, so that others know")
        span = None if for_s is None else _hold_span(for_s)
        now = self._parts.clock.now()
        with self._parts.database.write() as connection:
            hold_id = hold_rows.place_hold(connection, now, hold_rows.PERSON, owner, why, span)
            record_change(connection, now, owner, "hold", None, {"id": hold_id, "for_s": span}, why)
        self._forget_and_wake()
        return {"id": hold_id, "owner": owner, "why": why, **_expiry(now, span)}

    def release(self, owner: str, hold_id: int | None) -> dict[str, Any]:
        """End one hold or all. Raises NotFound for one that is not in force."""
        now = self._parts.clock.now()
        with self._parts.database.write() as connection:
            ended = hold_rows.end_holds(connection, now, owner, hold_id=hold_id)
            if hold_id is not None and not ended:
                raise NotFound(f"no hold {hold_id} is in force")
            record_change(connection, now, owner, "release", None, {"id": hold_id, "ended": ended})
        self._forget_and_wake()
        return {"ended": ended}

    def holds(self) -> list[dict[str, Any]]:
        """Every hold in force."""
        with self._parts.database.read() as connection:
            rows = hold_rows.open_holds(connection)
        return [_hold(row, self._parts.clock.now()) for row in rows]

    def pause(self, queue: str, owner: str, why: str) -> dict[str, Any]:
        """Workers take no job from this queue until it is resumed. Raises NotFound, Conflict, GuardRefused."""
        fleet = self.reading().fleet
        if queue not in fleet.queues:
            raise NotFound(f"no such queue in this fleet; it serves {', '.join(fleet.queues)}")
        if not fleet.can_pause:
            raise GuardRefused(f"the fleet's workers are the team's own (fleet kind {fleet.kind}): Levqor cannot pause them")
        now = self._parts.clock.now()
        with self._parts.database.write() as connection:
            hold_rows.pause_queue(connection, now, queue, owner, why)
            record_change(connection, now, owner, f"pause {queue}", note=why)
            names = [row["queue"] for row in hold_rows.paused(connection)]
        return {"queue": queue, "paused": True, "handed_on": self._hand_on_paused(names)}

    def resume(self, queue: str, owner: str) -> dict[str, Any]:
        """Raises NotFound where it is not paused."""
        now = self._parts.clock.now()
        with self._parts.database.write() as connection:
            if not hold_rows.resume_queue(connection, queue):
                raise NotFound("that queue is not paused")
            record_change(connection, now, owner, f"resume {queue}")
            names = [row["queue"] for row in hold_rows.paused(connection)]
        return {"queue": queue, "paused": False, "handed_on": self._hand_on_paused(names)}

    def _hand_on_paused(self, names: list[str]) -> bool:
        """Tell the workers now; the leader tells them again each tick."""
        self._forget_and_wake()
        try:
            self._parts.fleet.publish_paused(names)
        except StoreDown:
            return False
        return True

    def paused(self) -> list[dict[str, Any]]:
        with self._parts.database.read() as connection:
            return hold_rows.paused(connection)

    def flags(self) -> dict[str, Any]:
        """Every flag with its value, who changed it and when, and the state of the file."""
        state = self._parts.flags_file.look()
        with self._parts.database.read() as connection:
            values, rows = read_flags(connection), flag_rows(connection)
        details = {
            name: {"value": value, **{key: rows[name][key] if name in rows else None for key in ("updated_at", "updated_by")}}
            for name, value in values.items()
        }
        return {"state": state.state, "error": state.error, "file": str(self._parts.flags_file.path), "flags": details}

    def set_flag(self, name: str, value: object, actor: str) -> dict[str, Any]:
        """Turn a flag. Raises UsageError for a wrong name, type or bound."""
        checked: FlagValue = check_flag(name, value, self._parts.rules.min_workers, self._parts.rules.max_workers)
        with self._parts.database.write() as connection:
            before = read_flags(connection)[name]
            write_flag(connection, self._parts.clock.now(), name, checked, actor)
        self._forget_and_wake()
        return {"name": name, "before": before, "value": checked}

    def restart(self, worker: str | None, actor: str) -> dict[str, Any]:
        """Drain and replace one worker or, one after another, all. Raises NotFound, GuardRefused, StoreDown."""
        reading = self.reading()
        if not reading.fleet.takes_orders:
            kind = reading.fleet.kind
            raise GuardRefused(f"the fleet's workers are the team's own (fleet kind {kind}): restart them with your process manager")
        names = [found.name for found in reading.report.workers] if reading.report is not None else []
        if worker is not None and worker not in names:
            raise NotFound(f"no such worker; there are {', '.join(names) or 'none'}")
        asked = self._parts.fleet.restart(worker)
        if not asked:
            raise DependencyDown("nobody took the command: is an agent running, or does another process lead? (`levqor doctor`)")
        with self._parts.database.write() as connection:
            record_change(connection, self._parts.clock.now(), actor, "restart", None, {"worker": worker})
            mark_own_action(connection, self._parts.clock.now())
        return {"asked": asked, "workers": [worker] if worker else names}

    # Records

    def decisions(
        self, limit: int = 50, since: datetime | None = None, until: datetime | None = None, changes: bool = True
    ) -> list[dict[str, Any]]:
        """Decision records, the newest first."""
        with self._parts.database.read() as connection:
            rows = decision_rows.list_decisions(connection, limit=limit, since=since, until=until, changes=changes)
        return [to_answer(row) for row in rows]

    def decision_at(self, at: datetime) -> dict[str, Any] | None:
        """The decision in force at a moment, what became of its promise, and the deploys of the hour before."""
        with self._parts.database.read() as connection:
            row = decision_rows.decision_at(connection, at)
            if row is None:
                return None
            promise = promise_rows.promise_of_decision(connection, row["id"])
            deploys = deploys_between(connection, at - DEPLOYS_BEFORE, at)
        return {**to_answer(row), "promise": promise, "deploys": deploys}

    def action_counts(self) -> dict[str, int]:
        with self._parts.database.read() as connection:
            return decision_rows.count_actions(connection)

    def episodes(self, open_only: bool = True) -> list[dict[str, Any]]:
        with self._parts.database.read() as connection:
            return list_episodes(connection, open_only=open_only)

    def audit(self, limit: int) -> list[dict[str, Any]]:
        with self._parts.database.read() as connection:
            return list_changes(connection, limit)

    def configuration(self) -> dict[str, Any]:
        """Each setting's value and source; secrets are masked."""
        return {name: dict(entry) for name, entry in self._parts.configuration.items()}

    def _forget_and_wake(self) -> None:
        """What was read is out of date by a person's act."""
        with self._lock:
            self._acts += 1
            self._kept = None
        self._parts.wake()


def _mode(flags: Mapping[str, FlagValue], is_held: bool) -> str:
    if is_held:
        return "held"
    return "act" if flags[AUTOSCALE_ENABLED] else "observe"


def _with(signals: Signals, what_if: Mapping[str, float], rules: ScalingRules) -> Signals:
    """The signals with the given values in place of the measured ones, with evidence enough (spec A6)."""
    given = {name: Signal.of(value, detail="given") for name, value in what_if.items() if name != "calm_for_s"}
    if "p95_ms" in given:
        given["requests"] = Signal.of(rules.p95_min_requests, detail="given")
    return replace(signals, **given)


def _hold_span(for_s: float) -> float:
    if not 0 < for_s <= MAX_HOLD_S:
        raise UsageError(f"for_s: expected more than 0 and at most {MAX_HOLD_S:.0f} seconds")
    return for_s


def _expiry(now: datetime, for_s: float | None) -> dict[str, Any]:
    return {"remaining_s": for_s, "expires_at": None if for_s is None else (now + timedelta(seconds=for_s)).isoformat()}


def _hold(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    about = {name: row[name] for name in ("id", "kind", "owner", "why")}
    return {**about, "created_at": row["created_at"].isoformat(), **_expiry(now, row["remaining_s"])}


def _worker(worker: dict[str, Any]) -> dict[str, Any]:
    """A worker in the words of the contract: `job` is what it works on."""
    return {**worker, "job": worker["job_id"]}


def _availability(counts: Counts) -> float | None:
    """Share of probes that were answered; None without a probe."""
    return None if counts.probes == 0 else 1 - counts.probes_failed / counts.probes


def _check(problem: str | None) -> dict[str, Any]:
    return {"ok": problem is None, "detail": problem or "answers"}


def _living(report: Any) -> int | None:
    return None if report is None else report.running
