"""I8, X2, X4: each channel against a server that speaks its protocol, and against servers that do not behave."""

import base64
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes

import pytest
from tests.clock import ManualClock
from tests.conftest import free_port
from tests.integration.alert_servers import MailServer, Receiver, TelegramApi, silent_server

from levqor.alerts.apprise import Apprise
from levqor.alerts.post import retry_after_s
from levqor.alerts.telegram import Telegram, shortened
from levqor.alerts.webhook import Webhook
from levqor.domain.alerts import Alert, Severity
from levqor.domain.errors import DeliveryError

# Apprise imports a module that Python 3.13 has dropped, and makes do without it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

ALERT = Alert(
    id=7,
    key="crash_loop",
    kind="opened",
    severity=Severity.PAGE,
    title="Open: crash_loop",
    text="workers keep dying: 5 in 10 minutes",
    created_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
)
SECRETS = (TelegramApi.TOKEN, TelegramApi.CHAT, Receiver.SECRET, Receiver.SECRET[6:], "hunter2", "path-token")


@pytest.fixture
def api() -> Iterator[TelegramApi]:
    server = TelegramApi()
    yield server
    server.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def receiver(clock: ManualClock) -> Iterator[Receiver]:
    server = Receiver(lambda: clock.now().timestamp())
    yield server
    server.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """X2, whatever a test does."""
    caplog.set_level(logging.DEBUG)
    yield
    assert not [secret for secret in SECRETS if secret in caplog.text]


def telegram(base: str, token: str = TelegramApi.TOKEN, deadline_s: float = 5.0) -> Telegram:
    return Telegram(token, TelegramApi.CHAT, base, deadline_s=deadline_s)


def failure_of(channel: Telegram | Webhook | Apprise, alert: Alert = ALERT) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.send(alert)
    seen = [str(caught.value), repr(caught.value), repr(caught.value.__cause__), repr(caught.value.args)]
    assert not [secret for secret in SECRETS if any(secret in text for text in seen)]
    assert caught.value.__cause__ is None, "an error that follows another one would show it, with its address, in a traceback"
    return caught.value


def traits(error: DeliveryError) -> tuple[bool, bool]:
    return error.permanent, error.unknown


def test_telegram_takes_a_message(api: TelegramApi) -> None:
    telegram(api.url).send(ALERT)
    message = api.messages[0]
    assert message["text"].startswith("[page] Open: crash_loop\nworkers keep dying: 5 in 10 minutes\n")
    assert message["disable_notification"] is False
    telegram(api.url).send(replace(ALERT, severity=Severity.TICKET, is_repeat=True))
    assert "(possible repeat)" in api.messages[1]["text"]
    assert api.messages[1]["disable_notification"] is True


def test_telegram_gets_no_more_than_it_takes(api: TelegramApi) -> None:
    telegram(api.url).send(replace(ALERT, text="x" * 5000))
    telegram(api.url).send(replace(ALERT, text="\N{FIRE}" * 4000))
    assert [len(message["text"].encode("utf-16-le")) // 2 <= 4096 for message in api.messages] == [True, True]


@pytest.mark.parametrize(("text", "units", "kept"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("\N{FIRE}\N{FIRE}", 4, "\N{FIRE}" * 2)])
def test_a_text_is_shortened_by_units_of_utf_16(text: str, units: int, kept: str) -> None:
    assert shortened(text, units) == kept
    assert shortened("\N{FIRE}" * 3, 4) == "\N{FIRE}…", "half a character is none"


def test_telegram_asks_to_wait(api: TelegramApi) -> None:
    api.flood_s = 17
    error = failure_of(telegram(api.url))
    assert (*traits(error), error.retry_after_s) == (False, False, 17.0)


def test_telegram_refuses_for_good(api: TelegramApi) -> None:
    wrong_token = failure_of(telegram(api.url, token="999:path-token"))
    assert (*traits(wrong_token), "TELEGRAM_BOT_TOKEN" in str(wrong_token)) == (True, False, True)
    wrong_chat = failure_of(Telegram(TelegramApi.TOKEN, "hunter2", api.url))
    assert (*traits(wrong_chat), "chat not found" in str(wrong_chat)) == (True, False, True)


@pytest.mark.parametrize("status", [500, 502])
def test_telegram_is_ill(api: TelegramApi, status: int) -> None:
    api.status = status
    assert traits(failure_of(telegram(api.url))) == (False, False)


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000], ids=["silent", "dripping"])
def test_a_server_that_never_ends_its_answer_meets_the_deadline(drip: bytes, clock: ManualClock) -> None:
    """A drip keeps any timeout of the socket alive; the deadline is for all of it."""
    with silent_server(drip) as port:
        started = time.monotonic()
        for channel in (
            telegram(f"http://127.0.0.1:{port}", deadline_s=0.4),
            Webhook(f"http://127.0.0.1:{port}/path-token", Receiver.SECRET, clock, deadline_s=0.4),
        ):
            assert traits(failure_of(channel)) == (False, True), "it may have arrived"
        assert time.monotonic() - started < 20


