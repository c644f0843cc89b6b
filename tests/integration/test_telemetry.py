"""From recorders in many processes through a real store to one window (spec S1-S3)."""

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from tests.conftest import Valkey
from tests.waiting import eventually

import levqor.asgi
from levqor.client.asgi import Message, Receive, Scope, Send
from levqor.client.buckets import rank_of
from levqor.client.flush import PREFIX, SLOT_S, Flusher, connect
from levqor.client.recorder import Recorder, Series
from levqor.domain.errors import StoreDown
from levqor.store.telemetry import Telemetry

ITEMS: Series = ("http", "service", "GET", "/items/{id}")
OWN: Series = ("http", "own", "GET", "/metrics")

WRITER = """
import random, sys
from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder
url, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
recorder = Recorder()
flusher = Flusher(recorder, url, f"writer-{seed}", period_s=0.05)
flusher.start()
for position in range(count):
    recorder.observe(("http", "service", "GET", f"/route/{position % 20}"), random.lognormvariate(4.1, 0.6), failed=position % 100 == 0)
assert flusher.flush_once()
print("flushed", flush=True)
sys.stdin.readline()
flusher.close()
"""


@pytest.fixture
def telemetry(store_url: str) -> Iterator[Telemetry]:
    with connect(store_url) as client:
        yield Telemetry(client)


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    recorder.announce("http")
    return recorder


@pytest.fixture
def flusher(store_url: str, recorder: Recorder) -> Flusher:
    """Flushes when told only."""
    return Flusher(recorder, store_url, "writer")


def age_writer(store_url: str, by_s: float, family: str = "http", writer: str = "writer") -> None:
    """As if the writer had flushed so much earlier."""
    with redis.Redis.from_url(store_url) as client:
        client.zincrby(f"{PREFIX}writers:{family}", -by_s, writer)


def test_four_processes_merge_to_the_exact_quantiles(store_url: str, telemetry: Telemetry) -> None:
    """S1, S2: 10,000 observations from four processes."""
    each = 2_500
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, store_url, str(seed), str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for seed in range(4)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "flushed\n"
        window = telemetry.http_window(60)
    finally:
        for process in processes:
            process.communicate("\n", timeout=10)
    exact: list[float] = []
    for seed in range(4):
        source = random.Random(seed)
        exact += [source.lognormvariate(4.1, 0.6) for _ in range(each)]
    exact.sort()
    assert window.problem is None
    assert (window.requests, window.failed) == (10_000, 100)
    assert window.over == {limit: sum(value >= limit for value in exact) for limit in (40.0, 150.0, 200.0)}
    for q in (0.01, 0.5, 0.95, 0.99, 0.999, 1.0):
        assert window.quantile(q) == pytest.approx(exact[rank_of(q, len(exact)) - 1], rel=0.01)
    assert telemetry.http_window(60).problem == "no process reports requests", "all four signed off"


