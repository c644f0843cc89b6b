"""The wall clock of every process jumps three hours, forth and back (spec P1)."""

import http.client
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conftest import Valkey
from tests.drills.conftest import begun
from tests.drills.stack import Stack, report
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

JUMP_S = 3 * 3_600
HOLD_S = 3_600.0
LONG_S = 12.0
WORKERS = 3
STEERING = ("queue_depth", "p95_ms", "requests")
TICKS = 8
TICK_S = 0.5
LIBRARY = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

needs_faketime = pytest.mark.skipif(not LIBRARY, reason="needs Debian's package faketime")


class FakeClock:
    """What every process of the stack takes for the wall clock; monotonic time goes on as it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shift(0)

    def shift(self, by_s: int) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{by_s:+d}\n", encoding="ascii")
        fresh.replace(self._path)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }


@pytest.fixture
def clock(tmp_path: Path) -> FakeClock:
    return FakeClock(tmp_path / "clock")


@pytest.fixture
def held(tmp_path: Path, clock: FakeClock) -> Iterator[Stack]:
    """A stack under the fake clock, store included, with a hold of an hour and three workers."""
    with begun(tmp_path / "stack", DRAIN_GRACE_S="20", **clock.environment) as stack:
        assert stack.order("PUT", "/ops/flags/WORKER_COUNT", {"value": WORKERS}).status == 200
        eventually(lambda: stack.is_settled(WORKERS), 30, what="three workers")
        assert stack.order("POST", "/ops/holds", {"why": "a drill", "for_s": HOLD_S}).status == 200
        yield stack


class Load:
    """Short jobs, one after another, until the end of the `with` block."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent: list[str] = []

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._enough.wait(0.3):
            (job,) = self._stack.names(1)
            try:
                self._stack.submit_witness(job, 0.02)
            except (OSError, http.client.HTTPException):
                continue  # not accepted: nobody promised anything
            self.sent.append(job)


def wall(stack: Stack) -> str:
    """The clock's hour as the service tells it."""
    return str(stack.get("/status")["measured_at"])[:13]


def remaining_s(stack: Stack) -> float:
    return float(stack.get("/status")["holds"][0]["remaining_s"])


def readings(stack: Stack) -> dict[str, tuple[str, float | None]]:
    """State and value of what steers, and of availability."""
    signals = stack.get("/status")["signals"]
    return {name: (signals[name]["state"], signals[name]["value"]) for name in ("queue_depth", "p95_ms", "requests", "availability")}


def are_right(found: dict[str, tuple[str, float | None]], asked: int) -> bool:
    """Unknown is never wrong; what is known must be possible."""
    highest = {"queue_depth": 20.0, "p95_ms": 5_000.0, "requests": float(asked), "availability": 1.0}
    return all(state == "unknown" or value is None or 0 <= value <= highest[name] for name, (state, value) in found.items())


@needs_faketime
@pytest.mark.parametrize("jump_s", [JUMP_S, -JUMP_S], ids=["forth", "back"])
def test_three_hours_at_once(held: Stack, clock: FakeClock, jump_s: int) -> None:
    """Nothing is done twice, nothing waits for the old time to come again, nothing is thrown away."""
    stack = held
    with Load(stack) as load:
        long_jobs = stack.names(2)
        for job in long_jobs:
            stack.submit_witness(job, LONG_S)
        eventually(lambda: all(stack.seen().starts[job] for job in long_jobs) and len(load.sent) > 5, 30, what="load")
        workers, term, hour, left_s = stack.worker_pids(), stack.term(), wall(stack), remaining_s(stack)
        # Posted last: its wait for the third attempt is five seconds, and a slow machine must not miss it.
        retried = str(stack.ask("POST", "/api/v1/intake", {"handler": "flaky", "payload": {"fail_times": 2}}).json["job_id"])
        eventually(lambda: stack.get(f"/api/v1/status/{retried}")["attempts"] == 2, 40, what="a retry that is due in five seconds")
        ticks, began = stack.ticks(), time.monotonic()
        clock.shift(jump_s)
        eventually(lambda: wall(stack) != hour, 10, what="the jump")
        finished = len(stack.seen().ends)
        eventually(lambda: stack.ticks() >= ticks + TICKS, 20, what="ticks")
        eventually(lambda: len(stack.seen().ends) >= finished + 10, 20, what="jobs")
        assert 0 < left_s - remaining_s(stack) < 60, "a hold of an hour lasts an hour"
        tally = stack.finish(long_jobs, within_s=40)
        assert [(tally.starts[job], tally.ends[job]) for job in long_jobs] == [(1, 1), (1, 1)], "what ran when it jumped ran on, once"
        eventually(lambda: stack.get(f"/api/v1/status/{retried}")["status"] == "succeeded", 30, what="the retry")
        assert are_right(readings(stack), len(load.sent) + 1_000)
        if jump_s < 0:
            # Availability looks at five minutes and is unknown for as long.
            eventually(lambda: all(readings(stack)[name][0] == "value" for name in STEERING), 70, every_s=0.5, what="known readings")
    report(f"{jump_s:+d} s: {len(load.sent)} jobs, {time.monotonic() - began:.0f} s later {readings(stack)}")
    tally = stack.finish(load.sent, within_s=40)
    assert (tally.doubled(load.sent), tally.cut(load.sent)) == ([], [])
    assert stack.term() - term <= 1, "the leader stays, or is replaced once"
    assert (stack.steps(), stack.target()) == ([], WORKERS)
    assert stack.worker_pids() == workers, "no worker was taken for dead"
    assert stack.sql("SELECT count(*) FROM holds WHERE ended_at IS NULL") == [(1,)]
    assert stack.ticks() > ticks, "no record was purged"


@needs_faketime
def test_the_quiet_timer_keeps_its_value(tmp_path: Path, clock: FakeClock, valkey: Valkey) -> None:
    """The store is on a host whose clock is right, so that it stays calm: what accrued stays, and three hours are not credited."""
    with begun(tmp_path / "stack", SCALE_DOWN_QUIET_S="300", REDIS_URL=valkey.url, **clock.environment) as stack:
        assert stack.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200
        before = eventually(lambda: stack.calm_s() >= 3 and stack.calm_s(), 30, what="some calm")
        term = stack.term()
        for jump_s in (JUMP_S, -JUMP_S):
            ticks, hour = stack.ticks(), wall(stack)
            clock.shift(jump_s)
            eventually(lambda hour=hour: wall(stack) != hour, 10, what="the jump")  # type: ignore[misc]
            eventually(lambda ticks=ticks: stack.ticks() >= ticks + 2 * TICKS, 30, what="ticks")  # type: ignore[misc]
        accrued = [row[0] for row in stack.sql("SELECT json_extract(record, '$.context.calm_s') FROM decisions ORDER BY id")]
        since = [calm_s for calm_s in accrued if calm_s >= before]
        report(f"calm for {before:.1f} s, then up to {accrued[-1]:.1f} s over {len(accrued)} ticks")
        assert accrued[-len(since) :] == since, "it never started again"
        assert max(b - a for a, b in pairwise(accrued)) <= 1.5 * TICK_S + 0.1, "a tick adds a tick"
        assert stack.term() - term <= 1
        assert stack.steps() == []
        assert stack.is_settled(2)
