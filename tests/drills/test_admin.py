"""Admin endpoints, what-ifs and Idempotency-Keys on the real stack (spec X1, X3, A6, L3)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.conftest import free_port
from tests.drills.conftest import begun
from tests.drills.stack import ADMIN, Stack, kill
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

BEARER = "Authorization"
WRONG = "not-the-token"
ENDPOINTS = [
    ("POST", "/ops/autoscale/apply", {"dry_run": True}),
    ("POST", "/ops/scale", {"count": 2, "why": "a drill"}),
    ("DELETE", "/ops/scale", None),
    ("GET", "/ops/autoscale/decisions", None),
    ("POST", "/ops/holds", {"why": "a drill", "for_s": 1}),
    ("DELETE", "/ops/holds", None),
    ("GET", "/ops/flags", None),
    ("PUT", "/ops/flags/INCIDENT_AUTORECOVER", {"value": False}),
    ("POST", "/ops/workers/restart", {"worker": "nobody"}),
    ("GET", "/ops/audit", None),
    ("GET", "/ops/config", None),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with begun(tmp_path_factory.mktemp("admin") / "stack") as stack:
        yield stack


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS, ids=lambda value: value if isinstance(value, str) else "")
def test_who_may(running: Stack, method: str, path: str, body: object) -> None:
    """Both headers with different tokens are wrong: one never hides the other."""
    token = running.token

    def status(**headers: str) -> int:
        return running.ask(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}).status

    assert status() == 401
    assert status(X_ADMIN_TOKEN=token) in (200, 202, 404)
    assert status(Authorization=f"Bearer {token}") in (200, 202, 404)
    assert status(X_ADMIN_TOKEN=token, Authorization=f"Bearer {token}") in (200, 202, 404)


def test_wrong_tokens_are_refused_and_a_right_one_never_is(running: Stack) -> None:
    for headers in ({ADMIN: WRONG}, {BEARER: f"Bearer {WRONG}"}, {ADMIN: running.token, BEARER: f"Bearer {WRONG}"}, {ADMIN: ""}):
        answer = running.ask("GET", "/ops/config", headers=headers)
        assert (answer.status, "problem+json" in answer.headers["content-type"]) == (401, True), headers
        assert WRONG not in answer.body
    with ThreadPoolExecutor(10) as strangers:
        statuses = list(strangers.map(lambda _: running.ask("GET", "/ops/config", headers={ADMIN: WRONG}).status, range(30)))
    assert set(statuses) == {401, 429}
    assert running.order("GET", "/ops/config").status == 200
    assert running.token not in running.logs()


def test_without_a_configured_token_admin_is_disabled(tmp_path_factory: pytest.TempPathFactory, running: Stack) -> None:
    """`levqor web` alone makes no token; `up` does."""
    store = running.data / "store"
    port, password = ((store / name).read_text(encoding="ascii") for name in ("port", "password"))
    folder, alone = tmp_path_factory.mktemp("alone"), Stack(tmp_path_factory.mktemp("alone2"))
    alone.port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEVQOR_")}
    homes = {"LEVQOR_DATA": str(running.data), "LEVQOR_LOGS": str(folder), "LEVQOR_FLAGS": str(running.folder / "config" / "flags.json")}
    process = subprocess.Popen(
        [sys.executable, "-m", "levqor.cli", "web", "--no-autopilot", "--port", str(alone.port)],
        env={**environment, **homes, "REDIS_URL": f"redis://:{password}@127.0.0.1:{port}/0"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: "unreachable" not in alone.get("/livez"), 20, what="the lone web process")
        answer = alone.ask("POST", "/ops/autoscale/apply", {}, {ADMIN: "whatever-it-is"})
        assert (answer.status, "admin disabled" in answer.json["detail"]) == (503, True)
        assert alone.ask("GET", "/ops/autoscale/dryrun").status == 200
    finally:
        process.terminate()
        assert process.wait(20) == 0


WRONG_NUMBERS = ["abc", "-1", "nan", "NaN", "inf", "-inf", "1e400", "9" * 20_000, "", "0x10", "1,5", "null", "1e13"]
NAMES = ["queue_depth", "p95_ms", "p95_latency_ms", "error_rate", "spend_last_24h", "forecast_next_30d", "calm_for_s"]


@pytest.mark.parametrize("name", NAMES)
def test_what_ifs_that_are_no_numbers_name_their_field(running: Stack, name: str) -> None:
    for value in WRONG_NUMBERS:
        answer = running.ask("GET", f"/ops/autoscale/dryrun?{name}={value}")
        assert 400 <= answer.status < 500, (value[:20], answer)
        if len(value) < 1_000:
            assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (422, [name]), (value, answer)
        assert not value or len(value) < 3 or value not in answer.body, "the input is not repeated"


def test_what_ifs_twice_unknown_and_at_odds(running: Stack) -> None:
    for query, field in (("p95_ms=1&p95_latency_ms=2", "p95_latency_ms"), ("p95_ms=1&p95_ms=1", "p95_ms"), ("depth=1", "query")):
        answer = running.ask("GET", f"/ops/autoscale/dryrun?{query}")
        assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (422, [field])
    answer = running.ask("GET", "/ops/autoscale/dryrun?queue_depth=11&p95_ms=20&p95_latency_ms=20").json
    assert (answer["action"], answer["target"]) == ("scale_up", answer["current"] + 1)


@pytest.mark.parametrize("text", ['{"handler": "sleep", "payload": {"seconds": NaN}}', "[", "9" * 20_000, '{"handler": 5}', '{"a": 1}'])
def test_bodies_that_are_none_get_a_4xx(running: Stack, text: str) -> None:
    for method, path in (("POST", "/api/v1/intake"), ("POST", "/ops/autoscale/apply"), ("POST", "/ops/scale")):
        answer = running.ask(method, path, text, {ADMIN: running.token, "Content-Type": "application/json"})
        assert 400 <= answer.status < 500, (path, answer)
        assert "Traceback" not in answer.body


def test_the_same_key_acts_once_although_the_control_plane_is_killed_in_between(running: Stack) -> None:
    """Spec L3: intake and apply."""
    assert running.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200
    assert running.order("DELETE", "/ops/scale").status == 200
    assert running.order("DELETE", "/ops/holds").status == 200
    web, (job,) = running.child("web"), running.names(1)
    order = running.job(job, 0.01)
    first = running.ask("POST", "/api/v1/intake", order, {"Idempotency-Key": "a job"})
    applied = running.order("POST", "/ops/autoscale/apply", {}, **{"Idempotency-Key": "an apply"})
    assert (first.status, applied.status) == (202, 200)
    kill(web)
    eventually(lambda: running.child("web") != web and running.is_ready(), 20, what="the next control plane")
    again = running.ask("POST", "/api/v1/intake", order, {"Idempotency-Key": "a job"})
    reapplied = running.order("POST", "/ops/autoscale/apply", {}, **{"Idempotency-Key": "an apply"})
    assert (again.status, again.json) == (202, first.json)
    assert (reapplied.status, reapplied.json) == (200, applied.json)
    assert again.headers["idempotent-replayed"] == "true"
    other = running.ask("POST", "/api/v1/intake", running.job("another", 0.01), {"Idempotency-Key": "a job"})
    assert other.status == 422
    tally = running.finish([job])
    assert (tally.starts[job], tally.ends[job], tally.starts["another"]) == (1, 1, 0)
    assert len(running.sql("SELECT id FROM decisions WHERE json_extract(record, '$.kind') = 'apply'")) == 1
