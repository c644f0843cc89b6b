"""Incident response over a real store, a real broker and a real database; the agent and the dead letters are stand-ins."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis

from levqor.client.flush import Flusher, connect
from levqor.client.recorder import Recorder
from levqor.domain.dead_letters import DeadLetter, FlushOutcome, FlushPlan
from levqor.domain.errors import EngineDown
from levqor.domain.fleet import FleetKind, Worker, WorkerState
from levqor.domain.incidents import Call, Cause
from levqor.engines.rq import RqEngine
from levqor.fleets.agent import AgentFleet, AgentSeat, Heartbeat
from levqor.host import SystemClock
from levqor.monitors.incident_log import IncidentLog
from levqor.monitors.incident_response import LONGEST_TURN_S, IncidentResponse, ResponseParts, ResponseRules
from levqor.monitors.reading import Reader, Scope
from levqor.policies.slo import Standing
from levqor.store.database import Database
from levqor.store.flags import DEFAULT_FLEET as FLEET
from levqor.store.flags import FlagsFile, write_flag
from levqor.store.leases import Lease
from levqor.store.telemetry import Telemetry

BREACH = Cause("slo:1m", "12 of 60 requests failed", datetime(2026, 3, 1, tzinfo=UTC))


class RunningClock:
    """The real clock, which a test may set forward; the wall hand may also jump on its own."""

    def __init__(self) -> None:
        self._real, self._passed_s, self._jumped_s = SystemClock(), 0.0, 0.0

    def now(self) -> datetime:
        return self._real.now() + timedelta(seconds=self._passed_s + self._jumped_s)

    def monotonic(self) -> float:
        return self._real.monotonic() + self._passed_s

    def advance(self, seconds: float) -> None:
        self._passed_s += seconds

    def jump(self, seconds: float) -> None:
        self._jumped_s += seconds


class Witness:
    """Everything that was really done, one line each, written past whatever is tested."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def note(self, what: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")
            file.flush()

    @property
    def lines(self) -> list[str]:
        return self._path.read_text(encoding="utf-8").splitlines()


class StandinFlush:
    """Dead letters as a number in the store; a run moves them all."""

    def __init__(self, url: str, witness: Witness) -> None:
        self._store, self._witness = connect(url), witness

    def plan(self, scope: str, since: datetime | None, allow: frozenset[str]) -> FlushPlan:
        try:
            count = int(self._store.get("test:dead") or 0)
        except redis.RedisError as error:
            raise EngineDown("the broker does not answer") from error
        letter = DeadLetter("job", "default", "fail", "ValueError: no", since, 3, 0, 0, False)
        return FlushPlan(chosen_letters=(letter,) * count)

    def run(self, plan: FlushPlan, batch_id: str, stop: threading.Event, **_pace: Any) -> FlushOutcome:
        self._witness.note(f"flush {batch_id} {plan.chosen}")
        self._store.set("test:dead", 0)
        return FlushOutcome(moved=plan.chosen, finished=plan.chosen)


class StandinAgent:
    """An agent's seat: it obeys each command at once and says so in its heartbeat."""

    def __init__(self, url: str, witness: Witness, workers: int = 2) -> None:
        self._store = connect(url)
        self._seat = AgentSeat(self._store, "agent", FLEET)
        self._witness, self._next = witness, 100
        self.workers = {f"w{n}": self._pid() for n in range(workers)}
        self.web = {"web": self._pid()}
        self.is_stubborn = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "StandinAgent":
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(10)

    def beat(self) -> None:
        workers = tuple(Worker(name, "here", pid, WorkerState.IDLE, queues=("default",)) for name, pid in self.workers.items())
        self._seat.beat(Heartbeat("agent", workers, target_seen=len(workers), web=dict(self.web)))

    def _pid(self) -> int:
        self._next += 1
        return self._next

    def _run(self) -> None:
        while not self._done.wait(0.02):
            for command in self._seat.orders().commands:
                self._obey(command)
            self.beat()

    def _obey(self, command: dict[str, Any]) -> None:
        self._witness.note(f"{command['command']} {command.get('worker', '')}".strip())
        if self.is_stubborn:
            return
        if command["command"] == "rotate":
            self.web = {name: self._pid() for name in self.web}
        elif command["worker"] in self.workers:
            del self.workers[command["worker"]]
            self.workers[f"n{self._pid()}"] = self._pid()


