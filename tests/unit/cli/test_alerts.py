"""`alerts list`, `alerts test`, the settings of alerts and what `doctor` says of them."""

import base64
from typing import Any

import pytest
from tests.fake_service import FakeService
from tests.unit.cli.conftest import Run

from levqor.bootstrap.alerts import alert_channels
from levqor.cli.doctor import check_alerts
from levqor.domain.errors import SettingsError
from levqor.host import SystemClock
from levqor.settings import describe, load

SECRET = "whsec_" + base64.b64encode(b"hunter2" * 5).decode()
SENT = {"channel": "telegram", "state": "sent", "attempts": 1, "due_in_s": None, "last_at": None, "error": None}
PENDING = {"channel": "webhook", "state": "pending", "attempts": 2, "due_in_s": 9.0, "last_at": None, "error": "the receiver answered 500"}
ALERT: dict[str, Any] = {
    "id": 3,
    "created_at": "2026-03-01T12:00:00Z",
    "severity": "page",
    "title": "Open: agent",
    "deliveries": [SENT, PENDING],
}

REMINDER = {
    **ALERT,
    "kind": "reminder",
    "title": "Still open",
    "deliveries": [{**SENT, "state": "pending", "attempts": 0, "due_in_s": 3600.0}],
}


def channels(**environ: str) -> list[str]:
    return [channel.name for channel in alert_channels(load(environ=environ).settings, SystemClock())]


def test_alerts_are_listed_with_what_became_of_them(run: Run, service: FakeService) -> None:
    service.routes["GET", "/ops/alerts"] = (200, {"channels": [{"channel": "telegram"}], "alerts": [ALERT, REMINDER]})
    said = run("alerts", "list", "--limit", "5", "--url", service.url)
    assert said.code == 0
    assert said.out.splitlines() == [
        "2026-03-01T12:00:00Z  page    Open: agent",
        "    telegram: sent",
        "    webhook: pending; the receiver answered 500; next attempt in 9 s",
        "2026-03-01T12:00:00Z  page    to come: Still open",
        "    telegram: pending; next attempt in 1 h",
    ]
    assert service.last("GET", "/ops/alerts").query == {"limit": "5"}
    assert run("alerts", "list", "--json", "--url", service.url).json["schema"] == 1


def test_without_channels_it_says_so(run: Run, service: FakeService) -> None:
    service.routes["GET", "/ops/alerts"] = (200, {"channels": [], "alerts": []})
    said = run("alerts", "list", "--url", service.url)
    assert (said.out, "no channel is configured" in said.err) == ("", True)


@pytest.mark.parametrize(("deliveries", "is_ok", "code"), [([SENT], True, 0), ([SENT, PENDING], False, 1)])
def test_a_test_that_does_not_arrive_everywhere_has_failed(
    run: Run, service: FakeService, deliveries: list[dict[str, Any]], is_ok: bool, code: int
) -> None:
    """L1."""
    service.routes["POST", "/ops/alerts/test"] = (200, {"ok": is_ok, "alert_id": 1, "deliveries": deliveries})
    assert run("alerts", "test", "--url", service.url).code == code
    assert run("alerts", "test", "--json", "--url", service.url).json["deliveries"] == deliveries


def test_a_dry_run_sends_nothing(run: Run, service: FakeService) -> None:
    service.routes["GET", "/ops/alerts"] = (200, {"channels": [{"channel": "telegram"}], "alerts": []})
    said = run("alerts", "test", "--dry-run", "--url", service.url)
    assert (said.code, "telegram" in said.out, service.acts()) == (0, True, [])


def test_without_a_channel_a_test_is_a_matter_of_settings(run: Run, service: FakeService) -> None:
    service.routes["POST", "/ops/alerts/test"] = (422, {"detail": "no channel is configured: set TELEGRAM_BOT_TOKEN"})
    assert run("alerts", "test", "--url", service.url).code == 2


def test_channels_are_those_that_are_set() -> None:
    """I8, F2."""
    assert channels() == []
    assert channels(TELEGRAM_BOT_TOKEN="t") == []
    assert channels(TELEGRAM_BOT_TOKEN="t", LEVQOR_TELEGRAM_CHAT_ID="1") == ["telegram"]
    assert channels(ALERT_WEBHOOK_URL="https://host/hook", ALERT_WEBHOOK_SECRET=SECRET) == ["webhook"]
    urls = "mailto://a:b@mail.test?to=c@d.test,e@f.test, slack://x/y/z,jsons://user@host"
    assert channels(ALERT_URLS=urls) == ["mailto-1", "slack-2", "jsons-3"], "a comma inside an address separates nothing"


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"ALERT_WEBHOOK_URL": "https://host/hunter2"}, "ALERT_WEBHOOK_SECRET"),
        ({"ALERT_WEBHOOK_URL": "ftp://host/hunter2", "ALERT_WEBHOOK_SECRET": SECRET}, "ALERT_WEBHOOK_URL"),
        ({"ALERT_WEBHOOK_URL": "http://", "ALERT_WEBHOOK_SECRET": SECRET}, "ALERT_WEBHOOK_URL"),
        ({"ALERT_WEBHOOK_URL": "http://host:hunter2/", "ALERT_WEBHOOK_SECRET": SECRET}, "ALERT_WEBHOOK_URL"),
        ({"ALERT_WEBHOOK_SECRET": "hunter2"}, "ALERT_WEBHOOK_SECRET"),
        ({"ALERT_URLS": "hunter2"}, "ALERT_URLS"),
        ({"TELEGRAM_API_BASE": "api.telegram.org"}, "TELEGRAM_API_BASE"),
    ],
)
def test_a_wrong_setting_is_named_and_not_repeated(environ: dict[str, str], named: str) -> None:
    """F2, X2."""
    with pytest.raises(SettingsError) as caught:
        load(environ=environ)
    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    """X2."""
    environ = {
        "TELEGRAM_BOT_TOKEN": "hunter2",
        "TELEGRAM_CHAT_ID": "hunter2",
        "ALERT_WEBHOOK_URL": "https://hunter2/",
        "ALERT_WEBHOOK_SECRET": SECRET,
        "ALERT_URLS": "mailto://hunter2@host",
    }
    configuration = load(environ=environ)
    assert "hunter2" not in f"{describe(configuration)} {configuration.settings!r}"
    assert SECRET not in f"{describe(configuration)} {configuration.settings!r}"
    assert not any("hunter2" in repr(channel) for channel in alert_channels(configuration.settings, SystemClock()))


@pytest.mark.parametrize(
    ("environ", "state", "words"),
    [
        ({}, "warn", "nobody is told"),
        ({"TELEGRAM_BOT_TOKEN": "t"}, "warn", "TELEGRAM_CHAT_ID"),
        ({"TELEGRAM_BOT_TOKEN": "t", "TELEGRAM_CHAT_ID": "1"}, "ok", "telegram"),
    ],
)
def test_doctor_says_whether_anybody_is_told(environ: dict[str, str], state: str, words: str) -> None:
    """L2: each finding that is not ok with the line that mends it."""
    finding = check_alerts(load(environ=environ).settings)
    assert finding.state == state
    assert words in finding.detail
    assert finding.mend or state == "ok"


def test_doctor_misses_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("levqor.cli.doctor.find_spec", lambda _name: None)
    finding = check_alerts(load(environ={"ALERT_URLS": "mailto://a@b.test"}).settings)
    assert (finding.state, "levqor[alerts]" in finding.mend) == ("fail", True)
