"""Who was active."""

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from levqor.bootstrap.database import database_alone
from levqor.domain.errors import UsageError
from levqor.host import SystemClock
from levqor.monitors.activity_pull import ActivityPull
from levqor.monitors.retention import RetentionDesk
from levqor.ports import Clock
from levqor.settings import Configuration, Settings
from levqor.store.database import Database


def retention_desk(settings: Settings, database: Database, clock: Clock) -> RetentionDesk:
    """Who was active, in this installation's zone."""
    return RetentionDesk(database, clock, ZoneInfo(settings.analytics_tz))


@contextmanager
def retention_alone(configuration: Configuration) -> Iterator[RetentionDesk]:
    """The same for a command that needs no running service. Raises DatabaseDown, SchemaError."""
    with database_alone(configuration.settings) as database:
        yield retention_desk(configuration.settings, database, SystemClock())


def activity_pull(settings: Settings, desk: RetentionDesk) -> ActivityPull:
    """What pulls from the team's own database. Raises UsageError where none is named."""
    url = settings.analytics_database_url
    if url is None or (settings.analytics_events_sql is None and settings.analytics_users_sql is None):
        raise UsageError("there is nothing to pull: set ANALYTICS_DATABASE_URL, and ANALYTICS_EVENTS_SQL or ANALYTICS_USERS_SQL")
    users_sql, events_sql = settings.analytics_users_sql, settings.analytics_events_sql
    return ActivityPull(desk, SystemClock(), url.get_secret_value(), users_sql, events_sql)
