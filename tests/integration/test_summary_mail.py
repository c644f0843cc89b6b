"""Summaries by mail, against real SMTP servers: what arrives, what is never sent, and what is said when it is not taken (spec X2)."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.conftest import free_port
from tests.integration.alert_servers import silent_server
from tests.integration.mail_servers import PASSWORD, USER, MailHost, mail_host

from levqor.alerts.apprise import AppriseLetters
from levqor.alerts.mail import SmtpMail, to_message
from levqor.domain.errors import DeliveryError
from levqor.domain.summary import Letter, Pages
from levqor.policies.mail import Mailbox, MailServer, parse_mailbox, parse_server

# Apprise imports a module that Python 3.13 has dropped, and makes do without it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

TEXT = "Healthy. 2 of 2 workers, Grüße.\n" + "x" * 2_000 + "\n.\nend\n"
HTML = "<!doctype html><html><head><title>t</title></head><body><p>Healthy &amp; well ▁▂▃ Grüße</p></body></html>\n"
LETTER = Letter("Healthy · 5 requests · Levqor daily 2026-03-02", Pages(TEXT, HTML), "token-1", datetime(2026, 3, 2, 9, tzinfo=UTC))
SENDER = parse_mailbox("Levqor Ünit <levqor@example.com>")
PEOPLE = [parse_mailbox(text) for text in ("Ana <ana@example.com>", "bo@example.org")]
SECRETS = (PASSWORD, USER, quote(PASSWORD), "ana@example.com", "bo@example.org")


@pytest.fixture
def host() -> Iterator[MailHost]:
    server = mail_host()
    yield server
    server.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[MailHost]:
    server = mail_host(tmp_path, asks_password=True)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG, logger="levqor")
    yield
    assert not [secret for secret in SECRETS if secret in caplog.text]


def channel(port: int, credentials: str = "", *, scheme: str = "smtp", deadline_s: float = 10.0) -> SmtpMail:
    return SmtpMail(parse_server(f"{scheme}://{credentials}127.0.0.1:{port}"), SENDER, PEOPLE, deadline_s=deadline_s)


def failure(of: SmtpMail | AppriseLetters) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        of.send(LETTER)
    seen = [str(caught.value), repr(caught.value), repr(caught.value.__cause__), repr(caught.value.args)]
    assert not [secret for secret in SECRETS if any(secret in text for text in seen)]
    return caught.value


def test_a_letter_arrives_as_text_and_html(host: MailHost) -> None:
    assert channel(host.port).send(LETTER) is None
    [(recipients, message, is_private)] = host.room.mails
    assert recipients == ["ana@example.com", "bo@example.org"]
    assert not is_private
    assert message["Subject"] == LETTER.subject
    assert message["From"] == "Levqor Ünit <levqor@example.com>"
    assert message["To"] == "Ana <ana@example.com>, bo@example.org"
    assert message["Message-ID"] == "<levqor-token-1@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == TEXT
    assert html.get_content().replace("\r\n", "\n") == HTML


def test_starttls_is_taken_where_it_is_offered_and_the_password_goes_through_it(guarded: MailHost) -> None:
    assert channel(guarded.port, f"{quote(USER)}:{quote(PASSWORD)}@").send(LETTER) is None
    assert guarded.room.mails[0][2]


def test_a_wrong_password_is_said_without_it(guarded: MailHost) -> None:
    error = failure(channel(guarded.port, f"{quote(USER)}:{quote(PASSWORD)}x@"))
    assert error.permanent
    assert str(error) == "the server did not let us in: user or password of SMTP_URL (535)"


def test_a_password_never_leaves_in_the_clear(host: MailHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MailServer, "is_loopback", False)
    sent: list[bytes] = []
    real = socket.socket.sendall

    def watched(self: socket.socket, data: bytes, *flags: int) -> None:
        sent.append(bytes(data))
        real(self, data, *flags)

    monkeypatch.setattr(socket.socket, "sendall", watched)
    error = failure(channel(host.port, f"{quote(USER)}:{quote(PASSWORD)}@"))
    assert error.permanent
    assert "no TLS" in str(error)
    assert not [data for data in sent if b"AUTH" in data]


def test_beyond_loopback_a_certificate_has_to_be_trusted(guarded: MailHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MailServer, "is_loopback", False)
    error = failure(channel(guarded.port, f"{quote(USER)}:{quote(PASSWORD)}@"))
    assert (str(error), error.permanent) == ("the server's certificate is not trusted", True)


def test_tls_from_the_first_byte_with_a_server_that_speaks_none(host: MailHost) -> None:
    assert str(failure(channel(host.port, scheme="smtps"))).startswith("no TLS with this server")


def test_a_server_that_takes_no_password(host: MailHost) -> None:
    assert "leave user and password out" in str(failure(channel(host.port, f"{quote(USER)}:{quote(PASSWORD)}@")))


def test_whom_the_server_refuses_is_counted_not_named(host: MailHost) -> None:
    host.room.rcpt["bo@example.org"] = "550 5.1.1 <bo@example.org> unknown"
    assert channel(host.port).send(LETTER) == "1 of 2 recipients refused (550 5.1.1 *** unknown)"
    assert host.room.mails[0][0] == ["ana@example.com"]
    host.room.rcpt["ana@example.com"] = "451 4.7.1 greylisted"
    error = failure(channel(host.port))
    assert (str(error), error.permanent) == ("the server refused every recipient (451 4.7.1 greylisted)", False)


@pytest.mark.parametrize(("answer", "is_permanent"), [("554 5.7.1 spam", True), ("452 4.3.1 full", False)])
def test_a_refused_mail_is_known_not_to_have_arrived(host: MailHost, answer: str, is_permanent: bool) -> None:
    host.room.data = answer
    error = failure(channel(host.port))
    assert (str(error), error.permanent, error.unknown) == (f"the server refused the mail ({answer})", is_permanent, False)


def test_nobody_listens() -> None:
    error = failure(channel(free_port()))
    assert (str(error), error.permanent, error.unknown) == ("no connection (Connection refused)", False, False)


def test_a_silent_server_is_given_up_in_time() -> None:
    with silent_server() as port:
        assert str(failure(channel(port, deadline_s=0.3))) == "no answer within 0.3 s"


def test_a_server_that_drips_is_given_up_in_time() -> None:
    with silent_server(b"2") as port:
        assert str(failure(channel(port, deadline_s=0.4))) == "no answer within 0.4 s"


def scripted(*answers: bytes) -> tuple[int, threading.Thread]:
    """A server that gives one answer to each line and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        guest, _ = listener.accept()
        with listener, guest, guest.makefile("rb") as lines:
            for answer in answers:
                guest.sendall(answer)
                lines.readline()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return int(listener.getsockname()[1]), thread


