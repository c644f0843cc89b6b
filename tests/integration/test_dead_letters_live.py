"""Dead letters over HTTP and from the command line, on a real store, broker and worker (spec I4, E1, L1, X1, X3)."""

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.contract.dying import die_again, fill
from tests.waiting import eventually

from levqor.bootstrap.database import migrate
from levqor.bootstrap.plane import ControlPlane, control_plane
from levqor.bootstrap.web import services
from levqor.cli import main
from levqor.settings import load
from levqor.web.app import create_app
from levqor.web.server import listen, serve

TOKEN = "right-token-1234"
ADMIN = {"X-ADMIN-TOKEN": TOKEN}
ROUTES = [
    ("GET", "/ops/dead"),
    ("GET", "/ops/dead/quarantined"),
    ("GET", "/ops/dead/job-1"),
    ("POST", "/ops/dead/requeue"),
    ("POST", "/ops/dead/drop"),
    ("POST", "/ops/dead/quarantined/release"),
]


@dataclass
class Live:
    plane: ControlPlane
    client: httpx.Client
    url: str
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        options = {} if body is None else {"json": body}
        return self.client.request(method, path, headers={**ADMIN, **headers}, **options)

    def submit(self, handler: str, **payload: Any) -> str:
        answer = self.ask("POST", "/api/v1/intake", {"handler": handler, "payload": payload, "max_attempts": 1})
        return str(answer.json()["job_id"])

    def status(self, job_id: str) -> str:
        return str(self.client.get(f"/api/v1/status/{job_id}").json()["status"])

    def work(self, store: str) -> None:
        command = self.plane.engine.worker_command(f"w{len(self.workers)}", ["default"])
        self.workers.append(subprocess.Popen(command, env={**os.environ, "LEVQOR_REDIS_URL": store}, start_new_session=True))


