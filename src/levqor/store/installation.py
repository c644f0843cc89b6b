"""What was settled once for the whole installation."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update

from levqor.domain.errors import UsageError
from levqor.store.schema import installation

ZONE = "analytics_tz"


def settled_zone(connection: Connection) -> str | None:
    """The zone that activity's days are counted in; None before the first event."""
    return connection.execute(select(installation.c.value).where(installation.c.name == ZONE)).scalar()


def check_zone(connection: Connection, zone: ZoneInfo) -> bool:
    """Is this the zone of the days that were counted? False: none were yet. Raises UsageError for another one."""
    settled = settled_zone(connection)
    if settled is not None and settled != zone.key:
        raise UsageError(
            f"ANALYTICS_TZ is {zone.key}, but activity was counted in days of {settled}, and days cannot be moved to another zone: "
            f"set ANALYTICS_TZ={settled}, or drop the counted days with `levqor retention rezone` and bring the events in again"
        )
    return settled is not None


def settle_zone(connection: Connection, now: datetime, zone: ZoneInfo) -> None:
    """Settle on the zone with the first event. Raises UsageError where another one is settled."""
    if not check_zone(connection, zone):
        connection.execute(insert(installation).values(name=ZONE, value=zone.key, updated_at=now))


def move_zone(connection: Connection, now: datetime, zone: ZoneInfo) -> None:
    """Settle on another zone; no day may be left that was counted in the old one."""
    changed = connection.execute(update(installation).where(installation.c.name == ZONE).values(value=zone.key, updated_at=now))
    if changed.rowcount == 0:
        connection.execute(insert(installation).values(name=ZONE, value=zone.key, updated_at=now))
