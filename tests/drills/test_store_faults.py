"""The store is down, hangs, or is emptied: Levqor answers, says what is unknown, and takes no worker away (spec S3, X3)."""

import signal
from collections.abc import Iterator

import pytest
from tests.conftest import Valkey
from tests.drills.conftest import begun
from tests.drills.stack import Answer, Stack
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

MOST = 4
QUIET_S = 2
TICKS = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A store that nobody starts again but we."""
    server = Valkey(tmp_path_factory.mktemp("store"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, store: Valkey) -> Iterator[Stack]:
    """Ready to step down after two seconds of calm: only what is unknown keeps it from that.

    A refusal that waited for a store that hangs is a slow request, and rightly not calm; here it is not to be the reason.
    """
    settings = {"SCALE_DOWN_QUIET_S": str(QUIET_S), "SCALE_DOWN_P95_MS": "5000", "SCALE_UP_P95_MS": "10000", "REDIS_URL": store.url}
    with begun(tmp_path_factory.mktemp("store-faults") / "stack", **settings) as stack:
        assert stack.order("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}).status == 200
        yield stack


@pytest.fixture
def four(running: Stack) -> Stack:
    """Four workers, held there until the fault is made."""
    assert running.order("POST", "/ops/scale", {"count": MOST, "why": "a drill"}).status == 200
    eventually(lambda: running.is_settled(MOST), 60, what="four workers")
    return running


def ticks_since(stack: Stack, last: int) -> list[tuple[str, bool, str]]:
    return [(row[0], bool(row[1]), row[2]) for row in stack.sql("SELECT action, applied, record FROM decisions WHERE id > ?", last)]


def last_id(stack: Stack) -> int:
    return int(stack.sql("SELECT max(id) FROM decisions")[0][0])


def ask_everything(stack: Stack) -> dict[str, Answer]:
    """What people and probes ask, while the store is away. Each has an answer without a traceback."""
    paths = ("/livez", "/status", "/ops/autoscale/dryrun", "/ops/queue_health", "/readyz", "/metrics", "/api/v1/status/x", "/")
    answers = {path: stack.ask("GET", path, timeout_s=10) for path in paths}
    answers["intake"] = stack.ask("POST", "/api/v1/intake", stack.job("refused", 0), timeout_s=10)
    assert not [path for path, answer in answers.items() if "Traceback" in answer.body or answer.status == 500], answers
    assert stack.ask("GET", "/livez", timeout_s=1).status == 200, "liveness asks nobody"
    return answers


def check_blind(stack: Stack) -> None:
    """It says what it does not know, and moves nothing."""
    assert stack.order("DELETE", "/ops/scale").status == 200  # from here on nothing but the unknown holds it
    begin = last_id(stack)
    answers = ask_everything(stack)
    assert (answers["/status"].status, answers["/ops/autoscale/dryrun"].status) == (200, 200)
    assert {"queue_depth", "p95_ms", "running"} <= set(answers["/status"].json["unknown"])
    assert answers["/status"].json["target"] == MOST
    decision = answers["/ops/autoscale/dryrun"].json
    assert decision["action"] == "hold"
    assert {reason["text"].split(" ")[0] for reason in decision["reasons"] if reason["code"] == "unknown"} >= {"queue_depth", "p95_ms"}
    assert {decision["inputs"][name]["state"] for name in ("queue_depth", "p95_ms")} == {"unknown"}
    health = answers["/ops/queue_health"].json
    assert health["depth"] is None
    assert "depth" in health["unknown"]
    assert (answers["/readyz"].status, answers["intake"].status, answers["/api/v1/status/x"].status) == (503, 503, 503)
    eventually(lambda: len(ticks_since(stack, begin)) >= TICKS, 60, what="ticks without a store")
    assert {(action, applied) for action, applied, _ in ticks_since(stack, begin)} == {("hold", False)}
    assert (stack.target(), len(stack.worker_pids())) == (MOST, MOST)


def check_well(stack: Stack, before: set[int]) -> None:
    """Jobs flow on the same workers, and what kept the fleet was nothing but the unknown: now it steps down."""
    eventually(stack.is_ready, 20, what="/readyz")
    stack.finish([stack.accept("afterwards", 0.01)])
    assert before >= stack.worker_pids(), "no worker was replaced"
    eventually(lambda: stack.target() == 1, 60, what="steps down")
    eventually(lambda: stack.is_settled(1), 30, what="the fleet to follow")


def test_a_store_that_is_down(four: Stack, store: Valkey) -> None:
    before = four.worker_pids()
    store.kill()
    check_blind(four)
    store.start()
    check_well(four, before)


def test_a_store_that_hangs(four: Stack, store: Valkey) -> None:
    before = four.worker_pids()
    store.pause()
    try:
        check_blind(four)
    finally:
        store.process is not None and store.process.send_signal(signal.SIGCONT)  # type: ignore[func-returns-value]
    check_well(four, before)


def test_a_store_that_is_emptied(four: Stack, store: Valkey) -> None:
    """All telemetry is gone: a minute of unknown, and not one of calm. The target is handed on anew."""
    before, begin = four.worker_pids(), last_id(four)
    with store.client as client:
        client.flushall()
        assert four.order("DELETE", "/ops/scale").status == 200
        ask_everything(four)
        eventually(lambda: client.hget("levqor:target:default", "target") == b"4", what="the target in the store")
    stack = four
    eventually(lambda: "p95_ms" in stack.get("/status").get("unknown", ()), 15, what="the unknown minute")
    begin = last_id(stack)
    stack.finish([stack.accept("afterwards", 0.01)])
    eventually(lambda: len(ticks_since(stack, begin)) >= 3 * TICKS, 60, what="ticks without telemetry")
    assert not [1 for action, applied, _ in ticks_since(stack, begin) if applied or action == "scale_down"]
    eventually(lambda: len(stack.get("/ops/queue_health").get("workers") or ()) == MOST, 30, what="all workers known again")
    assert (stack.target(), stack.worker_pids()) == (MOST, before)