@pytest.fixture
def live(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setenv("LEVQOR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    environ = {
        "LEVQOR_DATA": str(tmp_path / "data"),
        "LEVQOR_FLAGS": str(tmp_path / "flags.json"),
        "LEVQOR_LOGS": str(tmp_path / "logs"),
        "REDIS_URL": store_url,
        "ADMIN_TOKEN": TOKEN,
        "FLUSH_PAUSE_S": "0.05",
    }
    (tmp_path / "data").mkdir()
    configuration = load(environ=environ, folder=tmp_path)
    migrate(configuration)
    plane = control_plane(configuration, with_autopilot=False)
    listener, stop = listen("127.0.0.1", 0), threading.Event()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(services(plane, plane.start, plane.close))
    thread = threading.Thread(target=serve, args=(app, configuration.settings), kwargs={"fd": listener.detach(), "stop": stop})
    thread.start()
    with httpx.Client(base_url=url, timeout=30) as client:
        eventually(lambda: client.get("/livez").status_code == 200, what="the server")
        there = Live(plane, client, url)
        yield there
    for worker in there.workers:
        worker.kill()
        worker.wait(10)
    stop.set()
    thread.join(15)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_the_admins(live: Live, method: str, path: str) -> None:
    """X1."""
    assert live.client.request(method, path, json={}).status_code == 401


def test_a_job_that_died_is_listed_shown_requeued_and_dies_again(live: Live, store_url: str) -> None:
    job_id = live.submit("fail")
    live.work(store_url)
    eventually(lambda: live.status(job_id) == "dead", what="its death")
    (letter,) = live.ask("GET", "/ops/dead").json()["dead"]
    assert (letter["job_id"], letter["error_class"], letter["flushes"], letter["is_foreign"]) == (job_id, "HandlerFailed", 0, False)
    (group,) = live.ask("GET", "/ops/dead?group=true").json()["groups"]
    assert (group["handler"], group["error_class"], group["count"], group["oldest"]) == ("fail", "HandlerFailed", 1, letter["died_at"])
    assert "Traceback" in live.ask("GET", f"/ops/dead/{job_id}").json()["trace"]
    preview = live.ask("POST", "/ops/dead/requeue", {"all": True, "dry_run": True}).json()
    assert (preview["plan"]["chosen"], live.status(job_id)) == (1, "dead")
    answer = live.ask("POST", "/ops/dead/requeue", {"error": "HandlerFailed", "wait_s": 30.0})
    assert answer.status_code == 200
    assert (answer.json()["outcome"]["moved"], answer.json()["outcome"]["died_again"]) == (1, 1)
    assert live.ask("GET", "/ops/dead").json()["dead"][0]["flushes"] == 1
    counts = eventually(lambda: _outcomes(live), what="the counter")
    assert counts["requeued"] == 1


def _outcomes(live: Live) -> dict[str, int]:
    live.plane.flusher.flush_once()
    counters = live.plane.telemetry.totals().counters
    return {labels[-1]: int(n) for labels, n in counters.items() if labels[-1] == "requeued"}


def test_what_goes_on_is_accepted_and_the_same_key_moves_nothing_twice(live: Live) -> None:
    """L3: without a worker the canary waits; 202, and asking again under the key answers the same."""
    with live.plane.store as client:
        ids = fill(client, 5)
    body = {"all": True, "wait_s": 0.0}
    answer = live.ask("POST", "/ops/dead/requeue", body, **{"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["done"]) == (202, False)
    assert live.ask("POST", "/ops/dead/requeue", {"ids": ids[:1]}).status_code == 409
    again = live.ask("POST", "/ops/dead/requeue", body, **{"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (202, answer.json())
    eventually(lambda: live.plane.engine.queues(["default"])[0].depth == 3, what="the canary")


def test_thousands_are_moved_at_once_when_a_person_says_so(live: Live) -> None:
    with live.plane.store as client:
        ids = fill(client, 3_000)
        answer = live.ask("POST", "/ops/dead/requeue", {"all": True, "at_once": True}).json()
        assert (answer["outcome"]["moved"], client.llen("rq:queue:default")) == (3_000, 3_000)
        die_again(client, ids)
    assert live.ask("POST", "/ops/dead/drop", {"all": True}).json()["dropped"] == 3_000
    assert live.ask("GET", "/ops/dead").json() == {"dead": [], "total": 0, "next": None}


def test_quarantined_jobs_are_dead_and_can_be_released(live: Live) -> None:
    """E1."""
    with live.plane.store as client:
        ids = fill(client, 2)
    live.plane.engine.quarantine("default", ids, "poison")
    assert live.status(ids[0]) == "dead"
    assert [one["why"] for one in live.ask("GET", "/ops/dead/quarantined").json()["quarantined"]] == ["poison", "poison"]
    assert live.ask("POST", "/ops/dead/quarantined/release", {"ids": ids[:1]}).json()["released"] == 1
    assert live.ask("POST", "/ops/dead/quarantined/release", {"all": True}).json()["released"] == 1
    assert live.ask("GET", "/ops/dead").json()["total"] == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("requeue", {}, id="nothing said"),
        pytest.param("requeue", {"all": False}, id="all is false"),
        pytest.param("requeue", {"ids": []}, id="no ids"),
        pytest.param("requeue", {"ids": ["a"], "all": True}, id="two ways"),
        pytest.param("requeue", {"ids": ["../etc"]}, id="no id"),
        pytest.param("requeue", {"ids": ["a"] * 1001}, id="too many"),
        pytest.param("requeue", {"all": True, "wait_s": 61.0}, id="too long a wait"),
        pytest.param("requeue", {"handler": ""}, id="empty handler"),
        pytest.param("drop", {}, id="drop nothing said"),
        pytest.param("drop", {"all": True, "at_once": True}, id="unknown field"),
        pytest.param("quarantined/release", {"ids": ["a"], "all": True}, id="release two ways"),
        pytest.param("quarantined/release", {}, id="release nothing said"),
    ],
)
def test_an_order_that_is_not_clear_is_refused_and_touches_nothing(live: Live, path: str, body: dict[str, Any]) -> None:
    """X3, and guardrail 19: an empty selection is never all."""
    with live.plane.store as client:
        fill(client, 1)
    assert live.ask("POST", f"/ops/dead/{path}", body).status_code == 422
    assert live.ask("GET", "/ops/dead").json()["total"] == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=-1", "group=maybe", "color=red", "limit=1&limit=2"])
def test_a_query_that_is_wrong_is_refused(live: Live, query: str) -> None:
    assert live.ask("GET", f"/ops/dead?{query}").status_code == 422


def test_a_letter_that_is_not_there_is_not_found(live: Live) -> None:
    for name in ("nobody", "..%2Fx", "a%20b"):
        assert live.ask("GET", f"/ops/dead/{name}").status_code == 404


def test_the_command_line_looks_asks_and_acts(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    """L1: the count is shown before anything is done; without a terminal nothing is asked."""
    with live.plane.store as client:
        fill(client, 4)
    at = ["--url", live.url]
    assert main(["dead", "list", "--limit", "2", *at]) == 0
    listed = capsys.readouterr()
    assert "job-3" in listed.out
    assert "--cursor 2" in listed.err
    assert main(["dead", "list", "--group", *at]) == 0
    assert "KeyError" in capsys.readouterr().out
    assert main(["dead", "show", "job-1", *at]) == 0
    assert "KeyError: 'x'" in capsys.readouterr().out
    assert main(["dead", "requeue", "--all", *at]) == 2
    assert "4 x note (KeyError)" in capsys.readouterr().err
    assert main(["dead", "drop", "job-0", "--dry-run", *at]) == 0
    assert live.ask("GET", "/ops/dead").json()["total"] == 4
    assert main(["dead", "drop", "job-0", "--yes", *at]) == 0
    assert main(["dead", "requeue", "--error", "KeyError", "--at-once", "--yes", *at]) == 0
    assert "requeued 3" in capsys.readouterr().out
    assert live.ask("GET", "/ops/dead").json()["total"] == 0
