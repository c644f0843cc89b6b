"""Mail and a hundred other services, through Apprise: an extra that is imported when it is first needed."""

import logging
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from levqor.domain.alerts import Alert, Severity
from levqor.domain.errors import DeliveryError
from levqor.domain.summary import Letter

if TYPE_CHECKING:
    from apprise import Apprise as Library

DEADLINE_S = 20.0
"""Apprise lets a silent server block each step for 4 s, of mail for 15."""
MISSING = "Apprise is not installed: `pip install 'levqor[alerts]'`"
TYPES = {Severity.PAGE: "failure", Severity.TICKET: "warning", Severity.INFO: "info"}
SCHEME = re.compile(r"([a-z0-9]{1,24})://", re.IGNORECASE)


def channel_name(url: str, position: int) -> str:
    """The service and the place in the list: an address may hold a secret in any of its parts."""
    match = SCHEME.match(url)
    return f"{match[1].lower() if match else 'apprise'}-{position}"


class _Service:
    """One URL, and the thread that waits for it."""

    def __init__(self, url: str, position: int, setting: str, deadline_s: float) -> None:
        self.name = channel_name(url, position)
        self._url, self._place, self._deadline_s = url, f"number {position} of {setting}", deadline_s
        self._last: threading.Thread | None = None

    def _deliver(self, notify: Callable[["Library"], object]) -> None:
        """Hand it over in a thread, and wait no longer than we may. Raises DeliveryError."""
        if self._last is not None and self._last.is_alive():
            raise DeliveryError("an earlier message still waits for the service")
        library = self._library()
        outcome: list[DeliveryError | None] = []
        thread = threading.Thread(target=lambda: outcome.append(_outcome(notify, library)), name=f"alert {self.name}", daemon=True)
        self._last = thread
        thread.start()
        thread.join(self._deadline_s)
        if not outcome:
            raise DeliveryError(f"no answer within {self._deadline_s:g} s", unknown=True)
        if outcome[0] is not None:
            raise outcome[0]

    def _library(self) -> "Library":
        # What it logs may name people and addresses.
        logging.getLogger("apprise").disabled = True
        try:
            import apprise
        except ImportError:
            raise DeliveryError(MISSING, permanent=True) from None
        library = apprise.Apprise()
        if not library.add(self._url):
            raise DeliveryError(f"{self._place} is no URL that Apprise knows", permanent=True)
        return library


def _outcome(notify: Callable[["Library"], object], library: "Library") -> DeliveryError | None:
    try:
        result = notify(library)
    except Exception as error:  # noqa: BLE001 (any of a hundred plug-ins; its text may hold a secret, so only its kind is told)
        return DeliveryError(f"Apprise failed ({type(error).__name__})", unknown=True)
    # An object since version 2, a bool before; both are true only when it was delivered.
    return None if result else DeliveryError("the service did not take it")


class Apprise(_Service):
    """One URL of ALERT_URLS."""

    def __init__(self, url: str, position: int, *, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(url, position, "ALERT_URLS", deadline_s)

    def send(self, alert: Alert) -> None:
        self._deliver(lambda library: library.notify(body=alert.body, title=alert.heading, notify_type=TYPES[alert.severity]))


class AppriseLetters(_Service):
    """One URL of SUMMARY_URLS. Apprise makes the text beside the HTML itself, or instead of it where a service knows no HTML."""

    def __init__(self, url: str, position: int, *, deadline_s: float = DEADLINE_S) -> None:
        super().__init__(url, position, "SUMMARY_URLS", deadline_s)

    def send(self, letter: Letter) -> None:
        self._deliver(lambda library: library.notify(body=letter.pages.html, title=letter.subject, body_format="html"))
