"""What each check reads in an answer, and by what right it asks (spec V1, X1)."""

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.unit.verify.answers import GOOD, TOKEN, answering, changed, without

from levqor.host import SystemClock
from levqor.settings import Settings
from levqor.verify.checks import Outcome, Result, perform
from levqor.verify.integrity import Premises
from levqor.verify.public import INTAKE
from levqor.verify.report import junit, report
from levqor.verify.suites import Suite, run, stages
from levqor.verify.target import Place, Target, place_of

ELSEWHERE = "127.1"
"""Leads to this machine and is none of its own names: an installation beyond it, for whoever looks at the address."""


def premises() -> Premises:
    return Premises(database=None, logs=Path("nowhere"), clock=SystemClock(), verify_backup=None, schedule_gaps=None)


def verified(suite: Suite, place: Place, timeout_s: float = 5.0) -> dict[str, Result]:
    clock = SystemClock()
    target = Target(place, timeout_s, clock)
    results = list(run(stages(suite, target, premises()), 60.0, clock, str))
    target.close()
    return {result.id: result for result in results}


def here(url: str, **more: Any) -> Place:
    return Place(url, **{"token": TOKEN, "api_key": None, "is_local": True, **more})


@pytest.mark.parametrize("suite", [Suite.PUBLIC, Suite.V6_2, Suite.OPS])
def test_an_installation_as_the_contract_says_passes(suite: Suite) -> None:
    """V1."""
    service = answering()
    found = verified(suite, here(service.url))
    service.close()
    assert {result.outcome for result in found.values()} == {Outcome.PASS}, found


P, V, OPS = Suite.PUBLIC, Suite.V6_2, Suite.OPS
DRYRUN, RETENTION, FORECAST, QUEUES = "/ops/autoscale/dryrun", "/admin/retention", "/ops/cost/forecast", "/ops/queue_health"
DAY = {"day": "2026-02-28", "dau": 1, "wau": 2, "mau": 3}
WRONG = [
    (P, "health", {"/healthz": {"status": "meh"}}, "/healthz says status meh"),
    (P, "health", {"/health": (500, {"detail": "boom"})}, "GET /health answered 500: boom"),
    (P, "health", {"/livez": [1]}, "GET /livez answered list, not an object"),
    (P, "readiness", {"/readyz": (503, {"ok": False, "checks": {"store": {"ok": False, "detail": "gone"}}})}, "not ready; store: gone"),
    (P, "readiness", {"/readyz": {"ok": "yes"}}, "not ready"),
    (P, "status", changed("/status", mode="unknown"), "mode unknown"),
    (P, "status", changed("/status", flags={"state": "broken", "error": "line 3"}), "the flags file: line 3"),
    (P, "status", changed("/status", unknown=[]), "signal p95_ms: state unknown, and `unknown` says otherwise"),
    (P, "status", changed("/status", signals={"x": {"state": "value", "value": None}}, unknown=[]), "signal x: state value, value null"),
    (P, "openapi", {"/openapi.json": {"openapi": "3.1.0", "paths": {"/livez": {}, INTAKE: {}}}}, "no /readyz, /status"),
    (P, "metrics", {"/metrics": b"levqor_info{ 1\n"}, "not Prometheus' text format"),
    (P, "metrics", {"/metrics": b"other 1\n"}, "no levqor_info"),
    (P, "job", {"/api/v1/intake": (503, {"detail": "the broker does not answer"})}, "POST /api/v1/intake answered 503: the broker"),
    (P, "job", {"/api/v1/status/j1": {"job_id": "j1", "status": "dead"}}, "the job is dead after"),
    (P, "job", {"/api/v1/status/j1": {"job_id": "j2", "status": "succeeded"}}, "the status is of another job"),
    (V, "uptime", changed("/ops/uptime", started_at="2026-03-01T12:00:00"), "started_at has no offset"),
    (V, "uptime", changed("/ops/uptime", availability={"1h": 1.2}), "availability over 1h is 1.2"),
    (V, "uptime", changed("/ops/uptime", uptime_s=None), "uptime_s is null"),
    (V, "queue_health", changed(QUEUES, depth=None), "depth is null, and `unknown` does not name it"),
    (V, "queue_health", changed(QUEUES, depth=None, unknown=["depth"]), "unknown: depth"),
    (V, "queue_health", changed(QUEUES, dead="0"), "dead is '0' (str)"),
    (V, "queue_health", changed(QUEUES, workers=[{"pid": 1}]), "a worker without host, state, job"),
    (V, "billing_health", {"/billing/health": (503, {"status": "down", "detail": "stripe"})}, "status down: stripe"),
    (V, "analytics", changed("/admin/analytics", users={"total": 3}), "no `new_7d` in the answer"),
    (V, "analytics", changed("/admin/analytics", users={**GOOD["/admin/analytics"]["users"], "new_30d": 4}), "of 3 users, 4 are new"),
    (OPS, "dryrun", changed(DRYRUN, action="explode"), "action is 'explode' (str)"),
    (OPS, "dryrun", changed(DRYRUN, action="scale_up"), "action scale_up from 2 to 2"),
    (OPS, "dryrun", changed(DRYRUN, current="2"), "current is '2' (str)"),
    (OPS, "dryrun", changed(DRYRUN, reasons=[]), "no reason"),
    (OPS, "dryrun", without(DRYRUN, "inputs"), "no `inputs` in the answer"),
    (OPS, "recover", changed("/ops/recover", ok=False), "ok is False"),
    (OPS, "recover", changed("/ops/recover", recovered=True), "recovered is True"),
    (OPS, "retention", changed(RETENTION, metrics=[{**DAY, "dau": "1"}]), "dau is '1' (str)"),
    (OPS, "retention", changed(RETENTION, metrics=[{**DAY, "mau": 3.0}]), "mau is 3.0 (float)"),
    (OPS, "retention", changed(RETENTION, metrics=[{**DAY, "dau": True}]), "dau is True (bool)"),
    (OPS, "retention", changed(RETENTION, metrics=[{**DAY, "dau": 9}]), "dau 9, wau 2, mau 3"),
    (OPS, "retention", changed(RETENTION, metrics=[DAY, DAY]), "the days are not the newest first, each once"),
    (OPS, "retention", changed(RETENTION, metrics={"day": 1}), "metrics is {'day': 1} (dict)"),
    (OPS, "forecast", changed(FORECAST, forecast_next_30d=float("nan")), "GET /ops/cost/forecast answered no JSON: NaN is not JSON"),
    (OPS, "forecast", changed(FORECAST, forecast_next_30d="30"), "forecast_next_30d is '30' (str)"),
    (OPS, "forecast", changed(FORECAST, forecast_next_30d=None), "forecast_next_30d is null"),
    (OPS, "forecast", changed(FORECAST, confidence_low=None, confidence_high=None), "confidence_low is null"),
    (OPS, "forecast", changed(FORECAST, confidence_high=20.0), "30 is not between 24 and 20"),
]  # fmt: skip