def test_only_the_service_scope_steers(recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S1: Levqor's own routes are recorded apart."""
    recorder.observe(ITEMS, 10.0)
    recorder.observe(OWN, 5_000.0, failed=True)
    assert flusher.flush_once()
    window = telemetry.http_window(60)
    assert (window.requests, window.failed) == (1, 0)
    assert telemetry.totals().histograms[OWN].failed == 1


def test_no_traffic_and_unknown_are_different(recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S3."""
    assert telemetry.http_window(60).problem == "no process reports requests"
    flusher.flush_once()
    window = telemetry.http_window(60)
    assert window.problem is None
    assert (window.requests, window.quantile(0.95), window.at_least(40.0), window.rate) == (0, None, 0, 0.0)


@pytest.mark.parametrize(
    ("silent_s", "problem"),
    [
        pytest.param(13.0, None, id="within three periods"),
        pytest.param(17.0, "1 of 2 processes that report requests silent for 17 s", id="beyond three periods"),
        pytest.param(73.0, "1 of 2 processes that report requests silent for 73 s", id="not yet forgotten"),
        pytest.param(77.0, None, id="forgotten"),
    ],
)
def test_a_writer_that_fell_silent_is_unknown_then_forgotten(
    store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry, silent_s: float, problem: str | None
) -> None:
    """S3: the share of a process that died is missing from the window, however well the others report."""
    flusher.flush_once()
    other = Recorder()
    other.observe(ITEMS, 10.0)
    Flusher(other, store_url, "other").flush_once()
    age_writer(store_url, silent_s)
    window = telemetry.http_window(60)
    assert window.problem == problem
    assert window.requests == 1


def test_a_writer_that_closed_is_not_missed(store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    recorder.observe(ITEMS, 10.0)
    flusher.close()
    Flusher(Recorder(), store_url, "other").flush_once()
    with redis.Redis.from_url(store_url) as client:
        assert client.zcard(f"{PREFIX}writers:http") == 0
    assert telemetry.http_window(60).requests == 1, "its counts stay"


def test_a_silent_worker_does_not_blind_the_requests(store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S3: a rule is blocked only by the signals that it reads."""
    flusher.flush_once()
    worker = Recorder()
    worker.announce("job")
    Flusher(worker, store_url, "worker").flush_once()
    assert telemetry.jobs_window(300).problem is None
    age_writer(store_url, 30.0, "jobs", "worker")
    assert telemetry.jobs_window(300).problem == "1 of 1 processes that report jobs silent for 30 s"
    assert telemetry.http_window(60).problem is None


def test_jobs_are_counted_by_outcome_with_their_waits_and_runs(recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S1: a failure is an attempt that raised, retried or not; a lost worker is none."""
    for queue, outcome, n in (("a", "succeeded", 5), ("b", "failed", 2), ("a", "dead", 1), ("a", "lost", 4), ("a", "returned", 3)):
        recorder.count(("job", queue, "mail", outcome), n)
    recorder.observe(("wait", "a", "mail"), 2_000.0)
    recorder.observe(("run", "b", "mail"), 7_200_000.0)
    for failed in (True, True, True):
        recorder.observe(("run", "b", "mail"), 7_200_000.0, failed)
    flusher.flush_once()
    window = telemetry.jobs_window(300)
    assert window.outcomes == {"succeeded": 5, "failed": 2, "dead": 1, "lost": 4, "returned": 3}
    assert window.failures == 3
    assert window.waits.quantile(0.5) == pytest.approx(2_000, rel=0.01)
    assert window.runs.quantile(0.5) == pytest.approx(7_200_000, rel=0.01)


def test_probes_that_stopped_are_unknown_not_available(recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S3, S4."""
    recorder.announce("probe")
    flusher.flush_once()
    assert "no probe in the last" in (telemetry.probes_window(300).problem or "")
    recorder.observe(("probe", "service"), 3.0)
    recorder.observe(("probe", "service"), 2_000.0, failed=True)
    flusher.flush_once()
    window = telemetry.probes_window(300)
    assert (window.total, window.failed, window.problem) == (2, 1, None)


def test_a_threshold_that_one_process_does_not_count_is_not_called_exact(
    store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry
) -> None:
    recorder.observe(ITEMS, 100.0)
    flusher.flush_once()
    other = Recorder(thresholds_ms=(40.0, 500.0))
    other.observe(ITEMS, 1_000.0)
    Flusher(other, store_url, "other").flush_once()
    window = telemetry.http_window(60)
    assert window.over == {40.0: 2}
    assert (window.at_least(500.0), window.at_least(150.0), window.at_least(40.0)) == (1, 1, 2)


def test_old_slots_leave_the_window(store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S2: 60 s, at most one slot more, and the span is told."""
    recorder.observe(ITEMS, 10.0)
    flusher.flush_once()
    with redis.Redis.from_url(store_url) as client:
        (key,) = client.keys(f"{PREFIX}slot:http:*")
        slot = int(key.rpartition(b":")[2])
        client.set(f"{PREFIX}since", 0)
        client.rename(key, f"{PREFIX}slot:http:{slot - 60 // SLOT_S}")
        assert telemetry.http_window(60).requests == 1
        client.rename(f"{PREFIX}slot:http:{slot - 60 // SLOT_S}", f"{PREFIX}slot:http:{slot - 60 // SLOT_S - 2}")
    window = telemetry.http_window(60)
    assert window.requests == 0
    assert 60 <= window.span_s < 60 + SLOT_S


def test_a_young_store_tells_a_short_span(recorder: Recorder, flusher: Flusher, telemetry: Telemetry) -> None:
    """S3: the rate of the first seconds is not the rate of a minute."""
    recorder.observe(ITEMS, 10.0)
    flusher.flush_once()
    window = telemetry.http_window(60)
    assert window.span_s < 30
    assert window.rate == pytest.approx(1 / window.span_s)


def test_what_waited_for_the_store_is_filed_under_its_own_time(valkey: Valkey, recorder: Recorder) -> None:
    """S2: an outage does not become a burst at its end."""
    flusher = Flusher(recorder, valkey.url, "writer")
    valkey.kill()
    recorder.observe(ITEMS, 10.0)
    assert not flusher.flush_once()
    flusher._pending[0].drained_at -= 30.0
    valkey.start()
    recorder.observe(ITEMS, 10.0)
    assert flusher.flush_once()
    with valkey.client as client:
        slots = sorted(int(key.rpartition(b":")[2]) for key in client.keys(f"{PREFIX}slot:http:*"))
    assert len(slots) == 2
    assert 30 // SLOT_S <= slots[1] - slots[0] <= 30 // SLOT_S + 1


class Losing:
    """A client whose answers get lost: the store has done the work, and the caller hears of a timeout."""

    def __init__(self, client: redis.Redis, losses: int) -> None:
        self._client, self._losses = client, losses

    def register_script(self, script: str) -> Callable[..., Any]:
        registered = self._client.register_script(script)

        def call(**arguments: Any) -> Any:
            answer = registered(**arguments)
            if self._losses:
                self._losses -= 1
                raise redis.TimeoutError("the answer was lost")
            return answer

        return call


def test_a_retried_flush_counts_once(store_url: str, recorder: Recorder, telemetry: Telemetry) -> None:
    with connect(store_url) as client:
        losing: Any = Losing(client, losses=2)
        flusher = Flusher(recorder, lambda: losing, "writer")
        recorder.observe(ITEMS, 10.0)
        assert not flusher.flush_once()
        recorder.observe(ITEMS, 10.0)
        assert not flusher.flush_once()
        assert flusher.flush_once()
    assert telemetry.http_window(60).requests == 2
    assert telemetry.totals().histograms[ITEMS].total == 2


def test_the_store_keeps_a_bounded_number_of_series(store_url: str, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: deployments with other routes come and go; what is above the bound is counted in the rest."""
    monkeypatch.setattr("levqor.client.flush.MAX_STORED_SERIES", 5)
    for deployment in range(4):
        recorder = Recorder()
        for route in range(3):
            recorder.observe(("http", "service", "GET", f"/{deployment}/{route}"), 10.0)
        Flusher(recorder, store_url, f"writer-{deployment}").flush_once()
    histograms = telemetry.totals().histograms
    assert len(histograms) == 6
    assert histograms["http", "service", "other", "other"].total == 7


def test_everything_but_the_totals_expires(store_url: str, recorder: Recorder, flusher: Flusher) -> None:
    """P5."""
    recorder.observe(ITEMS, 10.0)
    flusher.flush_once()
    with redis.Redis.from_url(store_url) as client:
        assert all(key.startswith(PREFIX.encode()) for key in client.keys("*"))
        for key in [*client.keys(f"{PREFIX}slot:*"), *client.keys(f"{PREFIX}batch:*")]:
            assert 0 < client.ttl(key) <= 900


def test_a_paused_store_is_down_for_the_reader_and_loses_nothing(valkey: Valkey, recorder: Recorder) -> None:
    """S3: a store that hangs is neither zero nor calm. The flush that it slept through is not doubled by its retry."""
    flusher = Flusher(recorder, valkey.url, "writer")
    recorder.observe(ITEMS, 10.0)
    flusher.flush_once()
    with connect(valkey.url) as client:
        telemetry = Telemetry(client)
        assert telemetry.http_window(60).requests == 1
        valkey.pause()
        try:
            recorder.observe(ITEMS, 10.0)
            assert not flusher.flush_once()
            with pytest.raises(StoreDown):
                telemetry.http_window(60)
        finally:
            valkey.resume()
        assert flusher.flush_once()
        window = telemetry.http_window(60)
        assert (window.requests, window.problem) == (2, None)


def test_a_killed_store_comes_back_with_what_it_knew(valkey: Valkey, recorder: Recorder) -> None:
    flusher = Flusher(recorder, valkey.url, "writer")
    with connect(valkey.url) as client:
        telemetry = Telemetry(client)
        valkey.kill()
        recorder.observe(ITEMS, 10.0)
        assert not flusher.flush_once()
        with pytest.raises(StoreDown):
            telemetry.totals()
        valkey.start()
        assert flusher.flush_once()
        assert telemetry.http_window(60).requests == 1


def test_an_emptied_store_is_unknown_for_the_length_of_the_window(
    store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry
) -> None:
    """S3: what was in it may have been anything but calm."""
    recorder.observe(ITEMS, 1_000.0)
    flusher.flush_once()
    with redis.Redis.from_url(store_url) as client:
        client.flushall()
        assert telemetry.http_window(60).problem == "no process reports requests"
        Flusher(Recorder(), store_url, "somebody new").flush_once()
        flusher.flush_once()
        assert "the store lost its telemetry" in (telemetry.http_window(60).problem or "")
        client.set(f"{PREFIX}lost", float(client.get(f"{PREFIX}lost") or 0) - 61)
    assert telemetry.http_window(60).problem is None


@pytest.mark.parametrize("jump_s", [-10_800, 10_800])
def test_a_store_whose_clock_was_set_is_unknown_for_a_while(
    store_url: str, recorder: Recorder, flusher: Flusher, telemetry: Telemetry, jump_s: int
) -> None:
    """P1: nothing that was counted before the jump is counted again when its time comes."""
    recorder.observe(ITEMS, 1_000.0)
    flusher.flush_once()
    with redis.Redis.from_url(store_url) as client:
        (key,) = client.keys(f"{PREFIX}slot:http:*")
        slot = int(key.rpartition(b":")[2])
        client.rename(key, f"{PREFIX}slot:http:{slot - jump_s // SLOT_S}")
        client.set(f"{PREFIX}clock", float(client.get(f"{PREFIX}clock") or 0) - jump_s)
        age_writer(store_url, jump_s)
        flusher.flush_once()
        assert "the store lost its telemetry" in (telemetry.http_window(60).problem or "")
        later = [int(key.rpartition(b":")[2]) for key in client.keys(f"{PREFIX}slot:http:*")]
    assert all(found <= slot + 1 for found in later)


def test_the_thread_flushes_by_itself_and_signs_off(store_url: str, recorder: Recorder, telemetry: Telemetry) -> None:
    flusher = Flusher(recorder, store_url, "writer", period_s=0.05)
    flusher.start()
    recorder.observe(ITEMS, 10.0)
    eventually(lambda: telemetry.http_window(60).requests == 1)
    recorder.observe(ITEMS, 10.0)
    flusher.close()
    assert telemetry.http_window(60).requests == 2, "closing flushes what was left"
    assert threading.active_count() == 1 or "levqor-flush" not in {thread.name for thread in threading.enumerate()}


def test_a_forked_child_flushes_its_own_in_its_parents_name(store_url: str, recorder: Recorder, telemetry: Telemetry) -> None:
    """S1: job processes are forks that end at once; their end is no silence."""
    flusher = Flusher(recorder, store_url, "writer", period_s=30.0)
    flusher.start()
    recorder.observe(ITEMS, 10.0)
    pid = os.fork()
    if pid == 0:
        recorder.observe(ITEMS, 10.0)
        sent = flusher.flush_once()
        flusher.close()
        os._exit(0 if sent else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    window = telemetry.http_window(60)
    assert (window.requests, window.problem) == (1, None), "the child's, and the writer still stands"
    flusher.close()
    assert telemetry.totals().histograms[ITEMS].total == 2


def test_a_forked_child_that_lives_on_has_a_thread_of_its_own(store_url: str, recorder: Recorder, telemetry: Telemetry) -> None:
    flusher = Flusher(recorder, store_url, "writer", period_s=0.05)
    flusher.start()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        recorder.observe(ITEMS, 10.0)
        os.read(reading, 1)
        os._exit(0)
    try:
        eventually(lambda: telemetry.http_window(60).requests == 1)
    finally:
        os.write(writing, b"x")
        os.waitpid(pid, 0)
        flusher.close()
        os.close(reading)
        os.close(writing)


def test_an_attached_app_reports_from_its_start_to_its_end(store_url: str, telemetry: Telemetry) -> None:
    """S1: the one line that attaches an app; S3: it is known before its first request, and its end is no silence."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def swallow(message: Message) -> None:
        return None

    async def live() -> None:
        ends = asyncio.Event()

        async def at_the_end() -> Message:
            await ends.wait()
            return {"type": "lifespan.shutdown"}

        middleware = levqor.asgi.Middleware(app, redis_url=store_url)
        life = asyncio.create_task(middleware({"type": "lifespan"}, at_the_end, swallow))
        await asyncio.to_thread(eventually, lambda: telemetry.http_window(60).problem is None)
        assert telemetry.http_window(60).requests == 0
        await middleware({"type": "http", "method": "GET", "path": "/"}, at_the_end, swallow)
        ends.set()
        await life

    asyncio.run(live())
    window = telemetry.http_window(60)
    assert (window.requests, window.problem) == (1, "no process reports requests")
