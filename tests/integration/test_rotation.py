"""Rotation of Levqor's own web processes on the real `levqor up`: not one request is lost (spec I5)."""

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.running import Installation
from tests.waiting import eventually

from levqor.agent.agent import CONTROL

pytestmark = pytest.mark.drill

RATE_PER_S = 200
REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Load(threading.Thread):
    """Requests at a constant rate, each on a connection of its own, whether or not the one before was answered."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.done = threading.Event()
        self.fates: Counter[str] = Counter()

    def run(self) -> None:
        asyncio.run(self._load())

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        asked, begun = set[asyncio.Task[None]](), loop.time()
        while not self.done.is_set():
            task = asyncio.create_task(self._ask())
            asked.add(task)
            task.add_done_callback(asked.discard)
            due = begun + (sum(self.fates.values()) + len(asked)) / RATE_PER_S
            await asyncio.sleep(max(0.0, due - loop.time()))
        await asyncio.gather(*asked)

    async def _ask(self) -> None:
        self.fates[await self._fate()] += 1

    async def _fate(self) -> str:
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(REQUEST)
                await writer.drain()
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as error:
            return type(error).__name__
        return "answered" if answer.startswith(b"HTTP/1.1 200") else f"cut: {answer[:40]!r}"


@pytest.fixture(params=["1", "2"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    place = Installation(tmp_path / "place", DRAIN_GRACE_S="5", WEB_WORKERS=request.param, JOB_MAX_ATTEMPTS="1")
    yield place
    place.clean_up()


def web(place: Installation) -> dict[str, int]:
    return {name: identity.pid for name, identity in place.children(CONTROL).items() if name.startswith("web")}


def all_over(place: Installation, incident_id: int) -> dict[str, Any]:
    """The steps of the incident's one recovery by name, once all are over."""
    recoveries = place.admin(f"/ops/incidents/{incident_id}").get("recoveries", [])
    steps = {step["name"]: step for recovery in recoveries for step in recovery["steps"]}
    return steps if steps and all(step["status"] not in ("planned", "running") for step in steps.values()) else {}


def test_a_recovery_rotates_the_web_processes_under_load_and_no_request_fails(place: Installation) -> None:
    """I1, I2, I3, I5: dead letters, workers, then the web processes, of which one may be the leader itself."""
    place.up()
    place.set_flag("NEW_QUEUE_ENABLED", True)
    eventually(lambda: len(place.children("worker")) == 2, 20, what="two workers")
    before, workers = web(place), place.children("worker")
    job = place.submit("fail")
    eventually(lambda: place.status_of(job) == "dead", 20, what="the job's death")
    eventually(lambda: (place.get("/status")["signals"]["failures_5m"]["value"] or 0) > 0, 20, what="the failure's count")
    load = Load(place.port)
    load.start()
    answer = place.post("/ops/recover", {"wait_s": 55})
    assert answer.get("recovered") is True, answer
    assert [step["status"] for step in answer["steps"]][:2] == ["failed", "done"], answer["steps"]
    assert answer["steps"][2]["detail"].startswith("starts after this answer"), "I2"
    eventually(lambda: web(place).keys() == before.keys() and not set(web(place).values()) & set(before.values()), 40, what="new processes")
    steps = eventually(lambda: all_over(place, answer["incident_id"]), 40, what="the outcome")
    load.done.set()
    load.join(20)
    found = {name: step["status"] for name, step in steps.items()}
    assert found == {"flush_dead_letters": "failed", "restart_workers": "done", "rotate_app": "done"}, steps
    assert (answer["ok"], steps["flush_dead_letters"]["after"]["died_again"]) == (False, 1), "the canary died; the others ran all the same"
    assert set(load.fates) == {"answered"}, load.fates
    assert load.fates["answered"] >= RATE_PER_S
    assert not set(place.children("worker")) & set(workers), "other workers"
    eventually(lambda: place.get("/readyz").get("ok") is True, 20, what="readiness")
    place.send(signal.SIGTERM)
    assert place.wait() == 0
    assert place.left() == []
