"""A team's Redis or Valkey: its address, a connection to it, and in one line why it does not answer. No password is ever told."""

import errno
import ipaddress
import shlex
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis
from redis import exceptions as trouble
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from levqor.domain.errors import EngineDown, LevqorError, UsageError

TIMEOUT_S = 2.0
SCHEMES = ("redis", "rediss", "unix")
PORT = 6379
REDIS_URL = '"$REDIS_URL"'
"""Stands in commands for an address with a password."""

_SYSTEM_SAYS = {
    errno.ECONNREFUSED: "refuses the connection: is the server running, and is the port right?",
    errno.EHOSTUNREACH: "cannot be reached from here: no route to that host",
    errno.ENETUNREACH: "cannot be reached from here: no route to its network",
    errno.ENOENT: "is not there: no such socket file",
    errno.EACCES: "may not be opened by this user: the socket file's rights forbid it",
}
_READER = "ACL SETUSER NAME ~rq:* ~levqor:* +@read +@connection +info +time +config|get"
_EXPECTED = "expected an address such as redis://127.0.0.1:6379/0, rediss://... (TLS) or unix:///path/to/socket"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is. `options` hold the password; only `place` and `typed` are fit to be shown."""

    place: str
    typed: str
    """As it is typed after `--url` or `-u` in a shell."""
    is_near: bool
    """This machine: loopback or a socket file."""
    is_tls: bool
    has_password: bool
    options: dict[str, Any] = field(repr=False)

    def in_database(self, number: int) -> str:
        """The same server's other database, as it may be shown."""
        return f"{self.place}?db={number}" if self.place.startswith("unix:") else f"{self.place.rpartition('/')[0]}/{number}"


def address_of(url: str) -> Address:
    """Raises UsageError; what is wrong with it is told without repeating it, since it may hold a password."""
    try:
        parts, options = urlsplit(url.strip()), parse_url(url.strip())  # type: ignore[no-untyped-call]
        port = parts.port
    except ValueError:
        raise UsageError(_why_unreadable(url)) from None
    path = parts.path.strip("/")
    if parts.fragment or (parts.scheme == "unix" and not path) or (parts.scheme != "unix" and not parts.hostname):
        raise UsageError(_why_unreadable(url))
    if parts.scheme != "unix" and path and not (path.isascii() and path.isdigit()):
        raise UsageError("the address of the broker ends with its database, a number such as redis://host:6379/0")
    _check_options(options)
    database = int(options.get("db") or 0)
    if parts.scheme == "unix":
        place = f"unix://{options['path']}" + (f"?db={database}" if database else "")
    else:
        host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        place = f"{parts.scheme}://{host}:{port or PORT}/{database}"
    has_password = bool(options.get("password"))
    return Address(
        place=place,
        typed=REDIS_URL if has_password or options.get("username") or parts.query else shlex.quote(place),
        is_near=parts.scheme == "unix" or _is_loopback(str(parts.hostname)),
        is_tls=parts.scheme == "rediss",
        has_password=has_password,
        options=options,
    )


def _check_options(options: dict[str, Any]) -> None:
    """The client itself knows which it takes; nothing is connected."""
    rest = {name: value for name, value in options.items() if name != "connection_class"}
    try:
        options.get("connection_class", redis.Connection)(**rest)
    except (TypeError, ValueError, trouble.RedisError):
        raise UsageError("the address of the broker has an option after its `?` that is not known, or has a wrong value") from None


def _why_unreadable(url: str) -> str:
    if not url.strip().startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        return f"the address of the broker: {_EXPECTED}"
    return f"the address of the broker cannot be read: {_EXPECTED}; in a password, write / # ? @ : % as %2F %23 %3F %40 %3A %25"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def connect(address: Address, timeout_s: float = TIMEOUT_S) -> redis.Redis:
    """A client that gives up soon, tries once, and says nothing about itself to the server. Nothing is sent yet."""
    options = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, **address.options}
    options |= {"retry": Retry(NoBackoff(), 0), "protocol": 2, "decode_responses": False, "driver_info": None}
    return redis.Redis(connection_pool=redis.ConnectionPool(**options))


