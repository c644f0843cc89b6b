"""What the API and the command line ask about alerts: what was told, and whether telling works."""

import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from levqor.domain.alerts import Kind, Severity, State
from levqor.domain.errors import DependencyDown, UsageError
from levqor.ports import Clock
from levqor.store import outbox
from levqor.store.audit import record_change
from levqor.store.database import Database

TEST_WAIT_S = 30.0
"""Longer than the slowest channel's deadline and a token's wait."""
LOOK_AGAIN_S = 0.2
NO_CHANNEL = "no channel is configured: set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, or ALERT_WEBHOOK_URL, or ALERT_URLS"
ON_ITS_WAY = (None, State.PENDING, State.SENDING)


class AlertDesk:
    """One per web process; thread-safe. Alerts go out through the leader, a test's too: it proves the whole way."""

    def __init__(self, database: Database, clock: Clock, channels: Sequence[str], wake: Callable[[], None]) -> None:
        self._database, self._clock, self._channels, self._wake = database, clock, tuple(channels), wake
        self._closing = threading.Event()

    def close(self) -> None:
        """Wait for nothing any more: the process ends."""
        self._closing.set()

    def list(self, limit: int = 50) -> dict[str, Any]:
        """The channels with what became of their deliveries, and the newest alerts first. Raises DatabaseDown."""
        with self._database.read() as connection:
            return {
                "channels": outbox.channel_states(connection, self._channels),
                "alerts": outbox.list_alerts(connection, limit),
            }

    def test(self, actor: str) -> dict[str, Any]:
        """Tell every channel that this is a test, and wait for what becomes of it.

        Raises UsageError where there is no channel, DependencyDown where nobody leads.
        """
        if not self._channels:
            raise UsageError(NO_CHANNEL)
        now = self._clock.now()
        with self._database.write() as connection:
            number = outbox.enqueue(
                connection,
                now,
                key=f"test:{uuid.uuid4()}",
                kind=Kind.TEST,
                severity=Severity.INFO,
                title="Test",
                text="This is a test. Alerts of this installation arrive here.",
            )
            record_change(connection, now, actor, "alerts test", after=number)
        assert number is not None  # noqa: S101 (its key is new)
        self._wake()
        deliveries = self._wait(number)
        if any(delivery["channel"] is None for delivery in deliveries):
            raise DependencyDown("nobody leads, so the test waits: it is sent once an autopilot runs")
        is_ok = all(delivery["state"] == State.SENT for delivery in deliveries)
        return {"ok": is_ok, "alert_id": number, "deliveries": deliveries}

    def _wait(self, number: int) -> Sequence[dict[str, Any]]:
        deadline = self._clock.monotonic() + TEST_WAIT_S
        while True:
            with self._database.read() as connection:
                deliveries = outbox.read_deliveries(connection, number)
            settled = [row for row in deliveries if row["channel"] is not None and row["state"] not in ON_ITS_WAY]
            if len(settled) == len(deliveries) or self._clock.monotonic() >= deadline or self._closing.wait(LOOK_AGAIN_S):
                return deliveries
