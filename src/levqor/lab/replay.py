"""Plays arrivals as real requests against a running service: an open loop that says how late it was."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from levqor.domain.errors import DependencyDown, UsageError
from levqor.lab.recording import JobEnd, Posted, Recording, Sample
from levqor.lab.records import SeenDecision
from levqor.lab.traces import Arrival
from levqor.ports import Clock

IN_FLIGHT = 64
"""Requests under way at once; beyond it arrivals leave late, and the report says so."""
ASKING = 8
POST_TIMEOUT_S = 30.0
ASK_TIMEOUT_S = 5.0
SAMPLE_S = 1.0
DECISIONS_PER_LOOK = 200
NEVER_FAIL = frozenset({"sleep", "cpu"})
HANDLERS: dict[str, Callable[[float], dict[str, Any]]] = {
    "sleep": lambda length_s: {"seconds": round(length_s, 3)},
    "cpu": lambda length_s: {"seconds": round(length_s, 3)},
    "flaky": lambda _: {"fail_times": 1},
    "fail": lambda _: {},
}


def _ignore(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who hears of what while it happens."""

    posted: Callable[[Posted], None] = _ignore
    sampled: Callable[[Sample], None] = _ignore
    decided: Callable[[SeenDecision], None] = _ignore


@dataclass(frozen=True, slots=True)
class Target:
    """The service under load. `headers` carry the admin token where there is one, `job_headers` the key that may post jobs."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    job_headers: dict[str, str] = field(default_factory=dict)
    handler: str = "sleep"
    queue: str | None = None
    patience_s: float = 300.0
    """How long to wait for the last job after the last request."""
    linger_s: float = 0.0
    """How long to go on watching after the last job."""
    is_over: Callable[[Sample], bool] = lambda _: False
    """Ends the lingering early."""


class Player:
    """One replay."""

    def __init__(self, target: Target, clock: Clock, listeners: Listeners | None = None) -> None:
        if target.handler not in HANDLERS:
            raise UsageError(f"--handler: expected one of {', '.join(HANDLERS)}")
        self._target = target
        self._clock = clock
        self._listeners = listeners or Listeners()
        self._start = clock.monotonic()

    async def play(self, trace: str, arrivals: list[Arrival]) -> Recording:
        """Post every arrival at its time, sample each second, wait until the jobs have ended. Raises DependencyDown."""
        recording = Recording(trace, self._target.handler, self._clock.now(), [arrival.at_s for arrival in arrivals])
        limits = httpx.Limits(max_connections=IN_FLIGHT + ASKING, max_keepalive_connections=IN_FLIGHT)
        async with httpx.AsyncClient(base_url=self._target.url, limits=limits, timeout=ASK_TIMEOUT_S, trust_env=False) as client:
            await self._check(client)
            self._start = self._clock.monotonic()
            sampler = asyncio.create_task(self._sample_on(client, recording))
            try:
                await self._post_all(client, arrivals, recording)
                await self._wait_for_jobs(client, recording)
                await self._linger(recording)
            finally:
                sampler.cancel()
                with suppress(asyncio.CancelledError):
                    await sampler
            await self._hear_decisions(client, recording)
        return recording

    def _elapsed_s(self) -> float:
        return self._clock.monotonic() - self._start

    async def _check(self, client: httpx.AsyncClient) -> None:
        try:
            (await client.get("/status")).raise_for_status()
        except httpx.ConnectError as error:
            raise DependencyDown(f"no service answers at {self._target.url}; start it with `levqor up`") from error
        except httpx.HTTPError as error:
            raise DependencyDown(f"{self._target.url} does not answer as a service should: {error or type(error).__name__}") from error

    async def _post_all(self, client: httpx.AsyncClient, arrivals: list[Arrival], recording: Recording) -> None:
        places = asyncio.Semaphore(IN_FLIGHT)
        under_way: set[asyncio.Task[None]] = set()
        for arrival in arrivals:
            wait_s = arrival.at_s - self._elapsed_s()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            await places.acquire()
            task = asyncio.create_task(self._post(client, arrival, recording, places))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.gather(*under_way)

    async def _post(self, client: httpx.AsyncClient, arrival: Arrival, recording: Recording, places: asyncio.Semaphore) -> None:
        late_s = max(0.0, self._elapsed_s() - arrival.at_s)
        body: dict[str, Any] = {"handler": self._target.handler, "payload": HANDLERS[self._target.handler](arrival.length_s)}
        if self._target.queue is not None:
            body["queue"] = self._target.queue
        try:
            answer = await client.post("/api/v1/intake", json=body, headers=self._target.job_headers, timeout=POST_TIMEOUT_S)
            job_id = str(answer.json()["job_id"]) if answer.status_code == 202 else None
            posted = Posted(arrival.at_s, late_s, answer.status_code, job_id)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            posted = Posted(arrival.at_s, late_s, None, None, type(error).__name__)
        finally:
            places.release()
        recording.posted.append(posted)
        self._listeners.posted(posted)

    async def _sample_on(self, client: httpx.AsyncClient, recording: Recording) -> None:
        """A sample a second, counted from the start, so that a slow answer costs samples and moves none."""
        due_s = 0.0
        while True:
            sample = await self._sample(client)
            recording.samples.append(sample)
            self._listeners.sampled(sample)
            await self._hear_decisions(client, recording)
            due_s = max(due_s + SAMPLE_S, self._elapsed_s())
            await asyncio.sleep(max(0.0, due_s - self._elapsed_s()))

    async def _sample(self, client: httpx.AsyncClient) -> Sample:
        answer = await _document(client.get("/status", headers=self._target.headers))
        at_s = self._elapsed_s()
        return Sample(at_s) if answer is None else Sample.read(at_s, answer)

    async def _hear_decisions(self, client: httpx.AsyncClient, recording: Recording) -> None:
        if not recording.has_decisions:
            return
        last = recording.decisions[-1] if recording.decisions else None
        since = recording.started_at - timedelta(seconds=1) if last is None or last.at is None else last.at
        asked: dict[str, str | int] = {"limit": DECISIONS_PER_LOOK, "since": since.isoformat(), "changes": "true"}
        with suppress(httpx.HTTPError):
            answer = await client.get("/ops/autoscale/decisions", params=asked, headers=self._target.headers)
            recording.has_decisions = answer.status_code not in (401, 403)
            if answer.is_success:
                self._take_decisions(_rows(answer.json()), recording)

    def _take_decisions(self, rows: Iterable[dict[str, Any]], recording: Recording) -> None:
        known = {decision.number for decision in recording.decisions}
        new = [decision for decision in map(SeenDecision.read, rows) if decision.number not in known]
        for decision in sorted(new, key=lambda decision: decision.number or 0):
            recording.decisions.append(decision)
            self._listeners.decided(decision)

    async def _wait_for_jobs(self, client: httpx.AsyncClient, recording: Recording) -> None:
        """Ask for each job's end, the whole lot again only once the queue looks empty: the asking is load too."""
        deadline_s = self._elapsed_s() + self._target.patience_s
        while True:
            is_last = self._elapsed_s() >= deadline_s
            if is_last or await self._looks_empty(client):
                await self._ask_for_ends(client, recording)
                if is_last or all(job.has_ended or job.status == "unknown" for job in recording.jobs.values()):
                    return
            await asyncio.sleep(min(SAMPLE_S, max(0.0, deadline_s - self._elapsed_s())))

    async def _looks_empty(self, client: httpx.AsyncClient) -> bool:
        health = await _document(client.get("/ops/queue_health", headers=self._target.headers))
        return health is not None and health.get("depth") == 0 and health.get("running") == 0

    async def _ask_for_ends(self, client: httpx.AsyncClient, recording: Recording) -> None:
        places = asyncio.Semaphore(ASKING)

        async def ask(job_id: str) -> None:
            async with places:
                job = await self._end_of(client, job_id)
            if job is not None or job_id not in recording.jobs:
                recording.jobs[job_id] = job or JobEnd(job_id, "unanswered")

        open_jobs = [one for one in recording.accepted if one not in recording.jobs or not recording.jobs[one].has_ended]
        await asyncio.gather(*(ask(job_id) for job_id in open_jobs))

    async def _end_of(self, client: httpx.AsyncClient, job_id: str) -> JobEnd | None:
        """The job's status; None where nobody answered."""
        try:
            answer = await client.get(f"/api/v1/status/{job_id}", headers={**self._target.headers, **self._target.job_headers})
            if answer.status_code == 404:
                return JobEnd(job_id, "unknown")
            return JobEnd.read(job_id, answer.json()) if answer.is_success else None
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    async def _linger(self, recording: Recording) -> None:
        end_s = self._elapsed_s() + self._target.linger_s
        while self._elapsed_s() < end_s and not (recording.samples and self._target.is_over(recording.samples[-1])):
            await asyncio.sleep(SAMPLE_S)


async def _document(request: Awaitable[httpx.Response]) -> dict[str, Any] | None:
    """The answer's object; None where there is none, which a sample shows as a gap."""
    try:
        answer = await request
        document = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _rows(document: Any) -> list[dict[str, Any]]:
    return list(document if isinstance(document, list) else document.get("decisions", document.get("items", [])))