@pytest.mark.parametrize(("suite", "check", "wrong", "seen"), WRONG, ids=[f"{row[1]}-{number}" for number, row in enumerate(WRONG)])
def test_an_answer_that_is_not_as_promised_fails_its_check_alone(suite: Suite, check: str, wrong: dict[str, Any], seen: str) -> None:
    """V1: the answer is read, not only its status."""
    service = answering(**wrong)
    found = verified(suite, here(service.url))
    service.close()
    assert {name: result.outcome for name, result in found.items() if result.outcome is not Outcome.PASS} == {check: Outcome.FAIL}
    assert seen in found[check].seen


def test_no_retention_yet_passes_as_empty() -> None:
    """V1."""
    service = answering(**changed(RETENTION, metrics=[]))
    found = verified(Suite.OPS, here(service.url))["retention"]
    service.close()
    assert (found.outcome, found.seen) == (Outcome.PASS, "empty")


def test_a_forecast_without_an_interval_says_that_it_has_too_little_history() -> None:
    """V1, C2."""
    service = answering(**changed(FORECAST, forecast_next_30d=0.0, confidence_low=None, confidence_high=None, low_data=True))
    found = verified(Suite.OPS, here(service.url))["forecast"]
    service.close()
    assert (found.outcome, found.seen) == (Outcome.PASS, "0 (too little history for an interval), method linear")


def test_beyond_this_machine_what_cannot_be_asked_or_seen_is_skipped_and_never_passes() -> None:
    """V1: a host name that leads to loopback is no name of this machine."""
    service = answering()
    url = service.url.replace("127.0.0.1", ELSEWHERE)
    place = place_of(Settings(admin_token=TOKEN), url)
    found = verified(Suite.INTEGRITY, place)
    service.close()
    skipped = {name for name, result in found.items() if result.outcome is Outcome.SKIP}
    machine = {
        "schema",
        "monitors",
        "scripts",
        "database_engine",
        "database_rows",
        "backup",
        "log_lines",
        "log_continuity",
        "schedule_gaps",
    }
    assert skipped == {"job"} | machine
    assert {result.outcome for name, result in found.items() if name not in skipped} == {Outcome.PASS}
    assert not [asked for asked in service.asked if "intake" in asked.path]
    with_key = place_of(Settings(admin_token=TOKEN, api_keys="key-1234"), url)
    service = answering()
    found = verified(Suite.PUBLIC, Place(service.url.replace("127.0.0.1", ELSEWHERE), TOKEN, with_key.api_key, is_local=False))
    assert found["job"].outcome is Outcome.PASS
    assert service.last("POST", "/api/v1/intake").headers["x-api-key"] == "key-1234"
    service.close()


