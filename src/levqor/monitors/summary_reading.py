"""Reads everything that a summary is made of from the database and the backups' folder; no service need run.

A part that cannot be read is missing with its reason, and spoils no other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import Connection

from levqor.domain.backups import Backup
from levqor.domain.decisions import Action
from levqor.domain.errors import LevqorError
from levqor.domain.flags import AUTOSCALE_ENABLED, WORKER_COUNT
from levqor.domain.incidents import IncidentState
from levqor.domain.schedule import RunState
from levqor.domain.signals import Signals
from levqor.domain.spending import Category, day_start
from levqor.domain.summary import Period, SummaryKind
from levqor.domain.summary_facts import (
    ActivitySeen,
    BackupSeen,
    BudgetSeen,
    DaySeen,
    DeadSeen,
    DecisionsSeen,
    ForecastSeen,
    IncidentSeen,
    Missing,
    MoneySeen,
    ScheduleSeen,
    ServiceSeen,
    StepSeen,
    TroubleSeen,
    VerificationSeen,
)
from levqor.monitors.budget_alerts import COSTS
from levqor.monitors.costs import CostDesk
from levqor.monitors.records import inputs_of
from levqor.monitors.retention import RetentionDesk
from levqor.monitors.rollups import merge, quantile_ms
from levqor.monitors.slo_watchdog import Objectives, error_budgets
from levqor.policies.scaling import Context
from levqor.policies.spend_guard import Spend
from levqor.policies.summary import Gathered
from levqor.policies.verdict import Facts
from levqor.store.database import Database
from levqor.store.decisions import list_decisions
from levqor.store.episodes import open_episodes
from levqor.store.flags import read_flags
from levqor.store.holds import open_holds
from levqor.store.incidents import list_incidents
from levqor.store.ledger import ledger_revision, spend_between
from levqor.store.periods import changes_between, incidents_between, moves_between, runs_between
from levqor.store.rollups import RESOLUTIONS, floor_to, list_rollups
from levqor.store.schedule import known_since
from levqor.store.verifications import latest_verification

T = TypeVar("T")
FRESH = timedelta(minutes=2)
"""A leader writes a decision each tick, at least once a minute: after this nobody leads."""
LATEST_MOVES = 5
OPEN_INCIDENTS_MOST = 1_000
ACTIVITY_DAYS = 15
SPARK_DAYS = 14
DAY = timedelta(days=1)
DRAWN = {"hour": 24, "day": 7}
"""So many roll-ups are drawn of each width."""
TROUBLE = (RunState.FAILED, RunState.TIMED_OUT, RunState.LOST, RunState.MISSED)
NOTHING_MEASURED = Missing("no minute of this time was measured")


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked; `bootstrap` hands it in. `last_backup` raises LevqorError where the folder cannot be read."""

    database: Database
    objectives: Objectives
    costs: CostDesk
    retention: RetentionDesk
    last_backup: Callable[[], Backup | None]
    is_advice_only: bool


@dataclass(frozen=True, slots=True)
class _Now:
    """The newest decision's reading, if a leader is at work."""

    signals: Signals
    context: Context
    action: str
    is_fresh: bool


def gather(sources: Sources, period: Period) -> Gathered:
    """Everything of one period. Raises DatabaseDown where the database itself does not answer."""
    reader = _Reader(sources, period)
    with sources.database.read() as connection:
        now = reader.now(connection)
    money = _part(reader.money)
    return Gathered(
        verdict=reader.verdict(now, money),
        service=_part(reader.service),
        budgets=_part(reader.budgets),
        incidents=_part(reader.incidents),
        decisions=_part(reader.decisions),
        money=money,
        activity=_part(reader.activity),
        dead=_part(lambda: reader.dead(now)),
        backup=_part(reader.backup),
        verification=_part(reader.verification),
        schedule=_part(reader.schedule),
        days=_part(lambda: reader.days(money)) if period.kind is SummaryKind.WEEKLY else None,
    )


def _part(question: Callable[[], T | Missing]) -> T | Missing:
    try:
        return question()
    except LevqorError as error:
        return Missing(str(error))


