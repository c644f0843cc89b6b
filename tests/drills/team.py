"""A team's own queue and its own `rq worker`s, which know nothing of Levqor; how they are run depends on the fleet's kind."""

import os
import shlex
import sys
from pathlib import Path

import redis
from rq import Queue
from tests.drills import witness
from tests.drills.stack import ROOT, Stack

from levqor.agent.journal import Journal
from levqor.host import ProcessIdentity
from levqor.lab.process_manager import Manager, furnish

QUEUE = "high"
STOP_TIMEOUT_S = 60.0


def worker_command(url: str) -> list[str]:
    """As the team begins a worker, in its own environment."""
    return [sys.executable, "-m", "rq.cli", "worker", "-w", "levqor.rq.Worker", "--url", url, QUEUE, "default"]


class Team:
    """Its broker, its jobs, and its workers under one kind of fleet."""

    def __init__(self, folder: Path, kind: str, broker_url: str) -> None:
        self.folder, self.kind, self.url = folder, kind, broker_url
        self._client = redis.Redis.from_url(broker_url)
        self._manager = Manager(folder)

    def settings(self) -> dict[str, str]:
        """Of a Levqor beside this team."""
        common = {"FLEET_KIND": self.kind, "BROKER_URL": self.url, "QUEUES": f"{QUEUE},default", "INTAKE_ENABLED": "false"}
        if self.kind != "slots":
            return common
        command = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.join(worker_command(self.url))}"
        place = furnish(self.folder, command, restart="on-failure", stop_timeout_s=STOP_TIMEOUT_S)
        return {**common, "SLOTS_UNIT": "rq-worker@{slot}.service", "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}

    def up_words(self) -> list[str]:
        """What follows `levqor up`."""
        return ["--", *worker_command(self.url)] if self.kind == "agent" else []

    def enqueue(self, log: Path, job: str, seconds: float) -> None:
        Queue(QUEUE, connection=self._client).enqueue(witness.append, str(log), job, seconds, result_ttl=60)

    def serving(self, stack: Stack) -> int:
        """Workers that live and are not told to finish."""
        if self.kind == "slots":
            return sum(facts["state"] in ("active", "activating") for facts in self._manager.slots().values())
        entries = Journal(stack.data / "agent.json").read().children
        return sum(entry.role == "worker" and not entry.is_draining and entry.identity.is_alive() for entry in entries)

    def processes(self, stack: Stack) -> dict[str, ProcessIdentity]:
        """The workers' processes."""
        if self.kind != "slots":
            return stack.children("worker")
        found = {slot: ProcessIdentity.of(facts["pid"]) for slot, facts in self._manager.slots().items() if facts["pid"]}
        return {slot: identity for slot, identity in found.items() if identity is not None}

    def end(self, stack: Stack) -> bool:
        """Have every slot stopped; True once none is up."""
        for slot in self._manager.slots() if self.kind == "slots" else ():
            self._manager.stop(slot)
        self._client.close()
        return not self.processes(stack) if self.kind == "slots" else True
