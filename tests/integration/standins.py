"""Stand-ins of one folder: an engine as the agent knows it, and worker processes that behave as a test says."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from levqor.domain.fleet import Worker, WorkerState

HOST = "this-host"
PROGRAM = Path(__file__).parent / "standin_worker.py"


class StandinEngine:
    """Jobs are files: in `queue`, in `running` with their worker's name, or lines of `done`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.given_back: list[tuple[str, bool]] = []
        for name in ("queue", "running", "gates"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def behave(self, how: str) -> None:
        (self.folder / "behaviour").write_text(how, encoding="ascii")

    def submit(self, job: str) -> None:
        (self.folder / "queue" / job).touch()

    def open_gate(self, job: str) -> None:
        (self.folder / "gates" / job).touch()

    def runner_of(self, job: str) -> str | None:
        return next((path.name.partition(".")[2] for path in (self.folder / "running").glob(f"{job}.*")), None)

    def workers(self) -> list[Worker]:
        found = []
        for path in self.folder.glob("*.worker"):
            try:
                facts = json.loads(path.read_text(encoding="ascii"))
            except FileNotFoundError:
                continue  # it left between the listing and the reading
            state = WorkerState.IDLE if facts["job"] is None else WorkerState.BUSY
            found.append(Worker(path.stem, HOST, facts["pid"], state, facts["job"]))
        return found

    def worker_command(self, name: str, queues: Sequence[str]) -> list[str]:
        return [sys.executable, str(PROGRAM), str(self.folder), name]

    def give_back(self, worker_name: str, *, interrupted: bool = False) -> str | None:
        (self.folder / f"{worker_name}.worker").unlink(missing_ok=True)
        self.given_back.append((worker_name, interrupted))
        for path in (self.folder / "running").glob(f"*.{worker_name}"):
            job = path.name.partition(".")[0]
            path.rename(self.folder / "queue" / job)
            return job
        return None

    def reap(self, is_dead: Callable[[Worker], bool] | None = None) -> list[str]:
        jobs = [self.give_back(worker.name) for worker in self.workers() if is_dead is not None and is_dead(worker)]
        return [job for job in jobs if job is not None]

    def promote_due(self, queues: Sequence[str]) -> int:
        return 0