HELLO = (b"220 hi\r\n", b"250 mail\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n")


@pytest.mark.parametrize(
    ("answers", "is_unknown"),
    [
        pytest.param(HELLO[:1], False, id="after its greeting"),
        pytest.param(HELLO[:3], False, id="before the recipients"),
        pytest.param((*HELLO, b"354 go on\r\n"), True, id="after the mail"),
    ],
)
def test_a_server_that_closes_may_have_it_only_once_it_was_given_it(answers: tuple[bytes, ...], is_unknown: bool) -> None:
    port, thread = scripted(*answers)
    error = failure(channel(port))
    thread.join(10)
    assert error.unknown is is_unknown
    assert not error.permanent


def test_no_header_can_be_smuggled_in() -> None:
    for text in ("Ana\r\nBcc: eve@example.com <ana@example.com>", "ana@example.com\nbo@example.com", "Ana <a@b.c> <d@e.f>"):
        with pytest.raises(ValueError, match=r"expected ana@example\.com"):
            parse_mailbox(text)
    letter = Letter("Act: all\r\nBcc: eve@example.com", LETTER.pages, LETTER.token, LETTER.at)
    for sender, subject in ((SENDER, letter), (Mailbox("Eve\r\nBcc: eve@example.com", "ana@example.com"), LETTER)):
        with pytest.raises(ValueError, match=r"(?i)linefeed|carriage|CR|newline"):
            to_message(subject, sender, PEOPLE)


def test_apprise_mails_html_with_a_text_beside_it(host: MailHost) -> None:
    pytest.importorskip("apprise")
    AppriseLetters(_mailto(host.port), 1).send(LETTER)
    [(recipients, message, _)] = host.room.mails
    assert recipients == ["ana@example.com"]
    assert message["Subject"] == LETTER.subject
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert "Healthy &amp; well ▁▂▃ Grüße" in html.get_content()
    assert "Healthy & well ▁▂▃ Grüße" in text.get_content()


def _mailto(port: int) -> str:
    return f"mailto://127.0.0.1:{port}/?mode=insecure&from=levqor@example.com&to=ana@example.com&cto=2"


FAULTS: dict[str, Callable[[MailHost], str]] = {
    "refused": lambda host: _mailto(host.port),
    "no service": lambda _host: "nosuch://x",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_apprise_does_not_deliver_is_said(host: MailHost, fault: str) -> None:
    pytest.importorskip("apprise")
    host.room.rcpt["ana@example.com"] = "550 no"
    error = failure(AppriseLetters(FAULTS[fault](host), 3))
    assert str(error) == ("the service did not take it" if fault == "refused" else "number 3 of SUMMARY_URLS is no URL that Apprise knows")
