"""How the target becomes workers, by the fleet's kind."""

import shlex
from collections.abc import Callable, Iterable
from typing import Protocol

import redis

from levqor.bootstrap.processes import masker_of
from levqor.bootstrap.store import broker_url
from levqor.client.flush import connect
from levqor.domain.errors import EngineDown
from levqor.domain.fleet import Room, Worker
from levqor.engines.rq import RqEngine
from levqor.fleets.agent import AgentFleet, FleetReport
from levqor.fleets.external import ExternalFleet
from levqor.fleets.slot_commands import Acts, Asking, OwnCommands, SlotCommands, Units
from levqor.fleets.slots import Hands, Limits, SlotsFleet, SlotsParts
from levqor.fleets.slots_by_count import ByCount, CountCommands
from levqor.fleets.slots_by_number import ByNumber
from levqor.host import ProcessIdentity
from levqor.ports import Clock
from levqor.settings import Settings
from levqor.store.database import Database
from levqor.store.flags import DEFAULT_FLEET
from levqor.store.leases import Lease

SAMPLE_S = 10.0
"""How often the sizes of workers are measured."""

COUNT_WITHIN_S = 300.0
"""A count may need an image to be fetched."""


class PlaneFleet(Protocol):
    """The control plane's side of a fleet: what monitors call, and what it does beside them."""

    def report(self) -> FleetReport: ...
    def publish(self, target: int, term: int) -> None: ...
    def publish_paused(self, queues: list[str]) -> None: ...
    def restart(self, worker_name: str | None) -> int: ...
    def rotate(self) -> int: ...

    def start(self) -> None:
        """Begin what it does beside the tick."""
        ...

    def close(self) -> None:
        """End that; the workers stay as they are."""
        ...


def fleet_of(settings: Settings, engine: RqEngine, store: redis.Redis, database: Database, lease: Lease, clock: Clock) -> PlaneFleet:
    """The adapter of this installation's kind."""
    if settings.fleet_kind == "external":
        return ExternalFleet(engine, tuple(settings.queues))
    if settings.fleet_kind == "slots":
        return SlotsFleet(
            SlotsParts(
                name=DEFAULT_FLEET,
                hands=_hands(settings, engine, clock),
                engine=engine,
                database=database,
                lease=lease,
                clock=clock,
                room=_room(clock),
                tick_s=settings.tick_s,
            )
        )
    return AgentFleet(store, DEFAULT_FLEET, None if settings.broker_url is None else connect(broker_url(settings)))


def slot_commands(settings: Settings, clock: Clock) -> SlotCommands:
    """The process manager of the slots: systemd, or the team's own commands."""
    asking = Asking(clock, masker_of(settings))
    if settings.slots_unit is not None:
        return Units(settings.slots_unit, settings.workers_max, asking, settings.slots_user)
    return OwnCommands(settings.slots_start or "", settings.slots_stop or "", settings.slots_list or "", asking)


def _hands(settings: Settings, engine: RqEngine, clock: Clock) -> Hands:
    identity = ProcessIdentity.current()
    limits = Limits(settings.workers_max, settings.start_timeout_s, frozenset(settings.queues))
    if settings.slots_scale is None:
        # A stop command may end only once the worker has: after its job, if that is long.
        acts = Acts(clock, masker_of(settings), settings.drain_grace_s + settings.start_timeout_s)
        return ByNumber(slot_commands(settings, clock), acts, limits, identity.boot_id, identity.host, clock)

    def look_again() -> list[Worker] | None:
        try:
            return engine.workers()
        except EngineDown:
            return None

    commands = CountCommands(settings.slots_scale, shlex.split(settings.slots_list or ""), Asking(clock, masker_of(settings)))
    return ByCount(commands, Acts(clock, masker_of(settings), COUNT_WITHIN_S), limits, identity.boot_id, clock, look_again)


def _room(clock: Clock) -> Callable[[Iterable[int]], Room | None]:
    """Memory for one more worker on this host, where the slots' processes are; sizes are sampled now and then."""
    from levqor.agent.room import WorkerSizes, measure

    sizes, sampled_at = WorkerSizes(), [clock.monotonic() - SAMPLE_S]

    def room(pids: Iterable[int]) -> Room | None:
        if clock.monotonic() - sampled_at[0] >= SAMPLE_S:
            sampled_at[0] = clock.monotonic()
            sizes.sample(pids)
        return measure(sizes)

    return room
