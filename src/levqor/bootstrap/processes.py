"""Which processes are surely gone, and what no line of a log may hold."""

from collections.abc import Callable

from levqor.host import ProcessIdentity
from levqor.settings import Settings


def is_surely_gone(holder: str) -> bool:
    """Was the lease's holder a process of this host and boot that no longer lives?"""
    try:
        identity = ProcessIdentity.parse(holder)
    except ValueError:
        return False
    return identity.is_local and not identity.is_alive()


def is_gone_writer(writer: str) -> bool:
    """Was this writer of telemetry (`web:` or `agent:` and its identity) a process of this host and boot that no longer lives?"""
    return is_surely_gone(writer.partition(":")[2])


def masker_of(settings: Settings) -> Callable[[str], str]:
    """Takes every secret out of a line."""
    from levqor.web.logs import masker, secrets_of

    mask = masker(secrets_of(settings))
    return lambda line: mask(None, "", line)


def nothing() -> None:
    """No autopilot in this process: the leader looks for orders by itself."""
