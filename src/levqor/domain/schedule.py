"""Scheduled jobs as data (spec T1): what runs when, in whose zone, for how long at most, and what becomes of a missed run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

UTC_ZONE = "UTC"
EVERYTHING = "*"
"""In SCHEDULE_OFF: every job."""
WATCHDOG = "watchdog"
"""The loop's own: it is listed with the others and cannot be left out."""


class CatchUp(StrEnum):
    """What becomes of a due time that nobody could keep, and of a run whose process was killed."""

    ONCE = "once"
    """It is caught up once, however many due times have passed."""
    SKIP = "skip"
    """It is reported missed; the next due time does its work too."""


class RunState(StrEnum):
    """Where a run is, or how it ended."""

    ASKED = "asked"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"
    """Its control plane was stopped, and the run with it."""
    LOST = "lost"
    """Whoever kept it died or fell silent."""
    MISSED = "missed"

    @property
    def is_open(self) -> bool:
        return self in (RunState.ASKED, RunState.RUNNING)

    @property
    def is_cut(self) -> bool:
        """Did it end through no fault of its own?"""
        return self in (RunState.STOPPED, RunState.LOST)


OPEN = (RunState.ASKED, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class Cron:
    """Times of the wall clock, in cron's fields; `day_of_week` also as `mon`, `tue-sun`."""

    hour: str
    minute: str
    day_of_week: str = "*"

    def __str__(self) -> str:
        return f"{self.minute} {self.hour} * * {self.day_of_week}"


@dataclass(frozen=True, slots=True)
class ByLoop:
    """Done by the leader's loop itself: listed, and never started from here."""

    def __str__(self) -> str:
        return "by the loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. `grace`: a run that takes longer is ended. `late_at_most`: how late a missed run may still be caught up; None: any time."""

    id: str
    summary: str
    trigger: Cron | ByLoop
    words: tuple[str, ...]
    """What it runs, after `levqor`."""
    zone: str = UTC_ZONE
    grace: timedelta = timedelta(minutes=10)
    catch_up: CatchUp = CatchUp.ONCE
    late_at_most: timedelta | None = None
    once_per_local_date: bool = False
    is_for_a_start: bool = False
    """Runs once as soon as it is known: until then nothing is known of what it reads."""
    off_because: str | None = None
    """None: it runs."""

    def __post_init__(self) -> None:
        if self.zone != UTC_ZONE and not self.once_per_local_date:
            raise ValueError(f"{self.id}: local times come twice or never when clocks change, so such a job is once per local date")

    @property
    def is_on(self) -> bool:
        return self.off_because is None and isinstance(self.trigger, Cron)


@dataclass(frozen=True, slots=True)
class Premises:
    """What of the installation decides which jobs run, and when."""

    analytics_zone: str = UTC_ZONE
    summary_zone: str = "Europe/London"
    has_cost_source: bool = False
    has_activity_sql: bool = False
    off: Collection[str] = ()


JOB_IDS = (
    "retention",
    WATCHDOG,
    "summary",
    "summary-weekly",
    "backup",
    "backup-cycle",
    "forecast",
    "integrity",
    "costs-sync",
    "activity-pull",
)


def standard_jobs(premises: Premises) -> Sequence[Job]:
    """Every job that Levqor has, those that are off with the reason."""

    def off(job: str, missing: str | None = None) -> str | None:
        return "SCHEDULE_OFF" if job in premises.off or EVERYTHING in premises.off else missing

    hour = timedelta(hours=1)
    return (
        Job(
            id="retention",
            summary="Counts the day's active users.",
            trigger=Cron("0", "5"),
            zone=premises.analytics_zone,
            words=("retention", "aggregate"),
            grace=hour / 2,
            once_per_local_date=True,
            off_because=off("retention"),
        ),
        Job(id=WATCHDOG, summary="Checks the objectives, every minute and every five.", trigger=ByLoop(), words=("slo",)),
        Job(
            id="summary",
            summary="Mails the daily summary.",
            trigger=Cron("9", "0"),
            zone=premises.summary_zone,
            words=("summary", "--type", "daily"),
            late_at_most=12 * hour,
            once_per_local_date=True,
            off_because=off("summary"),
        ),
        Job(
            id="summary-weekly",
            summary="Mails the weekly summary.",
            trigger=Cron("9", "5", "mon"),
            zone=premises.summary_zone,
            words=("summary", "--type", "weekly"),
            late_at_most=48 * hour,
            once_per_local_date=True,
            off_because=off("summary-weekly"),
        ),
        Job(
            id="backup",
            summary="Backs up Levqor's own data.",
            trigger=Cron("2", "0", "tue-sun"),
            words=("backup", "create"),
            grace=hour,
            off_because=off("backup"),
        ),
        Job(
            id="backup-cycle",
            summary="Backs up, verifies the copy, and drops old ones.",
            trigger=Cron("2", "0", "mon"),
            words=("backup", "cycle"),
            grace=hour,
            off_because=off("backup-cycle"),
        ),
        Job(
            id="forecast",
            summary="Forecasts the next 30 days' costs and keeps it.",
            trigger=Cron("2", "10", "mon"),
            words=("costs", "forecast", "--persist"),
            off_because=off("forecast"),
        ),
        Job(
            id="integrity",
            summary="Checks database, logs, backups and this schedule.",
            trigger=Cron("3", "0"),
            words=("verify", "--suite", "integrity"),
            grace=hour / 2,
            off_because=off("integrity"),
        ),
        Job(
            id="costs-sync",
            summary="Reads what was spent and earned from Stripe and OpenAI.",
            trigger=Cron("*", "7"),
            words=("costs", "sync"),
            grace=hour / 2,
            is_for_a_start=True,
            off_because=off("costs-sync", None if premises.has_cost_source else "neither STRIPE_SECRET_KEY nor OPENAI_ADMIN_KEY is set"),
        ),
        Job(
            id="activity-pull",
            summary="Pulls users and events from the team's own database.",
            trigger=Cron("*", "*/15"),
            words=("retention", "pull"),
            catch_up=CatchUp.SKIP,
            is_for_a_start=True,
            off_because=off(
                "activity-pull",
                None if premises.has_activity_sql else "neither ANALYTICS_USERS_SQL nor ANALYTICS_EVENTS_SQL is set",
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run's process ended; no exit code: nobody can say."""

    exit_code: int | None
    output: str
    timed_out: bool = False