def greet(client: redis.Redis, address: Address) -> None:
    """Raises EngineDown or UsageError unless a Redis or Valkey answers: logs in, and one round trip."""
    try:
        with in_words(address):
            client.ping()
    except ValueError as error:
        raise refusal(trouble.InvalidResponse(), address) from error


def check(url: str) -> None:
    """Raises UsageError or EngineDown unless the broker answers. Nothing is written."""
    address = address_of(url)
    with connect(address) as client:
        greet(client, address)


@contextmanager
def in_words(address: Address) -> Iterator[None]:
    """Every broker trouble is a LevqorError of one line."""
    try:
        yield
    except (trouble.RedisError, trouble.RedisClusterException, OSError, UnicodeError) as error:
        raise refusal(error, address) from error


def refusal(error: BaseException, address: Address) -> LevqorError:
    """What to tell a person; its text is one line that says what to do."""
    said = f"the broker at {address.place} {reason_of(error, address)}"
    return UsageError(said) if _is_wrong_database(error) else EngineDown(said)


def _is_wrong_database(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, trouble.ResponseError) and ("db index" in said or "select is not allowed" in said)


def reason_of(error: BaseException, address: Address) -> str:
    """Why it does not answer, and what to do; it is the subject."""
    said = str(error)
    if _is_wrong_database(error):
        return "has no database of that number: most have 0 to 15, some only 0"
    if isinstance(error, trouble.AuthenticationError):
        return _why_no_login(said, address)
    if isinstance(error, trouble.NoPermissionError):
        return f"does not let this user read ({_right(said)}): `{_READER}` on it, with the user's name"
    if isinstance(error, trouble.BusyLoadingError):
        return "is loading its data after a start: try again in a moment (`redis-cli INFO persistence` says how far it is)"
    if isinstance(error, trouble.MasterDownError):
        return "is a replica that has lost its master and serves nothing: name the master"
    if isinstance(error, (trouble.AskError, trouble.ClusterError, trouble.RedisClusterException)):
        return "is a node of a Redis Cluster, which RQ cannot use: name a server that is none"
    if isinstance(error, (trouble.TimeoutError, TimeoutError)):
        hint = "; a server without TLS may stay silent like that: try redis://" if address.is_tls else ""
        return f"did not answer in time: is it the right host, may this one reach it, is it overloaded (try `?socket_timeout=10`){hint}"
    if "max number of clients" in said:
        return "takes no more connections: raise `maxclients`, or end some"
    return _why_unreachable(error, address)


def _why_no_login(said: str, address: Address) -> str:
    if "without any password" in said or "no password is set" in said:
        return "has no password, and the address has one: leave it out"
    if address.has_password:
        return "refuses the user or the password of the address"
    return "wants a password: redis://:PASSWORD@host:6379/0, or redis://USER:PASSWORD@host:6379/0"


def _right(said: str) -> str:
    """Which right is missing, in the server's own words."""
    for words in ("run the '", "run the `"):
        if words in said:
            return f"command {said.split(words, 1)[1].split(words[-1], 1)[0]}"
    return "keys" if "key" in said else "commands"


def _why_unreachable(error: BaseException, address: Address) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return _why_no_tls(cause, address)
        if isinstance(cause, socket.gaierror):
            return "cannot be found: no such host name"
        if isinstance(cause, OSError) and cause.errno in _SYSTEM_SAYS:
            return _SYSTEM_SAYS[cause.errno]
    said = str(error)
    if isinstance(error, trouble.InvalidResponse):
        is_alert = r"b'\x15" in said
        return "wants TLS: use rediss://" if is_alert else "speaks, but not as a Redis or Valkey does: is the port right?"
    if isinstance(error, trouble.ConnectionError):
        hint = "" if address.is_tls else ", or does it want TLS (rediss://)"
        return f"closes the connection: is it a Redis or Valkey{hint}?"
    return f"does not do what was asked ({_first_line(said)})"


def _why_no_tls(error: ssl.SSLError, address: Address) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that is not trusted ({error.verify_message}): name its authority with `?ssl_ca_certs=/path/ca.pem`"
    return "does not speak TLS there: use redis://, or the port that does" if address.is_tls else f"broke off TLS ({error.reason})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(said: str) -> str:
    return "".join(letter for letter in said.partition("\n")[0] if letter.isprintable())[:200]
