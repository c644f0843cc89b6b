"""The one alert that cannot wait in the outbox: that the database, in which the outbox is, does not answer."""

import threading
from collections.abc import Sequence

import structlog

from levqor.domain.alerts import Alert, Kind, Severity
from levqor.domain.errors import DeliveryError
from levqor.ports import Alerts, Clock

LASTS_S = 30.0
"""A database that is away for less is not worth waking anybody."""
AGAIN_S = 60.0
"""A channel that did not take it is tried again after this long, while the database is away."""

log = structlog.get_logger(__name__)


class LastWord:
    """Told by the process that led when the database went, once per outage and channel, straight from memory."""

    def __init__(self, channels: Sequence[Alerts], clock: Clock) -> None:
        self._channels, self._clock = channels, clock
        self._gone_since: float | None = None
        self._next_at = 0.0
        self._told: set[str] = set()

    def database_is_gone(self, why: str) -> None:
        """It did not answer at this look."""
        now = self._clock.monotonic()
        if self._gone_since is None:
            self._gone_since = now
            self._next_at = now + LASTS_S
        if now < self._next_at:
            return
        self._next_at = now + AGAIN_S
        untold = [channel for channel in self._channels if channel.name not in self._told]
        self._tell(untold, Kind.OPENED, "Open: database", f"The database does not answer, so nothing automatic acts. {why}")

    def database_is_back(self) -> None:
        """It answered."""
        if self._gone_since is None:
            return
        told = [channel for channel in self._channels if channel.name in self._told]
        minutes = round((self._clock.monotonic() - self._gone_since) / 60)
        self._gone_since, self._told = None, set()
        self._tell(told, Kind.RESOLVED, "Resolved: database", f"The database answers again, after {minutes} min.")

    def _tell(self, channels: Sequence[Alerts], kind: str, title: str, text: str) -> None:
        at = self._clock.now()
        alert = Alert(id=0, key="database", kind=kind, severity=Severity.PAGE, title=title, text=text, created_at=at)
        for channel in channels:
            threading.Thread(target=self._send, args=(channel, alert, self._told), name=f"last word {channel.name}", daemon=True).start()

    def _send(self, channel: Alerts, alert: Alert, told: set[str]) -> None:
        try:
            channel.send(alert)
        except DeliveryError as error:
            log.warning("alert not told", key=alert.key, kind=alert.kind, channel=channel.name, error=str(error))
            if not (error.unknown or error.permanent):
                return
        except Exception as error:  # noqa: BLE001 (the outer edge of a thread; its text may hold an address that is a secret)
            log.error("channel failed", channel=channel.name, kind=type(error).__name__)
        told.add(channel.name)