def test_a_stranger_is_told_what_he_could_not_see_and_an_operator_without_a_token_fails() -> None:
    """V1, X0b."""
    service = answering()
    stranger = Place(service.url.replace("127.0.0.1", ELSEWHERE), None, None, is_local=False)
    smoke, operator = verified(Suite.PUBLIC, stranger), verified(Suite.V6_2, stranger)
    service.close()
    assert {name for name, result in smoke.items() if result.outcome is Outcome.SKIP} == {"status", "openapi", "metrics", "job"}
    assert {name for name, result in operator.items() if result.outcome is Outcome.FAIL} == {"queue_health", "billing_health", "analytics"}
    assert operator["analytics"].seen == "no admin token to ask with: set ADMIN_TOKEN"


def test_the_local_token_stays_on_this_machine(tmp_path: Path) -> None:
    """V1: ADMIN_TOKEN goes where the operator says, the file's token only to this machine's own names."""
    (tmp_path / "admin_token").write_text("from-the-file\n", encoding="utf-8")
    settings = Settings(data=tmp_path)
    assert place_of(settings, None).token == "from-the-file"
    assert [place_of(settings, f"http://{name}:1").token for name in ("localhost", "127.0.0.1", "[::1]")] == ["from-the-file"] * 3
    for name in ("127.1", "localhost.example.com", "example.com", "127.0.0.2", "127.0.0.1@example.com", "0.0.0.0"):
        place = place_of(settings, f"https://{name}")
        assert (place.token, place.is_local) == (None, False), name
    assert place_of(Settings(data=tmp_path, admin_token="set-by-hand"), "https://example.com").token == "set-by-hand"


@pytest.mark.parametrize("url", ["example.com", "ftp://x", "http://", "http://x:0", "http://x/?a=1", "http://x/#a", "http://x y"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        place_of(Settings(), url)


def test_a_prefix_is_kept_and_a_password_not_shown() -> None:
    """E3: BASE_PATH."""
    place = place_of(Settings(), "https://me:geheim@example.com/levqor/")
    assert place.url.endswith("example.com/levqor")
    assert place.shown_url == "https://example.com/levqor"


def test_a_redirect_is_no_answer_and_takes_no_token_along() -> None:
    """X1."""
    service = answering(**{RETENTION: (307, {"detail": "over there"})})
    found = verified(Suite.OPS, here(service.url))["retention"]
    service.close()
    assert (found.outcome, found.seen) == (Outcome.FAIL, "GET /admin/retention answered 307: over there")


def test_a_head_that_drips_without_an_end_is_a_failure_and_no_hang() -> None:
    """V1: no time-out of the HTTP client's ends this, since a byte comes before each."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.wait(0.02):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        target = Target(here(f"http://127.0.0.1:{listener.getsockname()[1]}"), 0.1, SystemClock())
        found = perform(stages(Suite.OPS, target, premises())[0].checks[0], "ops", 0.3, SystemClock(), str)
        over.set()
        thread.join(10)
    target.close()
    assert (found.outcome, found.seen) == (Outcome.FAIL, "nothing: it did not end within 0.3 s")


def test_junit_can_be_read_and_counts_right() -> None:
    """V1."""
    service = answering(**changed(DRYRUN, action='<&"\x00\ud800>'))
    clock = SystemClock()
    target = Target(here(service.url), 5.0, clock)
    todo = stages(Suite.OPS, target, premises())
    results = list(run(todo, 60.0, clock, str))
    target.close()
    service.close()
    top = ET.fromstring(junit(report("ops", "http://x", clock.now(), 1.0, todo, results), results))  # noqa: S314 (our own)
    assert (top.get("tests"), top.get("failures"), top.get("skipped")) == ("4", "1", "0")
    failed = top.find("./testsuite[@name='ops']/testcase[@name='dryrun']/failure")
    assert failed is not None
    assert "action is" in str(failed.get("message"))
    assert json.loads(json.dumps(report("ops", "http://x", clock.now(), 1.0, todo, results)))["failed_at"] == "ops"
