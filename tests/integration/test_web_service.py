"""The served application over a real store, broker and database, and what it says when they are gone (spec E1, E3, A6, L3)."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import Valkey
from tests.waiting import eventually

from levqor.bootstrap.database import migrate
from levqor.bootstrap.plane import ControlPlane, control_plane
from levqor.bootstrap.web import services
from levqor.settings import load
from levqor.web.app import create_app
from levqor.web.server import listen, serve

TOKEN = "right-token-1234"
ADMIN = {"X-ADMIN-TOKEN": TOKEN}
ORDER = {"handler": "sleep", "payload": {"seconds": 0.01}}


@dataclass
class Running:
    """A control plane that is served, and a caller on this machine."""

    plane: ControlPlane
    client: httpx.Client
    store: Valkey

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.client.post(path, **options)


@pytest.fixture
def running(valkey: Valkey, tmp_path: Path) -> Iterator[Running]:
    environ = {
        "LEVQOR_DATA": str(tmp_path / "data"),
        "LEVQOR_FLAGS": str(tmp_path / "flags.json"),
        "LEVQOR_LOGS": str(tmp_path / "logs"),
        "REDIS_URL": valkey.url,
        "ADMIN_TOKEN": TOKEN,
    }
    (tmp_path / "data").mkdir()
    configuration = load(environ=environ, folder=tmp_path)
    migrate(configuration)
    plane = control_plane(configuration, with_autopilot=True)
    listener, stop = listen("127.0.0.1", 0), threading.Event()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # Whether a dashboard was built here makes no difference to these tests.
    app = create_app(replace(services(plane, plane.start, plane.close), site=None))
    thread = threading.Thread(target=serve, args=(app, configuration.settings), kwargs={"fd": listener.detach(), "stop": stop})
    thread.start()
    with httpx.Client(base_url=url, timeout=20) as client:
        eventually(lambda: client.get("/livez").status_code == 200, what="the server")
        yield Running(plane, client, valkey)
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_a_job_goes_in_and_its_status_comes_out(running: Running) -> None:
    """E1."""
    answer = running.post("/api/v1/intake", json=ORDER)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    status = running.get(f"/api/v1/status/{answer.json()['job_id']}").json()
    assert (status["status"], status["attempts"], status["error"], status["started_at"]) == ("queued", 0, None, None)
    assert status["enqueued_at"].endswith("Z")
    assert running.get("/api/v1/status/nothing").status_code == 404


def test_of_many_at_once_with_one_key_one_acts(running: Running) -> None:
    """L3: the others hear the same answer, or that it is still being made."""

    def ask(_: int) -> httpx.Response:
        return httpx.post(f"{running.client.base_url}/api/v1/intake", json=ORDER, headers={"Idempotency-Key": "k"}, timeout=20)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    jobs = {answer.json()["job_id"] for answer in answers if answer.status_code == 202}
    assert len(jobs) == 1
    (queue,) = running.plane.engine.queues(["default"])
    assert queue.depth == 1
    assert ask(0).json()["job_id"] in jobs
    other = running.post("/api/v1/intake", json={"handler": "fail"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422


def test_every_reading_route_answers(running: Running) -> None:
    """E3."""
    for path in ("/", "/status", "/ops/uptime", "/ops/queue_health", "/ops/holds", "/ops/autoscale/dryrun", "/metrics", "/openapi.json"):
        assert running.get(path).status_code == 200, path
    for path in ("/ops/autoscale/decisions", "/ops/flags", "/ops/episodes", "/ops/audit", "/ops/config"):
        assert running.get(path, headers=ADMIN).status_code == 200, path
    assert TOKEN not in running.get("/ops/config", headers=ADMIN).text
    assert running.store.password not in running.get("/ops/config", headers=ADMIN).text


def test_a_hold_is_placed_seen_and_released(running: Running) -> None:
    hold = running.post("/ops/holds", json={"why": "deploy", "for_s": 60}, headers={**ADMIN, "X-Levqor-Actor": "ann"}).json()
    assert "Held by ann" in running.get("/").text
    assert running.get("/status").json()["mode"] == "held"
    assert running.client.delete(f"/ops/holds/{hold['id']}", headers=ADMIN).status_code == 200
    assert running.client.delete(f"/ops/holds/{hold['id']}", headers=ADMIN).status_code == 404
    assert running.get("/ops/holds").json()["holds"] == []


def test_with_the_flag_off_apply_says_why_it_did_not(running: Running) -> None:
    """A7."""
    answer = running.post("/ops/autoscale/apply", headers=ADMIN)
    assert answer.status_code == 200
    assert answer.json()["applied"] is False
    assert answer.json()["why_not"]


def test_dryrun_supposes_what_it_is_told(running: Running) -> None:
    """A6."""
    answer = running.get("/ops/autoscale/dryrun", params={"queue_depth": 11, "p95_ms": 10, "error_rate": 0}).json()
    assert (answer["action"], answer["target"]) == ("scale_up", answer["current"] + 1)
    answer = running.get("/ops/autoscale/dryrun", params={"queue_depth": 10, "p95_ms": 150}).json()
    assert answer["action"] == "hold"


@pytest.mark.parametrize("fault", ["stopped", "hung"])
def test_without_a_store_it_answers_and_names_what_is_unknown(running: Running, fault: str) -> None:
    """E3: liveness holds, nothing is a 500, and a job that cannot be taken is refused with a 503."""
    if fault == "stopped":
        running.store.stop()
    else:
        running.store.pause()
    eventually(lambda: "queue_depth" in running.get("/status").json()["unknown"], within_s=20, what="the store's absence")
    assert running.get("/livez").status_code == 200
    dryrun = running.get("/ops/autoscale/dryrun").json()
    assert dryrun["inputs"]["queue_depth"]["state"] == "unknown"
    assert dryrun["action"] != "scale_down"
    health = running.get("/ops/queue_health").json()
    assert health["depth"] is None
    assert "depth" in health["unknown"]
    assert running.get("/readyz").status_code == 503
    metrics = running.get("/metrics")
    assert metrics.status_code == 200
    assert "levqor_queue_depth{" not in metrics.text
    assert running.get("/").status_code == 200
    refused = keyed(running)
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    assert running.get("/api/v1/status/some").status_code == 503
    if fault == "stopped":
        running.store.start()
    else:
        running.store.resume()
    eventually(lambda: keyed(running).status_code == 202, within_s=20, what="the store")
    (queue,) = running.plane.engine.queues(["default"])
    assert queue.depth == 1


def keyed(running: Running) -> httpx.Response:
    """The same order under the same key, however often."""
    return running.post("/api/v1/intake", json=ORDER, headers={"Idempotency-Key": "k"})


def test_an_order_whose_fate_was_unknown_is_not_doubled(running: Running) -> None:
    """L3: the broker hangs in mid-order and may still carry it out; the same key then means the same job."""
    assert running.post("/api/v1/intake", json=ORDER).status_code == 202
    running.store.pause()
    assert keyed(running).status_code == 503
    running.store.resume()
    eventually(lambda: keyed(running).status_code == 202, within_s=20, what="the store")
    (queue,) = running.plane.engine.queues(["default"])
    assert queue.depth == 2
