"""A real SMTP server (aiosmtpd) that a test may have refuse, ask for a password, or speak TLS."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "post@example.com", "hunter2 & co"


@dataclass
class Mailroom:
    """Keeps what it takes; `answers`: what it says to a step (RCPT, DATA) instead."""

    mails: list[tuple[list[str], EmailMessage, bool]] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    data: str | None = None

    async def handle_RCPT(  # noqa: N802 (the library's name)
        self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.rcpt:
            return self.rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data is not None:
            return self.data
        message = message_from_bytes(envelope.original_content, policy=policy.default)
        self.mails.append((list(envelope.rcpt_tos), message, session.ssl is not None))
        return "250 taken"


@dataclass
class MailHost:
    """The server and what it was given."""

    room: Mailroom
    controller: Controller

    @property
    def port(self) -> int:
        return port_of(self.controller)

    def close(self) -> None:
        self.controller.stop(no_assert=True)


def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


def mail_host(folder: Path | None = None, *, asks_password: bool = False) -> MailHost:
    """On loopback; `folder`: with STARTTLS, its certificate made there."""
    room = Mailroom()
    options: dict[str, Any] = {}
    if folder is not None:
        options["tls_context"] = _context(folder)
    if asks_password:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": folder is not None}
    controller = _AnyPort(room, hostname="127.0.0.1", port=0, **options)
    controller.start()
    return MailHost(room, controller)


def port_of(controller: Controller) -> int:
    server: Any = controller.server
    return int(server.sockets[0].getsockname()[1])


class _AnyPort(Controller):
    """On a port that the system gives: the library would ask for the port 0 itself whether it is served."""

    def _trigger_server(self) -> None:
        self.port = port_of(self)
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _context(folder: Path) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
