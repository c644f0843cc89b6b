"""Where the store is, seen from a command: REDIS_URL, or the one that `up` runs."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    import redis

    from levqor.settings import Settings

TIMEOUT_S = 2.0


def store_url(settings: "Settings") -> str | None:
    """The store's address; None where nobody has started one of our own yet."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    folder = settings.data / "store"
    try:
        port = int((folder / "port").read_text(encoding="ascii"))
        password = (folder / "password").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0"


def client_of(url: str) -> "redis.Redis":
    """A client that gives up soon and tries once."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0))


def without_secret(url: str) -> str:
    """The address as it may be printed."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or parts.path}{f':{parts.port}' if parts.port else ''}"
