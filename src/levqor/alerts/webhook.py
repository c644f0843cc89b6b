"""A signed webhook (Standard Webhooks): the receiver can tell that it is ours, that it is fresh, and that it has had it before."""

import base64
import hashlib
import hmac
import json

from levqor.alerts.post import DEADLINE_S, post, retry_after_s
from levqor.domain.alerts import Alert
from levqor.domain.errors import DeliveryError
from levqor.policies.alerting import signing_key
from levqor.ports import Clock

PERMANENT = frozenset({400, 401, 403, 405, 410, 411, 413, 414, 415, 422})


class Webhook:
    """One receiver. Its address is the operator's own word and is called as it stands; a redirect is an error, not a way."""

    name = "webhook"

    def __init__(self, url: str, secret: str, clock: Clock, *, deadline_s: float = DEADLINE_S) -> None:
        self._url, self._key, self._clock, self._deadline_s = url, signing_key(secret), clock, deadline_s

    def send(self, alert: Alert) -> None:
        body = json.dumps(payload(alert)).encode("ascii")
        timestamp = str(int(self._clock.now().timestamp()))
        signed = b".".join((alert.token.encode("ascii"), timestamp.encode("ascii"), body))
        signature = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode("ascii")
        headers = {"webhook-id": alert.token, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
        answer = post(self._url, body, headers, deadline_s=self._deadline_s)
        if answer.is_good:
            return
        if 300 <= answer.status < 400:
            raise DeliveryError(
                f"the receiver answered {answer.status}, a redirect: set ALERT_WEBHOOK_URL to where it leads", permanent=True
            )
        wait = retry_after_s(answer.retry_after, self._clock)
        raise DeliveryError(f"the receiver answered {answer.status}", permanent=answer.status in PERMANENT, retry_after_s=wait)


def payload(alert: Alert) -> dict[str, object]:
    """The body: a type, a time, and the alert."""
    data = {
        "id": alert.id,
        "key": alert.key,
        "kind": alert.kind,
        "severity": alert.severity.value,
        "title": alert.title,
        "text": alert.text,
        "runbook": alert.runbook,
        "is_repeat": alert.is_repeat,
    }
    return {"type": f"levqor.alert.{alert.kind}", "timestamp": alert.created_at.isoformat(), "data": data}
