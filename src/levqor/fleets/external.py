"""The `external` fleet: others read the target and start workers; Levqor decides, counts who lives, and touches nobody."""

from levqor.domain.errors import EngineDown, StoreDown
from levqor.domain.fleet import WorkerState
from levqor.fleets.agent import FleetReport
from levqor.ports import Engine


class ExternalFleet:
    """What lives is what the engine lists for this fleet's queues; the target is handed out by HTTP, not from here."""

    def __init__(self, engine: Engine, queues: tuple[str, ...]) -> None:
        self._engine, self._queues = engine, frozenset(queues)

    def start(self) -> None:
        """Nothing: others follow by themselves."""

    def close(self) -> None:
        """Nothing: others follow by themselves."""

    def report(self) -> FleetReport:
        """Raises StoreDown when the broker does not answer: who lives is then unknown."""
        try:
            workers = [worker for worker in self._engine.workers() if worker.serves(self._queues)]
        except EngineDown as error:
            raise StoreDown(str(error)) from error
        states = [worker.state for worker in workers]
        apart = {state: states.count(state) for state in (WorkerState.STARTING, WorkerState.DRAINING, WorkerState.LOST)}
        return FleetReport(
            agents=0,
            workers=workers,
            running=len(workers) - sum(apart.values()),
            starting=apart[WorkerState.STARTING],
            draining=apart[WorkerState.DRAINING],
            room=None,
            deaths_10m=0,
            crash_looping=False,
            age_s=0.0,
            target_seen=None,
        )

    def publish(self, target: int, term: int) -> None:
        """Nothing: whoever follows the target reads it."""

    def publish_paused(self, queues: list[str]) -> None:
        """Nothing: these workers do not look for what is paused."""

    def restart(self, worker_name: str | None) -> int:
        """Nobody is told: workers are restarted where they are run."""
        return 0

    def rotate(self) -> int:
        """Nobody is told: web processes are the team's own too."""
        return 0
