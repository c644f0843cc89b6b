"""`levqor up` stays alive whatever dies, and what died comes back (spec P3, P7, E1, A8)."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.running import Installation
from tests.waiting import eventually

from levqor.host import ProcessIdentity

pytestmark = pytest.mark.drill


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    place = Installation(tmp_path / "place", DRAIN_GRACE_S="3")
    yield place
    place.clean_up()


def kill(identity: ProcessIdentity, number: signal.Signals = signal.SIGKILL) -> None:
    assert identity.is_alive()
    os.kill(identity.pid, number)


def serving(place: Installation, count: int = 2) -> None:
    eventually(lambda: len(place.get("/ops/queue_health").get("workers") or []) == count, 20, what=f"{count} workers")


def is_ready(place: Installation) -> bool:
    return place.get("/readyz").get("ok") is True


class Caller(threading.Thread):
    """Calls the service again and again, and counts connections that were refused."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.done = threading.Event()
        self.refused = 0
        self.answers = 0

    def run(self) -> None:
        while not self.done.wait(0.01):
            try:
                self.answers += httpx.get(f"{self._url}/livez", timeout=10).is_success
            except httpx.ConnectError:
                self.refused += 1
            except httpx.TransportError:
                continue  # cut off in the middle of an answer by the kill


def test_a_killed_control_plane_comes_back_and_refuses_no_connection(place: Installation) -> None:
    place.up()
    serving(place)
    caller = Caller(place.url)
    caller.start()
    workers = place.children("worker")
    killed = place.children("control")["web"]
    kill(killed)
    eventually(lambda: place.children("control").get("web", killed) != killed and is_ready(place), 20, what="its return")
    before = caller.answers
    eventually(lambda: caller.answers > before, what="answers")
    caller.done.set()
    caller.join(15)
    assert caller.refused == 0
    assert place.children("worker") == workers
    assert place.stop() == 0


def test_a_killed_store_comes_back_with_its_jobs_and_no_worker_is_restarted(place: Installation) -> None:
    place.up()
    serving(place)
    workers = place.children("worker")
    jobs = [place.submit("sleep", seconds=0.2) for _ in range(20)]
    killed = place.children("store")["store"]
    kill(killed)
    eventually(lambda: place.children("store").get("store", killed) != killed, 20, what="its return")
    eventually(lambda: {place.status_of(job) for job in jobs} == {"succeeded"}, 30, what="all jobs' success")
    assert place.children("worker") == workers
    assert place.stop() == 0
    assert place.left() == []


def test_a_worker_killed_in_its_job_is_replaced_and_the_job_finishes(place: Installation) -> None:
    """Spec E1: a lost worker uses up no attempt."""
    place.up()
    serving(place)
    job = place.submit("sleep", seconds=1)
    (busy,) = eventually(place.busy_workers, what="a busy worker")
    killed = place.children("worker")[busy["name"]]
    kill(killed)
    eventually(lambda: place.status_of(job) == "succeeded", 20, what="the job's success")
    status = place.get(f"/api/v1/status/{job}")
    assert status["attempts"] == 1
    eventually(lambda: len(place.children("worker")) == 2, what="its replacement")
    assert busy["name"] not in place.children("worker")


def test_a_killed_agent_is_followed_by_one_that_adopts_its_workers_and_ends_its_control_plane(place: Installation) -> None:
    """Spec P7: SIGKILL leaves the workers running for the next agent; what they do is not interrupted."""
    place.up()
    serving(place)
    job = place.submit("sleep", seconds=6)
    eventually(place.busy_workers, what="a busy worker")
    workers, store, web = place.children("worker"), place.children("store"), place.children("control")["web"]
    place.send(signal.SIGKILL)
    place.wait()
    assert all(identity.is_alive() for identity in [*workers.values(), *store.values()])
    place.up()
    assert not web.is_alive()
    assert place.children("worker") == workers
    assert place.children("store") == store
    eventually(lambda: place.status_of(job) == "succeeded", 20, what="the job's success")
    assert place.get(f"/api/v1/status/{job}")["attempts"] == 1
    everyone = [*workers.values(), *store.values(), *place.children("control").values()]
    assert place.stop() == 0
    assert not [identity for identity in everyone if identity.is_alive()]


def test_what_the_record_missed_is_found_by_its_mark(place: Installation) -> None:
    place.up()
    serving(place)
    workers, store = place.children("worker"), place.children("store")
    place.send(signal.SIGKILL)
    place.wait()
    (place.data / "agent.json").write_text("{", encoding="ascii")
    place.up()
    eventually(lambda: len(place.children("worker")) == 2, what="the adopted workers' record")
    assert place.children("worker") == workers
    assert place.children("store") == store
    assert place.stop() == 0
    assert place.left() == []


