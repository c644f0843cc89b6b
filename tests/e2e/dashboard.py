"""What the browser tests do with a page, and the service behind it."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Locator, Page, expect
from tests.conftest import Valkey

from levqor.bootstrap.plane import ControlPlane

WITHIN_MS = 15_000
"""The page polls every five seconds."""

expect.set_options(timeout=WITHIN_MS)


@dataclass
class Served:
    """A control plane that is served in this process."""

    url: str
    plane: ControlPlane
    store: Valkey
    token: str

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, headers={"X-ADMIN-TOKEN": self.token}, timeout=20).json()


@dataclass
class Visit:
    """Somebody before the dashboard."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("request", lambda request: self._asked(request.url))

    def _heard(self, kind: str, text: str) -> None:
        # The browser itself writes a line for each refused or lost answer: those are what the tests are about.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.elsewhere.add(url)

    def go(self, path: str) -> None:
        self.page.goto(self.url + path)

    def sign_in(self, token: str, name: str = "mia") -> None:
        """Through the page's own form."""
        self.page.get_by_role("button", name="Sign in").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Admin token").fill(token)
        dialog.get_by_label("Your name").fill(name)
        dialog.get_by_role("button", name="Sign in").click()

    def signed_in(self, token: str, name: str = "mia") -> "Visit":
        self.sign_in(token, name)
        expect(self.page.get_by_role("button", name=name, exact=True)).to_be_visible()
        return self

    @property
    def verdict(self) -> Locator:
        return self.page.get_by_role("region", name="Verdict")

    @property
    def connection(self) -> Locator:
        return self.page.get_by_role("status").first

    def panel(self, title: str) -> Locator:
        return self.page.get_by_role("region", name=title, exact=True)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """As a script of this very page would."""
        script = """async ([method, path, body, headers]) => {
            const answer = await fetch(path, {method, headers: {...(body === null ? {} : {"Content-Type": "application/json"}), ...headers},
                ...(body === null ? {} : {body: JSON.stringify(body)})});
            const text = await answer.text();
            return [answer.status, text];
        }"""
        status, text = self.page.evaluate(script, [method, urlsplit(self.url).path + path, body, headers or {}])
        return status, text
