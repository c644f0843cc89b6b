"""A worker process for RQ's queues that measures its jobs and loses none: `python -m levqor.client.rq --queues default`.

It claims a job and records its end in atomic steps (`levqor.client.rq_scripts`), so that wherever it or the broker is
killed, a job is either in a queue or held by exactly one worker. Jobs of Levqor's own follow Levqor's retries; other
jobs that are in the same queues as JSON are run as RQ would run them.
"""

import argparse
import ctypes
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import rq
import rq.defaults
import rq.job
import rq.utils
import rq.worker
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.worker_registration import clean_worker_registry

from levqor.client import jobs
from levqor.client import rq_scripts as steps
from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder
from levqor.client.rq_scripts import text

log = logging.getLogger("levqor")

BEAT_S = 5
FORGOTTEN_AFTER_S = 120
LOST_AFTER_S = 30
WATCH_S = 1.0
"""How long a look at an empty queue blocks: a pause, a stop or a lost broker is noticed after this at the latest."""

WATCH_MANY_S = 0.2
PAUSED_WAIT_S = 0.5
SOCKET_TIMEOUT_S = 5.0
RECORD_WITHIN_S = 900.0
"""The end of a job waits this long for a broker that is away; after that the job will be run again."""

SHUTDOWN_WITHIN_S = 5.0
HARD_STOP_AFTER_S = 10
"""A job that outlives its time limit by this (it holds the interpreter, or swallows the exception) is killed."""

MAINTENANCE_S = 60
ERROR_LENGTH = 500
POLL_S = 0.02
UNAVAILABLE = 69

_SIGNALS_OF_GROUP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1

RQ_PREFIX: str = getattr(rq.defaults, "RQ_KEY_PREFIX", steps.DEFAULT_PREFIX)
"""Of RQ's keys in this process: RQ 3 takes it from RQ_KEY_PREFIX when it is imported, earlier ones have only `rq`."""


class Job(rq.job.Job):
    """RQ's job, with Levqor's own facts beside it."""

    facts: Mapping[str, str] = {}

    def restore(self, raw_data: Mapping[bytes, bytes]) -> Any:
        self.facts = {text(key): text(value) for key, value in raw_data.items() if key.startswith(b"levqor_")}
        return super().restore(raw_data)

    @property
    def handler(self) -> str | None:
        """The handler's name; None for a job that is not Levqor's."""
        return self.facts.get(steps.HANDLER)

    @property
    def attempt(self) -> int:
        return int(self.facts.get(steps.ATTEMPTS, 0)) + 1


@dataclass(slots=True)
class Claim:
    """A job that this worker holds."""

    job: Job
    queue: rq.Queue
    execution: Execution
    waited_s: float | None
    began: float = 0.0
    ended: float | None = None
    error: str = ""
    outcome: str = ""

    @property
    def member(self) -> str:
        return f"{self.job.id}:{self.execution.id}"

    @property
    def ran_s(self) -> float:
        return (self.ended if self.ended is not None else time.monotonic()) - self.began

    def series(self, kind: str) -> tuple[str, ...]:
        return (kind, self.queue.name, self.job.handler or "other")


