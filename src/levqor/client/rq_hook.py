"""What a team's own RQ worker tells of its jobs: `rq worker -w levqor.rq.Worker high default`, with RQ 1.16 to 3.

The process that runs a job (the work horse) writes two lines into a pipe: what begins, and how it ended. The worker reads them once
the job is over, counts, and has a thread carry the counts to Levqor's store. So neither a horse that is killed nor a store that
hangs makes a job wait, and no horse ever talks to the store. Every method here passes on whatever arguments its version of RQ has.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import rq

from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder
from levqor.client.rq_drain import Drained

if TYPE_CHECKING:
    from rq.job import Job

log = logging.getLogger("levqor")

STORE_VARIABLE = "LEVQOR_REDIS_URL"
"""Only this one: REDIS_URL is, in a team's worker, most often the broker, which Levqor does not write to."""

OTHER = "other"
TOLD_BYTES = 4096
"""Two lines are far shorter, and a write of so much into a pipe is never cut."""

LABEL_LENGTH = 120
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*)(?:\(|$)")

Told = dict[str, Any]


class Telemetry:
    """One worker's counts, and the thread that carries them."""

    def __init__(self, url: str, writer_id: str) -> None:
        self.recorder = Recorder()
        self.recorder.announce("job")
        self._flusher = Flusher(self.recorder, url, writer_id, goes_on_in_children=False)

    def start(self) -> None:
        self._flusher.start()

    def close(self) -> None:
        """The last counts go out, within about two seconds or not at all."""
        self._flusher.close()

    def count(self, queue: str, told: Told, outcome: str) -> None:
        """What became of a job; its wait and its run as well, where its process lived to tell them."""
        labels = (queue, str(told.get("function") or OTHER))
        self.recorder.count(("job", *labels, outcome))
        if "ran_ms" in told:
            if told.get("waited_ms") is not None:
                self.recorder.observe(("wait", *labels), float(told["waited_ms"]))
            self.recorder.observe(("run", *labels), float(told["ran_ms"]), outcome in ("failed", "dead"))


class Reported:
    """For a worker class of your own: `class Mine(levqor.rq.Reported, rq.Worker)`. It changes nothing but what Levqor hears."""

    _telemetry: Telemetry | None = None
    _pipe: tuple[int, int] | None = None
    _is_accounting = False
    _fate = ""
    _ended: float | None = None

    def work(self, *args: Any, **kwargs: Any) -> Any:
        """As RQ does; what is counted on the way is reported."""
        _quietly(self._begin_reporting)
        try:
            return super().work(*args, **kwargs)  # type: ignore[misc]
        finally:
            if self._telemetry is not None:
                _quietly(self._telemetry.close)

    def execute_job(self, job: "Job", queue: "rq.Queue", *args: Any, **kwargs: Any) -> Any:
        """In the worker: the job from its start until RQ is done with it."""
        if self._telemetry is None:
            return super().execute_job(job, queue, *args, **kwargs)  # type: ignore[misc]
        self._fate, self._ended, self._is_accounting = "", None, True
        _quietly(self._open_pipe)
        try:
            return super().execute_job(job, queue, *args, **kwargs)  # type: ignore[misc]
        finally:
            _quietly(lambda: self._account(job, queue))
            self._is_accounting = False

    def get_state(self) -> Any:
        """Busy until the job is counted as well: a signal to an idle worker ends whatever it is at by an exception."""
        return "busy" if self._is_accounting else super().get_state()  # type: ignore[misc]

    def perform_job(self, job: "Job", queue: "rq.Queue", *args: Any, **kwargs: Any) -> Any:
        """In the process that runs the job."""
        if self._pipe is None:
            return super().perform_job(job, queue, *args, **kwargs)  # type: ignore[misc]
        # Now, since a retry writes the time of its own queueing over it.
        _quietly(lambda: self._tell({"function": _function(job), "waited_ms": _waited_ms(job)}))
        self._fate, self._ended = "", None
        began = time.monotonic()
        succeeded = super().perform_job(job, queue, *args, **kwargs)  # type: ignore[misc]
        ended = self._ended or time.monotonic()
        outcome = self._fate or ("succeeded" if succeeded else "failed")
        _quietly(lambda: self._tell({"ran_ms": (ended - began) * 1000, "outcome": outcome}))
        return succeeded

    def handle_job_success(self, *args: Any, **kwargs: Any) -> Any:
        self._ended = time.monotonic()
        return super().handle_job_success(*args, **kwargs)  # type: ignore[misc]

    def handle_job_failure(self, job: "Job", *args: Any, **kwargs: Any) -> Any:
        """In the process that runs the job when it raised; in the worker when that process was killed."""
        self._ended = time.monotonic()
        _quietly(lambda: self._see_failure(job))
        return super().handle_job_failure(job, *args, **kwargs)  # type: ignore[misc]

    def handle_job_retry(self, *args: Any, **kwargs: Any) -> Any:
        """A job that returned a `Retry` (RQ 2 and later)."""
        self._ended = time.monotonic()
        _quietly(lambda: self._see_retry(**kwargs))
        return super().handle_job_retry(*args, **kwargs)  # type: ignore[misc]

    def _begin_reporting(self) -> None:
        url = os.environ.get(STORE_VARIABLE)
        if not url:
            log.warning("jobs are not reported: set %s to the address of Levqor's store", STORE_VARIABLE)
            return
        name = str(getattr(self, "name", ""))[:LABEL_LENGTH]
        telemetry = Telemetry(url, f"rq:{os.uname().nodename}/{os.getpid()}/{name}")
        telemetry.start()
        self._telemetry = telemetry

    def _open_pipe(self) -> None:
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)

    def _tell(self, told: Told) -> None:
        if self._pipe is not None:
            os.write(self._pipe[1], json.dumps(told).encode() + b"\n")

    def _account(self, job: "Job", queue: "rq.Queue") -> None:
        """What the job's process told; without its last word, what RQ made of its death."""
        told = self._take_told()
        outcome = told.get("outcome") or {"failed": "lost"}.get(self._fate, self._fate)
        if outcome and self._telemetry is not None:
            self._telemetry.count(queue.name, told or {"function": _described(job)}, outcome)

    def _take_told(self) -> Told:
        if self._pipe is None:
            return {}
        (reading, writing), self._pipe = self._pipe, None
        try:
            lines = os.read(reading, TOLD_BYTES).splitlines()
        except BlockingIOError:
            lines = []
        finally:
            os.close(reading)
            os.close(writing)
        return {name: value for line in lines for name, value in json.loads(line).items()}

    def _see_failure(self, job: "Job") -> None:
        """Will RQ try it again? As it decides itself, right after this."""
        is_stopped = getattr(self, "_stopped_job_id", None) == job.id
        self._fate = "failed" if (job.retries_left or 0) > 0 and not is_stopped else "dead"

    def _see_retry(self, job: "Job | None" = None, retry: Any = None, **_: Any) -> None:
        is_over = job is not None and retry is not None and (job.number_of_retries or 0) >= retry.max
        self._fate = "dead" if is_over else "failed"


class Worker(Drained, Reported, rq.Worker):
    """RQ's worker, reporting."""


class SimpleWorker(Drained, Reported, rq.SimpleWorker):
    """RQ's worker without a process for each job, reporting."""


def _quietly(act: Callable[[], object]) -> None:
    """Nothing that reporting does may harm a worker."""
    try:
        act()
    except Exception as error:
        log.warning("a job is not reported (%s); the worker is not affected", type(error).__name__)


def _waited_ms(job: "Job") -> float | None:
    """By this host's clock; RQ 1 keeps UTC without saying so."""
    since = job.enqueued_at
    if since is None:
        return None
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - since).total_seconds() * 1000)


def _function(job: "Job") -> str:
    """RQ opens the job now anyway; one that cannot be opened is described."""
    try:
        return str(job.func_name or OTHER)[:LABEL_LENGTH]
    except Exception:
        return _described(job)


def _described(job: "Job") -> str:
    found = _FUNCTION.match(str(job.description or ""))
    return found[1][:LABEL_LENGTH] if found else OTHER
