"""Mail servers and mailboxes as they are written in settings."""

import ipaddress
import re
from dataclasses import dataclass, field
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
SUBMISSION, RELAY, TLS = 587, 25, 465


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over. `is_tls`: from the first byte; otherwise STARTTLS where it is offered."""

    host: str
    port: int
    is_tls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def is_loopback(self) -> bool:
        """Does nothing leave this machine on the way there?"""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A person or program with a mail address."""

    name: str
    address: str


def parse_server(url: str) -> MailServer:
    """`smtp://user:password@host:587` or `smtps://...`. Raises ValueError, which does not repeat the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_plain = url.isprintable() and " " not in url and parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == 0 or not is_plain:
        raise ValueError("expected smtp://user:password@host:587 or smtps://user:password@host:465, special characters as %40 and the like")
    user, password = (None if word is None else unquote(word) for word in (parts.username, parts.password))
    if (user is None) != (password is None):
        raise ValueError("expected a user and a password, or neither")
    if not f"{user or ''}{password or ''}".isprintable():
        raise ValueError("expected printable characters in user and password")
    is_tls = parts.scheme == "smtps"
    return MailServer(parts.hostname, port or (TLS if is_tls else SUBMISSION if user else RELAY), is_tls, user, password)


def parse_mailbox(text: str) -> Mailbox:
    """`ana@example.com` or `Ana <ana@example.com>`. Raises ValueError."""
    name, address = parseaddr(text) if text.isprintable() else ("", "")
    if not ADDRESS.fullmatch(address) or ".." in address or text.count("@") != 1:
        raise ValueError("expected ana@example.com or Ana <ana@example.com>")
    return Mailbox(name, address)
