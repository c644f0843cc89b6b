"""Verbs that look: every state has its own words, lost connections are shown (spec L2, S3, A11)."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console
from tests.fake_service import FakeService, decision, health, signal, status
from tests.unit.cli.conftest import Run

from levqor.cli import output
from levqor.cli.output import console
from levqor.cli.service import Service
from levqor.cli.status import Watcher, render
from levqor.cli.wording import say_signal
from levqor.settings import load


def test_status_tells_four_kinds_of_readings_apart(run: Run, service: FakeService) -> None:
    """S3: a value, no traffic, not configured and unknown are four different things."""
    out = run("status", "--url", service.url).out
    for words in ("no traffic", "not configured", "unknown: store down", "queue depth", "20 s old", "observe: it measures"):
        assert words in out
    assert "did nothing because neither pressed nor calm" in out
    assert "target 2, running 2" in out
    assert out.index("did nothing because") < out.index("queue depth")


def test_advice_alone_is_named_as_that(run: Run, service: FakeService) -> None:
    service.routes["GET", "/status"] = (200, status(fleet_kind="none"))
    assert "scales nothing" in run("status", "--url", service.url).out


def test_an_unknown_count_is_not_zero(run: Run, service: FakeService) -> None:
    service.routes["GET", "/status"] = (200, status(running=None, target=None, leader={"known": False}))
    service.routes["GET", "/ops/queue_health"] = (200, health(workers=None, queues=None, depth=None))
    out = run("status", "--url", service.url).out
    assert "target unknown, running unknown" in out
    assert "nobody decides now" in out
    assert "workers: unknown" in run("ps", "--url", service.url).out


def test_holds_flags_errors_and_advice_are_in_words(run: Run, service: FakeService) -> None:
    hold = {"id": 3, "kind": "person", "owner": "ada", "why": "deploy", "remaining_s": 5400}
    flags = {"state": "broken", "error": "not JSON", "values": None}
    service.routes["GET", "/status"] = (200, status(mode="held", holds=[hold], flags=flags, paused_queues=["mail"]))
    advice = "queue mail has 12 jobs and no worker: add it to QUEUES"
    service.routes["GET", "/ops/queue_health"] = (200, health(advice=[advice]))
    out = run("status", "--url", service.url).out
    assert "held by ada for 1 h 30 min more: deploy (hold 3)" in out
    assert "not JSON" in out
    assert "`levqor resume mail` ends it" in out
    assert advice in out
    assert advice in run("ps", "--url", service.url).err


def test_without_the_token_status_still_works(run: Run, service: FakeService) -> None:
    service.routes["GET", "/ops/autoscale/decisions"] = (401, {"detail": "no token"})
    said = run("status", "--url", service.url)
    assert said.code == 0
    assert "admin token" in said.out
    assert run("status", "--json", "--url", service.url).json["decisions"] is None


def test_ps_lists_workers_and_queues(run: Run, service: FakeService) -> None:
    out = run("ps", "--url", service.url).out
    for words in ("w1", "alpha", "41", "busy", "j-1", "default", "by ada: deploy"):
        assert words in out
    assert run("ps", "--json", "--url", service.url).json["workers"][0]["pid"] == 41


def test_watching_without_a_terminal_is_a_json_line_a_look(run: Run, service: FakeService) -> None:
    """L1: each line is one document with a schema."""
    said = run("status", "--watch", "--json", "--every", "0.2", "--count", "3", "--url", service.url)
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["schema"] for line in lines] == [1, 1, 1]
    assert lines[0]["target"] == 2


def test_watching_without_a_terminal_is_plain_text(run: Run, service: FakeService) -> None:
    said = run("status", "--watch", "--every", "0.2", "--count", "2", "--url", service.url)
    assert said.out.count("mode     observe") == 2
    assert "\x1b" not in said.out


def test_a_lost_connection_is_shown_with_the_last_answer(service: FakeService) -> None:
    with Service(load(environ={}).settings, service.url) as asked:
        watcher = Watcher(asked, lambda: datetime(2026, 3, 1, 3, 12, tzinfo=UTC))
        assert watcher.look().lost == ""
        service.close()
        asked._client.close()
        snapshot = Watcher(Service(load(environ={}).settings, service.url), watcher.now, watcher.last).look()
    screen = console()
    with screen.capture() as captured:
        screen.print(render(snapshot))
    assert "CONNECTION LOST: no service answers" in captured.get()
    assert "target 2, running 2" in captured.get()
    assert snapshot.as_dict()["lost"]


def test_why_answers_in_sentences(run: Run, service: FakeService) -> None:
    """A11: why did it (not) scale at 03:12?"""
    reasons = [
        {"code": "depth_high", "text": "depth 14 > 10", "votes": True},
        {"code": "not_configured", "text": "no spend limit", "votes": False},
    ]
    inputs = {"queue_depth": signal(14, age_s=1.2), "p95_ms": signal(None, "unknown", None, "store down")}
    record = decision("scale_up", 2, 3, reasons=reasons, inputs=inputs, mode="observe", applied=False, why_not="AUTOSCALE_ENABLED is off")
    service.routes["GET", "/ops/autoscale/decisions/at"] = (200, record)
    out = run("why", "2026-03-01T03:12:05Z", "--url", service.url).out
    for words in (
        "a step up from 2 to 3.",
        "Because depth 14 > 10.",
        "Noted, without a vote: no spend limit.",
        "queue depth: 14 (1.2 s old)",
        "P95: unknown: store down",
        "What would have changed it: up needs depth 11, now 0.",
        "It did not act: AUTOSCALE_ENABLED is off.",
    ):
        assert words in out
    assert datetime.fromisoformat(service.asked[-1].query["time"]) == datetime(2026, 3, 1, 3, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (decision("scale_down", 3, 2, applied=True), "It acted: the target became 2."),
        (decision("hold"), "There was nothing to act on."),
        (decision("scale_up", 2, 3, mode="observe"), "It did not act: it only observes while AUTOSCALE_ENABLED is off."),
        (decision("freeze"), "freeze, no step up is made at this spend."),
    ],
)
def test_why_says_whether_it_acted(run: Run, service: FakeService, record: dict[str, object], words: str) -> None:
    service.routes["GET", "/ops/autoscale/decisions/at"] = (200, record)
    assert words in run("why", "10m", "ago", "--url", service.url).out


def test_decisions_are_a_line_each(run: Run, service: FakeService) -> None:
    held = decision("scale_down", 3, 2, applied=False, why_not="held by ada")
    rows = [decision("scale_up", 2, 3, applied=True), held, decision("freeze")]
    service.routes["GET", "/ops/autoscale/decisions"] = (200, {"decisions": rows})
    said = run("autoscale", "decisions", "--since", "1h ago", "--all", "--limit", "5", "--url", service.url)
    lines = said.out.splitlines()
    assert len(lines) == 3
    assert "step up 2 -> 3" in lines[0]
    assert "would step down 3 -> 2" in lines[1]
    assert "not applied: held by ada" in lines[1]
    assert "frozen at 2" in lines[2]
    assert service.asked[-1].query["changes"] == "false"


def test_config_show_works_offline_and_masks_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """F2: each value's source; X2: no secret is printed."""
    monkeypatch.setenv("ADMIN_TOKEN", "a-long-secret")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@db:6379/0")
    monkeypatch.setenv("API_KEYS", "key-one,key-two")
    monkeypatch.setenv("LEVQOR_PORT", "9001")
    said = run("config", "show", "--json")
    rows = said.json["settings"]
    assert (rows["PORT"]["value"], rows["PORT"]["source"]) == (9001, "LEVQOR_PORT")
    assert rows["HOST"]["source"] == "default"
    table = run("config", "show").out
    for text in (said.out, table):
        assert not any(secret in text for secret in ("a-long-secret", "hunter2", "key-one"))
    assert "LEVQOR_PORT" in table
    assert run("config", "show", "port").out.split()[-2:] == ["9001", "LEVQOR_PORT"]
    assert run("config", "show", "nope").code == 1