def test_all_killed_at_once_and_every_accepted_job_finishes(place: Installation) -> None:
    """kill -9 of everything: of the jobs that were accepted none is lost."""
    place.up()
    serving(place)
    jobs = [place.submit("sleep", seconds=0.3) for _ in range(15)]
    eventually(place.busy_workers, what="busy workers")
    everyone = [identity for role in ("worker", "control", "store") for identity in place.children(role).values()]
    place.send(signal.SIGKILL)
    for identity in everyone:
        kill(identity)
    place.wait()
    place.up()
    eventually(lambda: {place.status_of(job) for job in jobs} == {"succeeded"}, 40, what="all jobs' success")


def test_sigterm_drains_and_a_job_beyond_the_grace_is_back_in_its_queue(place: Installation) -> None:
    """Spec A8."""
    place.up()
    serving(place)
    job = place.submit("sleep", seconds=60)
    eventually(place.busy_workers, what="a busy worker")
    assert place.stop() == 0
    assert place.left() == []
    assert f"job {job} is returned" in place.log
    place.up()
    eventually(lambda: place.status_of(job) in ("queued", "running"), what="the job")
    assert place.get(f"/api/v1/status/{job}")["attempts"] <= 1


def test_a_second_signal_ends_everything_at_once_and_the_job_goes_back(tmp_path: Path) -> None:
    place = Installation(tmp_path / "place", DRAIN_GRACE_S="600")
    try:
        place.up()
        serving(place)
        job = place.submit("sleep", seconds=300)
        eventually(place.busy_workers, what="a busy worker")
        assert place.insist(signal.SIGINT) == 0
        assert place.left() == []
        place.up()
        eventually(lambda: place.status_of(job) == "running", 20, what="the job's second run")
        assert place.get(f"/api/v1/status/{job}")["attempts"] == 1
        assert place.insist(signal.SIGTERM) == 0
    finally:
        place.clean_up()


def test_a_closed_terminal_ends_nothing(place: Installation) -> None:
    place.up()
    serving(place)
    workers = place.children("worker")
    place.send(signal.SIGHUP)
    for identity in workers.values():
        kill(identity, signal.SIGHUP)
    assert is_ready(place)
    assert place.children("worker") == workers
    assert place.stop() == 0


def test_a_store_that_hangs_stops_neither_supervision_nor_the_end(place: Installation) -> None:
    place.up()
    serving(place)
    store = place.children("store")["store"]
    kill(store, signal.SIGSTOP)
    workers = place.children("worker")
    killed = next(iter(workers.values()))
    kill(killed)
    eventually(lambda: len(place.children("worker")) == 2 and killed not in place.children("worker").values(), 20, what="a replacement")
    web = place.children("control")["web"]
    kill(web)
    eventually(lambda: place.children("control").get("web", web) != web, 20, what="the control plane's return")
    assert place.stop() == 0
    assert not store.is_alive()
    assert place.left() == []


def test_a_store_that_hangs_and_comes_back_costs_no_worker(place: Installation) -> None:
    """Spec S3, P7: an agent that loses the store keeps its last target."""
    place.up()
    serving(place)
    store, workers = place.children("store")["store"], place.children("worker")
    kill(store, signal.SIGSTOP)
    eventually(lambda: "keep their last target" in place.log, 20, what="the agent's notice")
    assert place.children("worker") == workers
    kill(store, signal.SIGCONT)
    eventually(lambda: is_ready(place), 20, what="the store's return")
    assert place.children("worker") == workers
    job = place.submit("sleep", seconds=0.01)
    eventually(lambda: place.status_of(job) == "succeeded", 20, what="the job's success")


def test_the_fleet_follows_a_manual_count_and_restarts_on_demand(place: Installation) -> None:
    place.up()
    serving(place)
    place.post("/ops/scale", {"count": 3, "why": "a test"})
    eventually(lambda: len(place.children("worker")) == 3, 20, what="three workers")
    place.post("/ops/scale", {"count": 1, "why": "a test"})
    eventually(lambda: len(place.children("worker")) == 1, 20, what="one worker")
    (before,) = place.children("worker")
    place.post("/ops/workers/restart", {})
    eventually(lambda: place.children("worker") and before not in place.children("worker"), 20, what="another worker")
    assert place.stop() == 0


def test_a_service_that_cannot_start_is_said_to_and_up_stays(tmp_path: Path) -> None:
    place = Installation(tmp_path / "place", START_TIMEOUT_S="5")
    try:
        place.up()
        for _ in range(6):
            web = eventually(lambda: place.children("control").get("web"), 20, what="the control plane")
            assert web is not None
            kill(web)
            eventually(lambda web=web: place.children("control").get("web") != web, what="its end on record")  # type: ignore[misc]
        assert place.process is not None
        assert place.process.poll() is None
        assert "web died" in place.output
        eventually(lambda: is_ready(place), 20, what="its return")
    finally:
        place.clean_up()
