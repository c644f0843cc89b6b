"""Telegram: the bot's sendMessage. The token is a part of the address, so no address is ever shown."""

import json
from typing import Any

from levqor.alerts.post import DEADLINE_S, Answer, post
from levqor.domain.alerts import Alert, Severity
from levqor.domain.errors import DeliveryError

MAX_UNITS = 4_096
"""Of a message's text, as Telegram counts: in units of UTF-16."""
PERMANENT = frozenset({400, 401, 403, 404})
HINTS = {
    401: "TELEGRAM_BOT_TOKEN is not a bot's",
    403: "the bot may not write to TELEGRAM_CHAT_ID: the chat has to begin it, or let the bot in",
    404: "TELEGRAM_BOT_TOKEN is not a bot's",
}


class Telegram:
    """One chat."""

    name = "telegram"

    def __init__(self, token: str, chat_id: str, base: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._token, self._chat_id, self._base, self._deadline_s = token, chat_id, base.rstrip("/"), deadline_s

    def send(self, alert: Alert) -> None:
        message = {
            "chat_id": self._chat_id,
            "text": shortened(f"{alert.heading}\n{alert.body}", MAX_UNITS),
            "disable_notification": alert.severity is not Severity.PAGE,
            "link_preview_options": {"is_disabled": True},
        }
        url = f"{self._base}/bot{self._token}/sendMessage"
        answer = post(url, json.dumps(message).encode("ascii"), {}, deadline_s=self._deadline_s)
        document = _document(answer)
        if not (answer.is_good and document.get("ok") is True):
            raise self._failure(answer, document)

    def _failure(self, answer: Answer, document: dict[str, Any]) -> DeliveryError:
        hint = HINTS.get(answer.status) or self._said(document)
        parameters = document.get("parameters")
        wait = parameters.get("retry_after") if isinstance(parameters, dict) else answer.retry_after
        retry_after_s = float(str(wait)) if str(wait).isascii() and str(wait).isdigit() else None
        text = f"Telegram answered {answer.status}{f': {hint}' if hint else ''}"
        return DeliveryError(text, permanent=answer.status in PERMANENT, retry_after_s=retry_after_s)

    def _said(self, document: dict[str, Any]) -> str:
        said = "".join(character for character in str(document.get("description") or "") if character.isprintable())[:200]
        return said.replace(self._token, "***").replace(self._chat_id, "***")


def shortened(text: str, units: int) -> str:
    """At most this many UTF-16 units of it."""
    encoded = text.encode("utf-16-le")
    return text if len(encoded) <= 2 * units else encoded[: 2 * (units - 1)].decode("utf-16-le", errors="ignore") + "…"


def _document(answer: Answer) -> dict[str, Any]:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
