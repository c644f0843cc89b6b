"""What runs when, and what runs it."""

from collections.abc import Sequence

from levqor.bootstrap.processes import is_surely_gone, masker_of
from levqor.domain.schedule import Job, standard_jobs
from levqor.domain.schedule import Premises as SchedulePremises
from levqor.monitors.scheduler import Scheduler, SchedulerParts
from levqor.ports import Clock
from levqor.settings import Configuration, Settings
from levqor.store.database import Database
from levqor.store.leases import Lease


def scheduled_jobs(settings: Settings) -> Sequence[Job]:
    """Every scheduled job of this installation, those that are off among them."""
    return standard_jobs(
        SchedulePremises(
            analytics_zone=settings.analytics_tz,
            summary_zone=settings.summary_tz,
            has_cost_source=settings.stripe_secret_key is not None or settings.openai_admin_key is not None,
            has_activity_sql=settings.analytics_users_sql is not None or settings.analytics_events_sql is not None,
            off=settings.schedule_off,
        )
    )


def scheduler_of(configuration: Configuration, database: Database, lease: Lease, clock: Clock, holder: str) -> Scheduler:
    """The leader's schedule; its runs have this process's settings, the command line's too."""
    from levqor.agent.startup import passed_on
    from levqor.host_process import HostRunner

    settings = configuration.settings
    runner = HostRunner(passed_on(configuration), masker_of(settings))
    return Scheduler(SchedulerParts(scheduled_jobs(settings), runner, database, lease, clock, holder, is_surely_gone))