def test_colours_are_off_when_asked(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1: NO_COLOR, even where colours are forced on."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;33m" in run("status", "--url", service.url).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "33m" not in run("status", "--url", service.url).out


def test_on_a_terminal_the_watch_is_live(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    monkeypatch.setattr(output, "console", lambda **_: Console(file=screen, force_terminal=True, width=120, height=50))
    assert run("status", "--watch", "--every", "0.2", "--count", "2", "--url", service.url).code == 0
    assert screen.getvalue().count("observe") >= 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("p95_ms", 7.25, "7.2 ms"),
        ("p95_ms", 151.4, "151 ms"),
        ("error_rate", 0.0123, "1.23 %"),
        ("oldest_wait_s", 90, "90 s"),
        ("spend_last_24h", 1.5, "1.50"),
        ("queue_depth", 12, "12"),
        ("request_rate", 0.5, "0.5"),
    ],
)
def test_numbers_carry_their_unit(name: str, value: float, words: str) -> None:
    assert say_signal(name, signal(value)) == words


def test_a_value_without_a_number_is_unknown() -> None:
    assert say_signal("queue_depth", {"state": "value", "value": None}) == "unknown"


@pytest.mark.parametrize("arguments", [("autoscale", "dryrun"), ("autoscale", "decisions"), ("why",), ("ps",), ("status",)])
def test_every_answer_is_json_with_a_schema(run: Run, service: FakeService, arguments: tuple[str, ...]) -> None:
    """L1."""
    service.routes["GET", "/ops/autoscale/dryrun"] = (200, decision())
    service.routes["GET", "/ops/autoscale/decisions/at"] = (200, decision())
    said = run(*arguments, "--json", "--url", service.url)
    assert (said.code, said.err) == (0, "")
    assert said.json["schema"] == 1


def test_no_decision_is_said(run: Run, service: FakeService) -> None:
    service.routes["GET", "/ops/autoscale/decisions"] = (200, {"decisions": []})
    said = run("autoscale", "decisions", "--url", service.url)
    assert (said.code, said.out) == (0, "")
    assert "no decision" in said.err
