"""Mail by SMTP: one letter as text and HTML. A password leaves this machine by TLS alone; no error holds a secret or an address."""

import base64
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from levqor.domain.errors import DeliveryError
from levqor.domain.summary import Letter
from levqor.policies.mail import Mailbox, MailServer

DEADLINE_S = 30.0
"""For all of it, however slowly the server drips."""
NO_TLS = "the server offers no TLS, and a password is not sent in the clear: use smtps:// or its TLS port"
SAID_LENGTH = 160
SHORTEST_SECRET = 4
"""What is shorter would mask ordinary words."""
_ADDRESS = re.compile(r"\S*@\S*")


class SmtpMail:
    """One mail to everybody of MAIL_TO."""

    name = "smtp"

    def __init__(self, server: MailServer, sender: Mailbox, recipients: Sequence[Mailbox], *, deadline_s: float = DEADLINE_S) -> None:
        self._server, self._sender, self._recipients, self._deadline_s = server, sender, tuple(recipients), deadline_s

    def send(self, letter: Letter) -> str | None:
        """Whom the server refused although it took the mail for others. Raises DeliveryError: unknown once the mail's text has left."""
        message = to_message(letter, self._sender, self._recipients).as_bytes()
        has_left = False
        try:
            with self._session() as session:
                self._check(session.mail(self._sender.address), "the sender")
                refused = [reply for box in self._recipients if not _is_good(reply := session.rcpt(box.address))]
                if len(refused) == len(self._recipients):
                    raise self._refusal(refused[0], "every recipient")
                has_left = True
                self._check(session.data(message), "the mail")
                with suppress(smtplib.SMTPException, OSError):
                    session.quit()  # it has the mail: how the talk ends is no matter
        except smtplib.SMTPDataError as error:
            raise self._refusal((error.smtp_code, error.smtp_error), "the mail") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryError(self._cause(error), permanent=_is_permanent(error), unknown=has_left) from None
        return f"{len(refused)} of {len(self._recipients)} recipients refused ({self._said(refused[0])})" if refused else None

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """Connected, encrypted where it can be, signed in."""
        server, context = self._server, _context(self._server)
        name, timeout = _own_name(self._sender), self._deadline_s
        session: smtplib.SMTP = (
            smtplib.SMTP_SSL(local_hostname=name, timeout=timeout, context=context)
            if server.is_tls
            else smtplib.SMTP(local_hostname=name, timeout=timeout)
        )
        # `connect` has it as an argument only; STARTTLS and SSL check the certificate against it.
        session._host = server.host  # type: ignore[attr-defined]
        try:
            with _deadline(session, self._deadline_s):
                self._check(session.connect(server.host, server.port), "the connection")
                session.ehlo_or_helo_if_needed()
                is_private = server.is_tls
                if not is_private and session.has_extn("starttls"):
                    session.starttls(context=context)
                    session.ehlo()
                    is_private = True
                self._sign_in(session, is_private=is_private)
                yield session
        finally:
            session.close()

    def _sign_in(self, session: smtplib.SMTP, *, is_private: bool) -> None:
        server = self._server
        if server.user is None or server.password is None:
            return
        if not is_private and not server.is_loopback:
            raise DeliveryError(NO_TLS, permanent=True)
        session.login(server.user, server.password)

    def _check(self, reply: tuple[int, bytes], what: str) -> None:
        if not _is_good(reply):
            raise self._refusal(reply, what)

    def _refusal(self, reply: tuple[int, bytes | str], what: str) -> DeliveryError:
        return DeliveryError(f"the server refused {what} ({self._said(reply)})", permanent=reply[0] >= 500)

    def _said(self, reply: tuple[int, bytes | str]) -> str:
        """The server's own words, as far as they are fit to be shown."""
        text = reply[1].decode("utf-8", "replace") if isinstance(reply[1], bytes) else reply[1]
        line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
        for secret in _secrets(self._server):
            line = line.replace(secret, "***")
        return f"{reply[0]} {_ADDRESS.sub('***', line)}"[:SAID_LENGTH].strip()

    def _cause(self, error: Exception) -> str:
        """What went wrong, in words of our own: the library's repeat what was sent."""
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return f"the server did not let us in: user or password of SMTP_URL ({error.smtp_code})"
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return "the server takes no password: leave user and password out of SMTP_URL"
        if isinstance(error, UnicodeError):
            return "user and password of SMTP_URL have to be ASCII"
        if isinstance(error, ssl.SSLCertVerificationError):
            return "the server's certificate is not trusted"
        if isinstance(error, ssl.SSLError):
            return "no TLS with this server: smtps:// is for ports that begin with it, smtp:// for all others"
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib makes a broken connection of it
            return f"no answer within {self._deadline_s:g} s"
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return "the server broke off"
        if isinstance(error, smtplib.SMTPResponseException):
            return f"the server answered {error.smtp_code}"
        return f"no connection ({error.strerror})" if isinstance(error, OSError) and error.strerror else f"no mail ({type(error).__name__})"


def to_message(letter: Letter, sender: Mailbox, recipients: Sequence[Mailbox]) -> EmailMessage:
    """Text with HTML as its better half. Header lines are made by the library, which refuses a line's end in any of them."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = letter.subject
    message["From"] = _address(sender)
    message["To"] = [_address(box) for box in recipients]
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = f"<levqor-{letter.token}@{sender.address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.pages.text, cte="quoted-printable")
    message.add_alternative(letter.pages.html, subtype="html", cte="quoted-printable")
    return message


def _address(box: Mailbox) -> Address:
    return Address(display_name=box.name, addr_spec=box.address)


def _own_name(sender: Mailbox) -> str:
    """What we call ourselves. The library would ask the name service, which may take longer than all the rest."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else sender.address.rpartition("@")[2]


def _is_good(reply: tuple[int, bytes]) -> bool:
    """Raises SMTPServerDisconnected for what is no reply: a line that was cut off."""
    if reply[0] < 0:
        raise smtplib.SMTPServerDisconnected
    return 200 <= reply[0] < 300


def _is_permanent(error: Exception) -> bool:
    """Only a setting can mend it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLError | UnicodeError)


def _secrets(server: MailServer) -> list[str]:
    words = [word for word in (server.password, server.user) if word and len(word) >= SHORTEST_SECRET]
    return [*words, *(base64.b64encode(word.encode()).decode("ascii") for word in words)]


def _context(server: MailServer) -> ssl.SSLContext:
    """Certificates are checked, but on loopback: there nobody can come between, and they are mostly self-made."""
    context = ssl.create_default_context()
    if server.is_loopback:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def _deadline(session: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Cut the connection after `seconds`: a timeout of the socket alone starts anew with every byte of a server that drips."""
    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        if session.sock is not None:
            with suppress(OSError):  # it has ended by itself
                session.sock.shutdown(2)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (smtplib.SMTPException, OSError, DeliveryError):
        if is_over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
