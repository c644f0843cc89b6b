"""Who asks: from this machine or from beyond, and with which token (spec X0b, X1)."""

import hmac
import ipaddress
from collections.abc import Iterable
from enum import StrEnum

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import Scope

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""Any of these says that a proxy speaks for somebody else, who may be anywhere."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names by which this machine calls itself. A page that rebinds its own name to loopback has another Host."""


class Verdict(StrEnum):
    """What the tokens of a request are worth."""

    NONE = "none"
    WRONG = "wrong"
    RIGHT = "right"
    DISABLED = "disabled"


def address_of(scope: Scope) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The peer's address; None where the connection has none."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0]) if client else None
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def key_of(scope: Scope) -> str:
    """Under what an address is counted: IPv6 by its /64, since one person holds all of it."""
    address = address_of(scope)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def is_local(scope: Scope) -> bool:
    """From this machine, for itself: a loopback peer, no proxy, and a Host that is this machine's own name."""
    address, headers = address_of(scope), Headers(scope=scope)
    if address is None or not address.is_loopback or any(name in headers for name in FORWARDED):
        return False
    return host_name(headers.get("host", "")) in LOCAL_NAMES


def bearer_tokens(headers: Headers) -> list[str]:
    """Tokens given as `Authorization: Bearer`; other schemes are somebody else's."""
    pairs = [value.partition(" ") for value in headers.getlist("authorization")]
    return [token.strip() for scheme, _, token in pairs if scheme.lower() == "bearer"]


def admin_tokens(headers: Headers) -> list[str]:
    """Every token given for the admin, by either header."""
    return bearer_tokens(headers) + [value.strip() for value in headers.getlist("x-admin-token")]


def is_same(given: str, secret: SecretStr) -> bool:
    """Compared in constant time, as bytes: a header may hold any."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.get_secret_value().encode("utf-8"))


def is_one_of(given: str, secrets: Iterable[SecretStr]) -> bool:
    """Compared with each, whichever matches, so that the time tells nothing."""
    return any([is_same(given, secret) for secret in secrets])


def admin_verdict(headers: Headers, token: SecretStr | None) -> Verdict:
    """With both headers given, each must be right: a wrong token is never hidden by a right one."""
    if token is None:
        return Verdict.DISABLED
    given = admin_tokens(headers)
    if not given:
        return Verdict.NONE
    return Verdict.RIGHT if all([is_same(one, token) for one in given]) else Verdict.WRONG


def admin_verdict_of(given: str, token: SecretStr | None) -> bool:
    """Is a token that came in a body the admin's?"""
    return token is not None and is_same(given, token)
