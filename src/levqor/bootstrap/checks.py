"""Verifications of this installation."""

from typing import TYPE_CHECKING

from levqor.bootstrap.backups import backup_desk
from levqor.bootstrap.database import open_database
from levqor.bootstrap.processes import masker_of, nothing
from levqor.bootstrap.schedule import scheduled_jobs
from levqor.monitors.schedule_desk import ScheduleDesk
from levqor.monitors.verification import VerifyDesk
from levqor.ports import Clock
from levqor.settings import Configuration, Settings
from levqor.store.database import Database

if TYPE_CHECKING:
    from levqor.verify.integrity import Premises


def verify_desk(configuration: Configuration, database: Database, clock: Clock) -> VerifyDesk:
    """Verifications of this installation, each in a process of its own."""
    from levqor.agent.startup import passed_on
    from levqor.host_process import HostRunner

    return VerifyDesk(database, clock, HostRunner(passed_on(configuration), masker_of(configuration.settings)))


def verify_premises(settings: Settings, clock: Clock, *, is_local: bool) -> "Premises":
    """What a verification can look at on this machine; a database that is not there yet is not made by looking."""
    from levqor.verify.integrity import Premises

    is_there = is_local and (settings.database_url is not None or (settings.data / "levqor.db").exists())
    database = open_database(settings) if is_there else None
    verify_backup = backup_desk(settings, clock).verify_newest if is_there else None
    schedule_gaps = ScheduleDesk(scheduled_jobs(settings), database, clock, nothing).gaps if database is not None else None
    return Premises(database=database, logs=settings.logs, clock=clock, verify_backup=verify_backup, schedule_gaps=schedule_gaps)
