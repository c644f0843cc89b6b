"""A team's own queue and RQ workers in a drill's scratch folder: Levqor stands beside them, and may go."""

import shlex
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from levqor.lab import witness
from levqor.lab.process_manager import Manager, command_of, furnish

QUEUE = "default"
STOP_TIMEOUT_S = 60.0
END_WITHIN_S, LOOK_S = 15.0, 0.1

Begin = Callable[[str, list[str]], object]
"""Begins a child of the scratch folder by name and command."""


@dataclass(frozen=True, slots=True)
class Team:
    """Its broker, its jobs, its workers: `kind` is who runs them."""

    kind: str
    folder: Path
    url: str

    @property
    def worker_command(self) -> list[str]:
        return [sys.executable, "-m", "rq.cli", "worker", "-w", "levqor.rq.Worker", "--url", self.url, QUEUE]

    def settings(self) -> dict[str, Any]:
        """Of a Levqor beside this team."""
        common = {"fleet_kind": self.kind, "broker_url": self.url, "queues": [QUEUE], "intake_enabled": False}
        if self.kind != "slots":
            return common
        furnish(self.folder, shlex.join(self.worker_command), restart="on-failure", stop_timeout_s=STOP_TIMEOUT_S)
        words = {"slots_start": "start {slot}", "slots_stop": "stop {slot}", "slots_list": "list"}
        return {**common, **{name: command_of(self.folder, word) for name, word in words.items()}}

    @property
    def up_words(self) -> tuple[str, ...]:
        """What follows `levqor up`."""
        return ("--", *self.worker_command) if self.kind == "agent" else ()

    def begin_workers(self, count: int, begin: Begin) -> None:
        """Where nobody but the team starts them."""
        for number in range(1, count + 1) if self.kind == "none" else ():
            begin(f"worker-{number}", self.worker_command)

    def end_workers(self) -> None:
        """Where neither Levqor nor the drill's own end ends them: asked, and waited for while they finish."""
        manager, pause, left = Manager(self.folder), threading.Event(), int(END_WITHIN_S / LOOK_S)
        for slot in manager.slots() if self.kind == "slots" else ():
            manager.stop(slot)
        while left > 0 and any(facts["pid"] for facts in manager.slots().values()):
            pause.wait(LOOK_S)
            left -= 1

    def enqueue(self, path: Path, seconds: float) -> tuple[str, str]:
        """A job of the witness's, as the team's app sends it: its word and its id. Raises redis.RedisError."""
        from rq import Queue

        word = uuid.uuid4().hex
        with redis.Redis.from_url(self.url) as client:
            job = Queue(QUEUE, connection=client).enqueue(witness.work, str(path), word, seconds, result_ttl=600)
        return word, str(job.id)

    def workers(self) -> frozenset[int]:
        """Process ids, by the broker's own list."""
        from rq import Worker

        with redis.Redis.from_url(self.url) as client:
            return frozenset(worker.pid for worker in Worker.all(connection=client) if worker.pid)
