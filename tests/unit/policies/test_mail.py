"""Mail servers and mailboxes as settings have them: what is taken, and that what is wrong is not repeated (spec F2, X2)."""

import pytest

from levqor.domain.errors import SettingsError
from levqor.policies.mail import Mailbox, MailServer, parse_mailbox, parse_server
from levqor.settings import load


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.test", MailServer("mail.test", 25, is_tls=False)),
        ("smtp://ana:pw@mail.test", MailServer("mail.test", 587, False, "ana", "pw")),
        ("smtps://ana%40mail.test:p%20w%2F@mail.test", MailServer("mail.test", 465, True, "ana@mail.test", "p w/")),
        ("smtps://mail.test:2465/", MailServer("mail.test", 2465, is_tls=True)),
        ("smtp://[::1]:1025", MailServer("::1", 1025, is_tls=False)),
    ],
)
def test_a_mail_server_is_read_from_its_url(url: str, server: MailServer) -> None:
    assert parse_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://mail.test",
        "smtp://",
        "smtp://mail.test:0",
        "smtp://mail.test:x",
        "smtp://ana@mail.test",
        "smtp://:hunter2@",
        "smtp://a:hunter2@h/x",
        "smtp://a:hunter%0A2@h",
        "smtp://a:hunter2@h\r\n",
        "smtp://[x",
    ],
)
def test_another_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_server(url)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("localhost.mail.test", False)],
)
def test_loopback_is_this_machine(host: str, is_loopback: bool) -> None:
    assert MailServer(host, 25, is_tls=False).is_loopback is is_loopback


def test_a_servers_password_is_in_no_repr() -> None:
    assert "hunter2" not in repr(parse_server("smtp://ana:hunter2@mail.test"))


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("ana@example.com", Mailbox("", "ana@example.com")),
        ("Ana Ünal <ana+x@mail.example.com>", Mailbox("Ana Ünal", "ana+x@mail.example.com")),
        ('"Ops, all" <ops@example.com>', Mailbox("Ops, all", "ops@example.com")),
    ],
)
def test_a_mailbox_has_a_name_and_an_address(text: str, box: Mailbox) -> None:
    assert parse_mailbox(text) == box


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "ana@",
        "@example.com",
        "a na@example.com",
        "ana@example..com",
        "ana@-x.com",
        "Ana\r\nBcc: e@x.y <a@b.c>",
        "ünal@example.com",
    ],
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected ana"):
        parse_mailbox(text)


def test_wrong_mail_settings_stop_the_start_all_at_once_and_show_no_secret() -> None:
    environ = {"SMTP_URL": "smtp://ana:hunter2@mail.test:x", "MAIL_FROM": "nobody", "MAIL_TO": "ana@example.com,bo"}
    with pytest.raises(SettingsError) as caught:
        load(environ=environ)
    assert [problem.name for problem in caught.value.problems] == ["SMTP_URL", "MAIL_FROM", "MAIL_TO"]
    assert "hunter2" not in str(caught.value)