class Worker(rq.worker.Worker):
    """One process, one job at a time, each job in a child of its own."""

    job_class = Job

    def __init__(
        self, queues: Sequence[str], name: str, connection: redis.Redis, flusher: Flusher, handlers: Mapping[str, str] | None = None
    ) -> None:
        self._flusher = flusher
        self._recorder = flusher.recorder
        self._recorder.announce("job")
        self._steps = steps.Steps(connection, RQ_PREFIX)
        self._handlers = dict(handlers or {})
        self._claim: Claim | None = None
        self._is_watching = False
        self._beat_due = 0.0
        self._pause = threading.Event()
        self._identity = _identity()
        super().__init__(
            list(queues),
            name=name,
            connection=connection,
            serializer=JSONSerializer,
            job_monitoring_interval=BEAT_S,
            maintenance_interval=MAINTENANCE_S,
            worker_ttl=FORGOTTEN_AFTER_S - 60,
        )

    # Taking jobs

    @property
    def connection_timeout(self) -> int:
        return int(SOCKET_TIMEOUT_S)

    def check_for_suspension(self, burst: bool) -> None:
        """Claiming looks at `rq suspend` itself."""

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> tuple[Job, rq.Queue] | None:
        """The next job; blocks until there is one. None in burst mode, when there is none."""
        self.set_state("idle")
        trouble_s = 0.0
        while not self._stop_requested:
            try:
                self._beat_when_due()
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()
                open_queues = self._take()
                if self._claim is not None:
                    return self._claim.job, self._claim.queue
                if timeout is None:
                    return None
                self._watch(open_queues)
                trouble_s = 0.0
            except redis.RedisError as error:
                trouble_s = min(2.0, trouble_s * 2 or 0.1)
                self.log.warning("the broker does not answer (%s); next try in %.1f s", type(error).__name__, trouble_s)
                with self._interruptible():
                    self._pause.wait(trouble_s)
        raise StopRequested

    def _take(self) -> list[str]:
        """Claims a job, if there is one; else answers which queues may be watched."""
        kind, *answer = self._steps.run(steps.CLAIM, self.name, uuid.uuid4().hex, steps.LEASE_S, *self.queue_names())
        if text(kind) != "job":
            return [text(name) for name in answer]
        member, queue_name, waited, fields = answer
        self._state = "busy"
        job_id, _, execution_id = text(member).partition(":")
        queue = self.queue_class(text(queue_name), connection=self.connection, job_class=self.job_class, serializer=self.serializer)
        job = self.job_class(job_id, connection=self.connection, serializer=self.serializer)
        execution = Execution(execution_id, job_id, self.connection, worker_name=self.name)
        execution._job = job
        try:
            job.restore(dict(zip(fields[::2], fields[1::2], strict=True)))
        except Exception as error:
            self.log.exception("job %s cannot be read", job_id)
            unreadable = Claim(job, queue, execution, None)
            self._settle(unreadable, "hopeless", f"unreadable job: {type(error).__name__}", {})
            self._recorder.count((*unreadable.series("job"), unreadable.outcome))
            return []
        self._claim = Claim(job, queue, execution, float(waited) if waited else _waited_s(job))
        return []

    def _watch(self, open_queues: Sequence[str]) -> None:
        """Waits for a job without taking it: the head is moved onto itself."""
        with self._interruptible():
            if not open_queues:
                self._pause.wait(PAUSED_WAIT_S)
            for name in open_queues:
                key = self.queue_class.redis_queue_namespace_prefix + name
                span_s: Any = WATCH_S if len(open_queues) == 1 else WATCH_MANY_S
                if self.connection.blmove(key, key, span_s, "LEFT", "LEFT") is not None:
                    return

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """In here, where nothing can be lost, a stop need not wait."""
        self._is_watching = True
        try:
            if self._stop_requested:
                raise StopRequested
            yield
        finally:
            self._is_watching = False

    # Running a job

    @property
    def _held(self) -> Claim:
        if self._claim is None:
            raise RuntimeError("this worker holds no job")
        return self._claim

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        claim = self._held
        try:
            self.execution = claim.execution
            self.fork_work_horse(job, queue)
            exit_code = self._wait_for_child(claim)
            self._horse_pid = 0
            self._after(claim, exit_code)
        finally:
            self.execution = None
            self._claim = None
            self._state = "idle"

    def fork_work_horse(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """The child stays in the worker's process group: who kills the group kills the job as well."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _die_with(parent)
            os.environ["RQ_WORKER_ID"], os.environ["RQ_JOB_ID"] = self.name, job.id
            self.main_work_horse(job, queue)
            os._exit(0)
        self._horse_pid = pid

    def setup_work_horse_signals(self) -> None:
        """A signal to the whole group asks the worker to drain; the job goes on. What a job starts has the usual signals."""
        for signum in _SIGNALS_OF_GROUP:
            signal.signal(signum, lambda *_: None)

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        if self._horse_pid:
            try:
                os.kill(self._horse_pid, sig)
            except ProcessLookupError:
                self.log.debug("the child has ended already")

    def _wait_for_child(self, claim: Claim) -> int | None:
        """The child's exit code (negative: the signal that ended it); None where it had to be killed for outliving its limit."""
        limit_s = float(claim.job.timeout or self.queue_class.DEFAULT_TIMEOUT)
        claim.began = time.monotonic()
        while (exit_code := _exit_code(self._horse_pid, BEAT_S)) is None:
            if limit_s > 0 and claim.ran_s > limit_s + HARD_STOP_AFTER_S:
                self.kill_horse()
                self.wait_for_horse()
                return None
            if self._beat() == "taken":
                self.log.warning("job %s was given to another worker; this one stops it", claim.job.id)
                self.kill_horse()
        return exit_code

    def _after(self, claim: Claim, exit_code: int | None) -> None:
        """What the child could not record itself: it was killed, or left without a word."""
        if exit_code is None:
            claim.ended = time.monotonic()
            self._settle(claim, "failed", "JobTimeoutException: ran past its time limit and did not stop", {})
            self._count(claim)
            return
        outcome = text(self._insist(steps.LOSE, self.name, claim.queue.name, claim.member, 1))
        if outcome:
            self.log.warning("job %s lost its process (exit code %s): %s", claim.job.id, exit_code, outcome)
            self._recorder.count((*claim.series("job"), outcome))
            self._flusher.flush_once()

    # In the child

    def perform_job(self, job: rq.job.Job, queue: rq.Queue, *execution: Execution) -> bool:
        claim = self._held
        jobs.enter(jobs.CurrentJob(claim.job.id, claim.job.attempt, self._handlers))
        claim.began = time.monotonic()
        succeeded = bool(super().perform_job(job, queue, *execution))
        if not claim.outcome:
            claim.outcome = "succeeded" if succeeded else "failed"
        self._count(claim)
        self._flusher.flush_once()
        return succeeded

    def prepare_job_execution(self, job: rq.job.Job, remove_from_intermediate_queue: bool = False) -> None:
        """The claim has done it."""

    def handle_execution_ended(self, job: rq.job.Job, queue: rq.Queue, heartbeat_ttl: int) -> None:
        self._held.ended = time.monotonic()
        if self._held.job.handler is None:
            super().handle_execution_ended(job, queue, heartbeat_ttl)

    def handle_exception(self, job: rq.job.Job, *exc_info: Any) -> None:
        self._held.error = f"{exc_info[0].__name__}: {exc_info[1]}"
        super().handle_exception(job, *exc_info)

    def handle_job_success(self, **arguments: Any) -> None:  # type: ignore[override]  # RQ 2 hands no execution
        if self._held.job.handler is None:
            super().handle_job_success(**arguments)
        else:
            self._settle(self._held, "succeeded", "", {})

    def handle_job_failure(self, **arguments: Any) -> None:  # type: ignore[override]  # RQ 2 hands no execution
        claim = self._held
        if claim.job.handler is None:
            super().handle_job_failure(**arguments)
            return
        trace = arguments.get("exc_string", "")
        result = Result(
            claim.job.id, Result.Type.FAILED, self.connection, exc_string=trace, worker_name=self.name, serializer=self.serializer
        )
        self._settle(claim, "failed", claim.error, result.serialize())

    def _settle(self, claim: Claim, outcome: str, error: str, result: Mapping[str, Any]) -> None:
        """Records how an attempt ended, and waits for the broker as long as it takes: what is done is not to be done again."""
        answer = self._insist(
            steps.SETTLE,
            claim.queue.name,
            claim.member,
            outcome,
            error[:ERROR_LENGTH],
            self.name,
            f"{RQ_PREFIX}:results:{claim.job.id}",
            f"{max(0.0, claim.ran_s):.6f}",
            *steps.flat(result),
        )
        settled = text(answer[0])
        if settled == "fenced":
            # Either this very step was done and its answer lost, or the job is another worker's by now.
            settled = {"finished": "succeeded", "scheduled": "failed", "failed": "dead"}.get(text(answer[1]), "fenced")
        claim.outcome = settled

    def _count(self, claim: Claim) -> None:
        """One wait, one run, and what became of it: an attempt that raised is either failed (a retry is due) or dead."""
        failed = claim.outcome in ("failed", "dead")
        if claim.waited_s is not None:
            self._recorder.observe(claim.series("wait"), claim.waited_s * 1000, False)
        self._recorder.observe(claim.series("run"), claim.ran_s * 1000, failed)
        if claim.outcome != "fenced":
            self._recorder.count((*claim.series("job"), claim.outcome))

    # Being known to the broker

    def serialize(self) -> dict[str, Any]:
        return {**super().serialize(), steps.IDENTITY: self._identity, steps.LOST_AFTER_S: LOST_AFTER_S}

    def subscribe(self) -> None:
        """No listener: a thread beside a process that forks is trouble, and signals say all there is to say."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed to."""

    def procline(self, message: str) -> None:
        """The command line stays what the supervisor started."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """RQ's loop beats after each job; `_beat_when_due` does it often enough."""

    def set_state(self, state: str, pipeline: Any = None) -> None:
        self._state = str(getattr(state, "value", state))
        try:
            super().set_state(self._state, pipeline=pipeline)
        except redis.RedisError:
            self.log.debug("state not told; the next heartbeat will")

    def _beat_when_due(self) -> None:
        if time.monotonic() >= self._beat_due:
            self._beat()

    def _beat(self) -> str:
        """Says that this worker lives and holds its job, and sends what it measured."""
        self._beat_due = time.monotonic() + BEAT_S
        queue, member = (self._claim.queue.name, self._claim.member) if self._claim else ("", "")
        try:
            facts = steps.flat(self.serialize())
            answer = text(self._steps.run(steps.BEAT, self.name, FORGOTTEN_AFTER_S, queue, member, steps.LEASE_S, *facts))
        except redis.RedisError as error:
            self.log.warning("the broker does not take a heartbeat (%s)", type(error).__name__)
            answer = "unheard"
        self._flusher.flush_once()
        return answer

    def run_maintenance_tasks(self) -> None:
        """Old entries of finished and dead jobs. Abandoned ones are the agent's: RQ would count them as failed."""
        try:
            for queue in self.queues:
                for registry in (FinishedJobRegistry, FailedJobRegistry):
                    registry(queue=queue).cleanup()
                clean_worker_registry(queue)
        except redis.RedisError:
            self.log.debug("maintenance waits for the broker")
        self.last_cleaned_at = rq.utils.now()  # type: ignore[assignment]  # RQ declares None

    def _insist(self, step: str, *arguments: Any) -> Any:
        """Runs a step that must not be left out, however long the broker is away; gives up after RECORD_WITHIN_S, or soon once stopping."""
        began, wait_s = time.monotonic(), 0.05
        while True:
            try:
                return self._steps.run(step, *arguments)
            except redis.RedisError as error:
                limit_s = SHUTDOWN_WITHIN_S if self._stop_requested and not self._is_horse else RECORD_WITHIN_S
                if time.monotonic() - began > limit_s:
                    raise
                self.log.warning("the broker does not answer (%s); a job's end waits for it", type(error).__name__)
                self._pause.wait(wait_s)
                wait_s = min(2.0, wait_s * 2)

    # Ending

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _shutdown(self) -> None:
        """Drains: the job that runs is finished, no other one is taken."""
        self._stop_requested = True
        if self._is_watching:
            raise StopRequested
        try:
            self.set_shutdown_requested_date()  # type: ignore[no-untyped-call]
        except redis.RedisError:
            self.log.debug("draining, unknown to the broker")

    def register_death(self) -> None:
        """Whatever is still held (a second signal ends a job) goes back to its queue, and counts as no loss."""
        try:
            for _, queue, handler, outcome in self._insist(steps.GIVE_BACK, self.name, 0):
                self._recorder.count(("job", text(queue), text(handler) or "other", text(outcome)))
        except redis.RedisError:
            self.log.warning("the broker is away; whatever this worker held will be given back for it")
        self._flusher.close()


def _waited_s(job: Job) -> float | None:
    """For a job that RQ enqueued, by this host's clock."""
    return max(0.0, (rq.utils.now() - job.enqueued_at).total_seconds()) if job.enqueued_at else None


def _exit_code(pid: int, within_s: float) -> int | None:
    """How a child ended (negative: by which signal); None when it still runs after `within_s`."""
    try:
        _await_exit(pid, within_s)
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None


def _await_exit(pid: int, within_s: float) -> None:
    """Returns when the child has ended, or after `within_s`. Where the system offers no handle on a process, looks often."""
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            threading.Event().wait(POLL_S)
        return
    try:
        select.select([handle], [], [], within_s)
    finally:
        os.close(handle)


def _die_with(parent: int) -> None:
    """In the child: a job must not go on when its worker is killed, since it will be given to another one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _identity() -> str:
    """host/boot/pid/start mark of this process, as `levqor.host.ProcessIdentity` writes it; empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 (a magic link, which Path would resolve)
        # Field 22, counted from behind the process's name, which may hold anything.
        started = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""
    return f"{socket.gethostname()}/{boot}-{namespace}/{os.getpid()}/{started}"


def connect(url: str) -> redis.Redis:
    """A client whose retries are the worker's own: it knows which steps may wait and which may not."""
    return redis.Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=SOCKET_TIMEOUT_S, retry=Retry(NoBackoff(), 0), health_check_interval=0
    )


