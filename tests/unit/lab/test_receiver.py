"""The drill's own receiver of alerts hears Levqor's webhook and tells a forged message."""

from datetime import UTC, datetime

import httpx
from tests.clock import ManualClock

from levqor.alerts.webhook import Webhook
from levqor.domain.alerts import Alert, Severity
from levqor.lab.receiver import Receiver


def alert(number: int) -> Alert:
    at = datetime(2026, 11, 22, 17, tzinfo=UTC)
    return Alert(id=number, key="slo:5s", kind="opened", severity=Severity.PAGE, title="Errors", text="20 %", created_at=at)


def test_signed_alerts_are_taken_and_a_repeat_is_counted_once() -> None:
    clock = ManualClock()
    with Receiver(clock) as receiver:
        webhook = Webhook(receiver.url, receiver.secret, clock)
        for number in (1, 2, 2):
            webhook.send(alert(number))
        assert [message.line for message in receiver.arrived] == ["opened slo:5s: Errors"] * 2
        assert receiver.are_signed


def test_a_message_that_nobody_signed_is_told_apart() -> None:
    with Receiver(ManualClock()) as receiver:
        httpx.post(receiver.url, json={"data": {"key": "x", "kind": "opened"}}, headers={"webhook-id": "1"}, trust_env=False)
        assert not receiver.are_signed
        assert receiver.arrived[0].line == "opened x:  (not signed)"
