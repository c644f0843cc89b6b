"""Where the store and the queues' broker are."""

from levqor.domain.errors import UsageError
from levqor.settings import Settings


def store_url(settings: Settings) -> str:
    """The store's URL. Raises UsageError where there is none: only `levqor up` brings its own."""
    if settings.redis_url is None:
        raise UsageError("REDIS_URL is not set: set it, or start everything with `levqor up`, which brings its own store")
    return settings.redis_url.get_secret_value()


def broker_url(settings: Settings) -> str:
    """The URL of the queues' broker; the store's where no other is set."""
    return store_url(settings) if settings.broker_url is None else settings.broker_url.get_secret_value()


def owns_broker(settings: Settings) -> bool:
    """Are the queues served by Levqor's own workers, so that the versions of those are known while none is listed?"""
    return settings.broker_url is None or settings.fleet_kind == "agent"