def _await_broker(client: redis.Redis) -> None:
    """A worker that is started while the broker is away waits for it. Raises AuthenticationError for a wrong password."""
    wait_s = 0.1
    while True:
        try:
            client.ping()
        except redis.AuthenticationError:
            raise
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("the broker does not answer (%s); next try in %.1f s", type(error).__name__, wait_s)
            threading.Event().wait(wait_s)
            wait_s = min(2.0, wait_s * 2)
        else:
            return


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m levqor.client.rq", description="Runs jobs of RQ's queues, one at a time.")
    parser.add_argument("--queues", default="default", help="queues in order of priority, comma-separated")
    parser.add_argument("--name", help="the worker's name; made up when left out")
    parser.add_argument("--handlers", default="", help="handlers by import path: name=package.module:function, comma-separated")
    parser.add_argument("--url-env", default="LEVQOR_REDIS_URL", help="the variable that holds the broker's URL")
    parser.add_argument("--telemetry-env", default="LEVQOR_REDIS_URL", help="the variable that holds the telemetry store's URL")
    parser.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    parser.add_argument("--burst", action="store_true", help="end when the queues are empty")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Works until it is told to stop."""
    parser = _arguments()
    options = parser.parse_args(argv)
    url = os.environ.get(options.url_env)
    if not url:
        parser.error(f"set {options.url_env} to the broker's URL")
    if os.environ.get("RQ_KEY_PREFIX", RQ_PREFIX) != RQ_PREFIX:
        parser.error("another RQ_KEY_PREFIX than `rq` needs RQ 3 or later: upgrade rq, or unset it")
    handlers = dict(pair.split("=", 1) for pair in options.handlers.split(",") if "=" in pair)
    queues = [name.strip() for name in options.queues.split(",") if name.strip()]
    name = options.name or f"levqor-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    client = connect(url)
    try:
        _await_broker(client)
        telemetry_url = os.environ.get(options.telemetry_env) or url
        # Where both are one server, a job's process needs one connection less.
        flusher = Flusher(Recorder(), telemetry_url if telemetry_url != url else lambda: client, name)
        Worker(queues, name, client, flusher, handlers).work(burst=options.burst, logging_level=options.log_level)
    except (redis.RedisError, ValueError) as error:
        sys.stderr.write(f"worker {name}: {error}\n")
        return UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
