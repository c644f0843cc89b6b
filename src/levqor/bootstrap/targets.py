"""The target as those read it who run the workers."""

from levqor.bootstrap.database import open_flags
from levqor.bootstrap.processes import is_surely_gone
from levqor.domain.fleet import FleetKind
from levqor.monitors.operations import Operations
from levqor.monitors.target_desk import TargetDesk, TargetParts
from levqor.ports import Clock
from levqor.settings import Settings
from levqor.store.database import Database
from levqor.store.flags import DEFAULT_FLEET
from levqor.store.leases import LeaseWatch


def target_desk(settings: Settings, operations: Operations, database: Database, clock: Clock) -> TargetDesk:
    """What KEDA and HireFire ask."""
    return TargetDesk(
        TargetParts(
            fleet=DEFAULT_FLEET,
            kind=FleetKind(settings.fleet_kind),
            reading=operations.reading,
            database=database,
            flags_file=open_flags(settings),
            lease_watch=LeaseWatch(database, clock, is_surely_gone),
            clock=clock,
            tick_s=settings.tick_s,
        )
    )