class StandinHealth:
    """Says what the test says."""

    def __init__(self) -> None:
        self.now = Standing.BREACHED

    def standing(self) -> Standing:
        return self.now


class StandinReload:
    """The attached app's reload."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self.problem: str | None = None

    def run(self, stop: threading.Event) -> str | None:
        self._witness.note("reload")
        return self.problem


class Responding:
    """One process' incident response, its lease its own."""

    def __init__(
        self,
        database: Database,
        url: str,
        folder: Path,
        clock: RunningClock,
        name: str = "one",
        *,
        kind: FleetKind = FleetKind.AGENT,
        rules: ResponseRules | None = None,
        is_dead: Callable[[str], bool] = lambda _holder: False,
        wrap: Callable[[Any], Any] = lambda parts: parts,
    ) -> None:
        self.clock, self.database, self.folder = clock, database, folder
        self.store = connect(url)
        self.witness = Witness(folder / "witness")
        self.health = StandinHealth()
        self.lease = Lease(database, clock, name, is_dead=is_dead)
        self.flags_file = FlagsFile(folder / "flags.json", 1, 4)
        self.engine = RqEngine(url, clock=clock)
        scope = Scope(FLEET, kind, ("default",), slow_ms=40.0, expects_http=True)
        fleet = AgentFleet(self.store, FLEET)
        self.reader = Reader(scope, self.engine, Telemetry(self.store), fleet, database, clock)
        flush: Any = StandinFlush(url, self.witness)
        self.recorder = Recorder()
        self.recorder.announce("http")
        self.flusher = Flusher(self.recorder, url, f"web-{name}")
        self.parts = wrap(
            ResponseParts(
                reader=self.reader,
                fleet=fleet,
                flush=flush,
                reload=None,
                health=self.health,
                database=database,
                lease=self.lease,
                flags_file=self.flags_file,
                clock=clock,
                log=IncidentLog(folder),
                rules=rules or ResponseRules(each_worker_s=5.0, each_web_s=5.0),
            )
        )
        self.response = IncidentResponse(self.parts)

    def lead(self) -> None:
        """Take the lease; the grace after its own beginning is over."""
        assert self.lease.attempt()
        self.flusher.flush_once()

    def turn(self) -> None:
        assert self.lease.attempt()
        self.response.turn()

    def pass_time(self, seconds: float) -> None:
        """Time passes under this leader, turn by turn."""
        self.turn()
        while seconds > 0:
            step = min(seconds, LONGEST_TURN_S)
            self.clock.advance(step)
            self.turn()
            seconds -= step

    def settle(self) -> None:
        """A leader for long enough that nothing is taken for its own doing."""
        self.lead()
        self.pass_time(self.parts.rules.limits.own_action_grace_s)

    def set_flag(self, name: str, value: bool) -> None:
        with self.database.write() as connection:
            write_flag(connection, self.clock.now(), name, value, "ana")

    def watchdog_calls(self, breach: Cause = BREACH) -> dict[str, Any]:
        answer = self.response.recover(Call("watchdog", is_automatic=True, breach=breach))
        assert answer is not None
        return answer

    def wait(self) -> None:
        """Until the thread that carries a recovery out has ended."""
        walker = self.response._walker
        if walker is not None and walker.thread is not None:
            walker.thread.join(30)
            assert not walker.thread.is_alive()

    def log_lines(self) -> list[dict[str, Any]]:
        path = self.folder / "incidents.log"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