class _Reader:
    """Questions about one period."""

    def __init__(self, sources: Sources, period: Period) -> None:
        self._sources, self._period = sources, period
        self._read = sources.database.read

    # Am I fine?

    def now(self, connection: Connection) -> _Now | None:
        rows = list_decisions(connection, limit=1, changes=False)
        if not rows:
            return None
        signals, context = inputs_of(rows[0])
        is_fresh = self._period.end - datetime.fromisoformat(rows[0]["at"]) < FRESH
        return _Now(signals, context, str(rows[0]["decision"]["action"]), is_fresh)

    def verdict(self, now: _Now | None, money: MoneySeen | Missing) -> Facts:
        """As the dashboard judges, of what the database holds; nothing of it is taken for present once no leader renews it."""
        with self._read() as connection:
            episodes = open_episodes(connection).values()
            ongoing = list_incidents(connection, OPEN_INCIDENTS_MOST, open_only=True)
            hold = next(iter(open_holds(connection)), None)
            target = int(read_flags(connection)[WORKER_COUNT])
        seen = now if now is not None and now.is_fresh else None
        return Facts(
            leads=seen is not None,
            pages=tuple(episode["summary"] for episode in episodes if episode["severity"] == "page"),
            tickets=tuple(episode["summary"] for episode in episodes if episode["severity"] != "page"),
            open_incidents=len(ongoing),
            escalated=sum(incident["state"] == IncidentState.ESCALATED for incident in ongoing),
            unknown=() if seen is None else tuple(_unknown(seen)),
            is_frozen=seen is not None and seen.action == Action.FREEZE,
            hold=None if hold is None else f"held by {hold['owner']}: {hold['why']}",
            target=target,
            running=None if seen is None else seen.context.fleet.running,
            depth=None if seen is None else seen.signals.queue_depth.value,
            oldest_wait_s=None if seen is None else seen.signals.oldest_wait_s.value,
            dead=None if seen is None else seen.signals.dead.value,
            spent_share=self._spent_share(money),
        )

    def _spent_share(self, money: MoneySeen | Missing) -> float | None:
        """Today's guarded spend over the limit."""
        limit = self._sources.costs.rules.daily_limit
        if isinstance(money, Missing) or limit is None:
            return None
        return float(self._sources.costs.today()["guarded_today"]) / float(limit)

    # What was promised

    def service(self) -> ServiceSeen | Missing:
        weekly = self._period.kind is SummaryKind.WEEKLY
        fine, coarse = ("hour", "day") if weekly else ("minute", "hour")
        start, end = self._period.start, self._period.end
        steps = _steps(coarse, end)
        with self._read() as connection:
            rows = [data for _start, data in list_rollups(connection, fine, start, end)]
            drawn = dict(list_rollups(connection, coarse, steps[0], end))
        if not rows:
            return NOTHING_MEASURED
        whole = merge(rows)
        http, probes = whole["http"], whole["probes"]
        return ServiceSeen(
            requests=http["total"],
            p99_ms=quantile_ms(http, 0.99),
            error_rate=_share(http["failed"], http["total"]),
            availability=_share(probes["total"] - probes["failed"], probes["total"]),
            minutes=whole["minutes"],
            expected_minutes=round(self._period.kind.span / timedelta(minutes=1)),
            budgets=(),
            requests_by=tuple(drawn[step]["http"]["total"] if step in drawn else None for step in steps),
            p99_by=tuple(quantile_ms(drawn[step]["http"], 0.99) if step in drawn else None for step in steps),
        )

    def budgets(self) -> Sequence[BudgetSeen]:
        objectives = self._sources.objectives
        found = error_budgets(self._sources.database, objectives, self._period.end)
        return [
            BudgetSeen(name, text, found[name]["budget_left"], tuple(_burn(rule) for rule in found[name]["alerts"]))
            for name, text in objectives.texts.items()
        ]

    def incidents(self) -> Sequence[IncidentSeen]:
        with self._read() as connection:
            rows = incidents_between(connection, self._period.start, self._period.end)
        return [
            IncidentSeen(
                id=row["id"],
                cause=row["cause"],
                is_open=row["state"] != IncidentState.CLOSED,
                is_escalated=row["escalated_at"] is not None,
                opened_at=row["opened_at"],
                closed_at=row["closed_at"],
                recoveries=tuple(_recovery(found) for found in row["recoveries"]),
            )
            for row in rows
        ]

    def decisions(self) -> DecisionsSeen | Missing:
        start, end = self._period.start, self._period.end
        with self._read() as connection:
            changes = changes_between(connection, start, end)
            moves = moves_between(connection, start, end, LATEST_MOVES)
            is_acting = bool(read_flags(connection)[AUTOSCALE_ENABLED])
            has_any = bool(changes) or bool(list_decisions(connection, limit=1, changes=False))
        if not has_any:
            return Missing("no autopilot has decided anything yet", is_unknown=False)
        counts = {
            (action, applied): sum(change.action == action and change.applied is applied for change in changes)
            for action in (Action.SCALE_UP, Action.SCALE_DOWN)
            for applied in (True, False)
        }
        return DecisionsSeen(
            mode="advice" if self._sources.is_advice_only else "act" if is_acting else "observe",
            ups=counts[Action.SCALE_UP, True],
            downs=counts[Action.SCALE_DOWN, True],
            wanted_ups=counts[Action.SCALE_UP, False],
            wanted_downs=counts[Action.SCALE_DOWN, False],
            freezes=sum(change.action == Action.FREEZE for change in changes),
            latest=tuple(_move(row) for row in moves),
        )

    # What it costs, and who came

    def money(self) -> MoneySeen | Missing:
        desk, period = self._sources.costs, self._period
        rules = desk.rules
        with self._read() as connection:
            if not rules.has_price and ledger_revision(connection) == 0:
                return Missing("nothing that costs is set: WORKER_HOURLY_COST, COST_CONSTANTS, a source's key", is_unknown=False)
            amounts = {name: self._spent(connection, period.start, period.end, [name]) for name in Category}
            before = self._spent(connection, period.start - period.kind.span, period.start, COSTS)
        today = desk.today()
        unread = today["unknown"]
        return MoneySeen(
            currency=rules.currency,
            spent=sum((amounts[name] for name in COSTS), Decimal(0)),
            before=before or None,
            by_category=tuple((name.value, amounts[name]) for name in Category if name in COSTS),
            revenue=amounts[Category.REVENUE],
            limit=rules.daily_limit,
            guard=today["guard"]["text"],
            is_frozen=today["guard"]["spend"] == Spend.FROZEN,
            forecast=_part(self._forecast),
            unread=tuple(unread),
            stale=tuple(name for name, source in today["sources"].items() if source["is_stale"] and name not in unread),
        )

    def _spent(self, connection: Connection, start: datetime, end: datetime, categories: Any) -> Decimal:
        return spend_between(connection, start, end, categories, self._sources.costs.rules.currency)

    def _forecast(self) -> ForecastSeen:
        told = self._sources.costs.forecast()
        budget = told["budget"] or {}
        return ForecastSeen(
            total=told["forecast_next_30d"],
            low=told["confidence_low"],
            high=told["confidence_high"],
            low_data=told["low_data"],
            above_limit_on=told["limit_breach_date"],
            budget_key=budget.get("key"),
            budget_used_up_on=budget.get("used_up_on"),
        )

    def activity(self) -> ActivitySeen | Missing:
        told = self._sources.retention.retention(ACTIVITY_DAYS)
        days = told["metrics"]
        if told["history_from"] is None or not days[0]["is_recorded"]:
            return Missing("no activity of a whole day has been recorded yet", is_unknown=False)
        recorded = [day["dau"] if day["is_recorded"] else None for day in days]
        last, week = days[0], days[7]
        return ActivitySeen(
            day=date.fromisoformat(last["day"]),
            zone=told["zone"],
            dau=last["dau"],
            day_before=recorded[1],
            week_before=recorded[7],
            wau=last["wau"] if last["wau_complete"] else None,
            wau_before=week["wau"] if week["wau_complete"] else None,
            mau=last["mau"] if last["mau_complete"] else None,
            daily=tuple(reversed(recorded[:SPARK_DAYS])),
        )

    # What lies about, what was proven

    def dead(self, now: _Now | None) -> DeadSeen:
        weekly = self._period.kind is SummaryKind.WEEKLY
        resolution = "day" if weekly else "hour"
        start, end = self._period.start, self._period.end
        steps = _steps(resolution, end)
        with self._read() as connection:
            rows = dict(list_rollups(connection, resolution, steps[0], end))
            fine = [data for _start, data in list_rollups(connection, "hour" if weekly else "minute", start, end)]
        signal = now.signals.dead if now is not None and now.is_fresh else None
        why = "no autopilot reads the queues now" if signal is None else signal.detail
        return DeadSeen(
            now=None if signal is None or signal.value is None else int(signal.value),
            why_unknown=why,
            died=sum(data["jobs"].get("dead", 0) for data in fine) if fine else None,
            over_time=tuple(rows[step]["gauges"].get("dead") if step in rows else None for step in steps),
        )

    def backup(self) -> BackupSeen | Missing:
        found = self._sources.last_backup()
        if found is None:
            return Missing("no backup was ever made: levqor backup create", is_unknown=False)
        return BackupSeen(found.at, found.size, found.verified)

    def verification(self) -> VerificationSeen | Missing:
        with self._read() as connection:
            found = latest_verification(connection)
        if found is None:
            return Missing("nothing was verified yet: levqor verify --suite integrity", is_unknown=False)
        report = found["report"] or {}
        failed = tuple(report.get("failed", ())) or ((str(report["error"]),) if "error" in report else ())
        return VerificationSeen(found["at"], found["suite"], found["state"], failed)

    def schedule(self) -> ScheduleSeen | Missing:
        with self._read() as connection:
            if not known_since(connection):
                return Missing("no autopilot has looked after the schedule yet", is_unknown=False)
            runs = runs_between(connection, self._period.start, self._period.end)
        troubles: dict[tuple[str, RunState], TroubleSeen] = {}
        for run in runs:
            if run.state in TROUBLE:
                key = run.job, run.state
                times = troubles[key].times + 1 if key in troubles else 1
                troubles[key] = TroubleSeen(run.job, run.state.value, times, run.at, run.exit_code)
        return ScheduleSeen(sum(run.state is RunState.DONE for run in runs), tuple(troubles.values()))

    def days(self, money: MoneySeen | Missing) -> Sequence[DaySeen]:
        """The last 7 whole UTC days, the oldest first."""
        today = self._period.end.astimezone(UTC).date()
        wanted = [today - n * DAY for n in range(7, 0, -1)]
        begin, end = day_start(wanted[0]), day_start(today)
        users = self._users_by_day()
        with self._read() as connection:
            measured = {start.date(): data["http"] for start, data in list_rollups(connection, "day", begin, end)}
            changes = [change for change in changes_between(connection, begin, end) if change.applied]
            spent = {} if isinstance(money, Missing) or money.unread else {day: self._spent_on(connection, day) for day in wanted}
        steps = [(change.at.date(), change.action) for change in changes]
        return [
            DaySeen(
                day=day,
                requests=measured[day]["total"] if day in measured else None,
                p99_ms=quantile_ms(measured[day], 0.99) if day in measured else None,
                error_rate=_share(measured[day]["failed"], measured[day]["total"]) if day in measured else None,
                ups=steps.count((day, Action.SCALE_UP)),
                downs=steps.count((day, Action.SCALE_DOWN)),
                spent=spent.get(day),
                users=users.get(day.isoformat()),
            )
            for day in wanted
        ]

    def _spent_on(self, connection: Connection, day: date) -> Decimal:
        """The sum of a whole UTC day: its first moment counts, the next day's does not."""
        moment = timedelta(microseconds=1)
        return self._spent(connection, day_start(day) - moment, day_start(day + DAY) - moment, COSTS)

    def _users_by_day(self) -> Mapping[str, int]:
        told = _part(lambda: self._sources.retention.retention(8))
        if isinstance(told, Missing):
            return {}
        return {day["day"]: day["dau"] for day in told["metrics"] if day["is_recorded"]}


def _unknown(now: _Now) -> list[str]:
    return sorted({*now.signals.unknown_names(), *(["running"] if now.context.fleet.running is None else [])})


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _steps(resolution: str, end: datetime) -> list[datetime]:
    """The starts of the roll-ups that a past is drawn from: as many as are over, since one that has only begun would look like a fall."""
    width, count = RESOLUTIONS[resolution][0], DRAWN[resolution]
    last = floor_to(resolution, end.astimezone(UTC))
    return [last - n * width for n in range(count, 0, -1)]


def _burn(rule: Mapping[str, Any]) -> str:
    return f"burning {rule['factor']:g} times too fast or more over {rule['long']} and {rule['short']}"


def _recovery(found: Any) -> str:
    who = "automatic recovery" if found.is_automatic else "recovery by hand"
    return f"{who}: {str(found.verified or found.state).replace('_', ' ')}"


def _move(row: Mapping[str, Any]) -> StepSeen:
    voted = [reason["text"] for reason in row["reasons"] if reason["votes"]]
    return StepSeen(row["at"], row["action"], row["applied"], row["current"], row["target"], voted[0] if voted else "")