def test_nothing_left_when_the_connection_was_refused(clock: ManualClock) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert traits(failure_of(telegram(url))) == (False, False)
    assert traits(failure_of(Webhook(f"{url}/path-token?key=hunter2", Receiver.SECRET, clock))) == (False, False)
    nowhere = failure_of(Webhook("http://hunter2.invalid/path-token", Receiver.SECRET, clock))
    assert traits(nowhere) == (False, False)


def test_a_receiver_verifies_the_signature_on_its_own(receiver: Receiver, clock: ManualClock) -> None:
    Webhook(f"{receiver.url}/hook?key=hunter2", Receiver.SECRET, clock).send(ALERT)
    ((number, document),) = receiver.taken.items()
    assert number == ALERT.token
    assert document["type"] == "levqor.alert.opened"
    assert document["data"]["key"] == "crash_loop"
    assert receiver.requests[0][0] == "/hook?key=hunter2"


def test_a_repeat_has_the_same_id_and_a_fresh_time(receiver: Receiver, clock: ManualClock) -> None:
    hook = Webhook(receiver.url, Receiver.SECRET, clock)
    hook.send(ALERT)
    clock.advance(3600)
    hook.send(replace(ALERT, is_repeat=True))
    assert (len(receiver.taken), receiver.repeats) == (1, 1)


def test_a_wrong_secret_is_refused_for_good(receiver: Receiver, clock: ManualClock) -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert traits(failure_of(Webhook(receiver.url, other, clock))) == (True, False)


@pytest.mark.parametrize(
    ("status", "headers", "permanent", "wait_s"),
    [
        (302, {"Location": "http://169.254.169.254/"}, True, None),
        (308, {"Location": "/elsewhere"}, True, None),
        (400, {}, True, None),
        (410, {}, True, None),
        (404, {}, False, None),
        (429, {"Retry-After": "30"}, False, 30.0),
        (500, {}, False, None),
        (503, {"Retry-After": "Sun, 01 Mar 2026 12:02:00 GMT"}, False, 120.0),
    ],
)
def test_a_receivers_refusal_is_understood_and_a_redirect_is_not_followed(
    receiver: Receiver, clock: ManualClock, status: int, headers: dict[str, str], permanent: bool, wait_s: float | None
) -> None:
    receiver.reply = (status, headers, b"hunter2")
    error = failure_of(Webhook(receiver.url, Receiver.SECRET, clock))
    assert (error.permanent, error.unknown, error.retry_after_s) == (permanent, False, wait_s)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("text", "wait_s"), [(None, None), ("soon", None), ("-5", None), ("5", 5.0), ("Sun, 01 Mar 2020 12:02:00 GMT", 0.0)]
)
def test_retry_after(text: str | None, wait_s: float | None, clock: ManualClock) -> None:
    assert retry_after_s(text, clock) == wait_s


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_####", "whsec_c2hvcnQ=", base64.b64encode(bytes(32)).decode()])
def test_a_secret_of_another_form_is_refused(secret: str, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        Webhook("http://127.0.0.1", secret, clock)


def mailto(port: int, deadline_s: float = 10.0) -> Apprise:
    pytest.importorskip("apprise")
    return Apprise(f"mailto://127.0.0.1:{port}/?mode=insecure&from=levqor@mail.test&to=ana@mail.test&cto=1", 1, deadline_s=deadline_s)


def test_apprise_sends_mail(mail: MailServer) -> None:
    channel = mailto(mail.port)
    assert channel.name == "mailto-1"
    channel.send(ALERT)
    sender, recipients, text = mail.mails[0]
    assert ("levqor@mail.test" in sender, "ana@mail.test" in recipients[0]) == (True, True)
    parsed = message_from_bytes(text)
    assert "[page] Open: crash_loop" in str(parsed["Subject"])
    assert "workers keep dying" in str(text)


def test_apprise_answers_an_object_that_is_false_when_the_mail_was_refused(mail: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    """Version 2 answers no bool: whoever asks `is False` takes every failure for a success."""
    mail.refuses = True
    assert traits(failure_of(mailto(mail.port))) == (False, False)
    assert mail.mails == []
    assert "ana@mail.test" not in caplog.text, "no personal data in logs"


def test_apprise_before_a_silent_server_meets_our_deadline(clock: ManualClock) -> None:
    with silent_server() as port:
        channel = mailto(port, deadline_s=0.3)
        assert traits(failure_of(channel)) == (False, True)
        assert traits(failure_of(channel)) == (False, False), "one waits at a time"
        last = channel._last
        assert last is not None
        last.join(20)


@pytest.mark.parametrize("url", ["nonsense://hunter2", "mailto://"])
def test_what_apprise_does_not_know_is_named_by_its_place(url: str) -> None:
    pytest.importorskip("apprise")
    error = failure_of(Apprise(url, 3))
    assert (*traits(error), "number 3 of ALERT_URLS" in str(error)) == (True, False, True)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    error = failure_of(Apprise("mailto://user:hunter2@mail.test", 1))
    assert (*traits(error), "pip install 'levqor[alerts]'" in str(error)) == (True, False, True)
