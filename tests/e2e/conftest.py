"""A real browser before a real service with the dashboard in it."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.conftest import Valkey
from tests.e2e.dashboard import Served, Visit
from tests.e2e.documented import ROOT
from tests.waiting import eventually

from levqor.bootstrap.database import migrate
from levqor.bootstrap.plane import control_plane
from levqor.bootstrap.web import services
from levqor.settings import load
from levqor.web.app import create_app
from levqor.web.server import listen, serve
from levqor.web.site import FOLDER

TOKEN = "right-token-1234"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path; a machine of the team's may lack one, CI may not."""
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on PATH: `.ci/run` installs it")
        pytest.skip("no chromium on PATH")
    return found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built dashboard; `make test` has it made before, a bare `pytest` makes it here, one run at a time."""
    if (FOLDER / "index.html").exists():
        return FOLDER
    with (tmp_path_factory.getbasetemp().parent / "site-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "index.html").exists():
            subprocess.run([str(ROOT / "levqor-site" / "build.sh"), sys.prefix], check=True)
    return FOLDER


@pytest.fixture(scope="session")
def axe(site: Path) -> str:
    """The accessibility checker's script; the build brought it along."""
    return (ROOT / "levqor-site" / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(chromium: str, site: Path) -> Iterator[Browser]:
    """One browser for a module: while it lives its thread runs an event loop, so no other test may need that thread's."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a page of its own context. Afterwards: no error of a script, and no request to another host."""
    opened: list[Visit] = []

    def open_at(url: str, path: str = "/", **options: Any) -> Visit:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", **options})
        opened.append(Visit(context.new_page(), url))
        opened[-1].go(path)
        return opened[-1]

    yield open_at
    for one in opened:
        one.page.context.close()
    for one in opened:
        assert one.errors == []
        assert one.elsewhere == set()


@contextmanager
def serving(folder: Path, valkey: Valkey, **environment: str) -> Iterator[Served]:
    """A control plane with its autopilot, in this process."""
    environ = {
        "LEVQOR_DATA": str(folder / "data"),
        "LEVQOR_FLAGS": str(folder / "flags.json"),
        "LEVQOR_LOGS": str(folder / "logs"),
        "REDIS_URL": valkey.url,
        "ADMIN_TOKEN": TOKEN,
        "JWT_SECRET": "a-secret-of-a-test-0000000000000",
        "SCHEDULE_OFF": "*",
        **environment,
    }
    (folder / "data").mkdir(parents=True)
    configuration = load(environ=environ, folder=folder)
    migrate(configuration)
    plane = control_plane(configuration, with_autopilot=True)
    listener, stop = listen("127.0.0.1", 0), threading.Event()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(services(plane, plane.start, plane.close))
    thread = threading.Thread(target=serve, args=(app, configuration.settings), kwargs={"fd": listener.detach(), "stop": stop})
    thread.start()
    try:
        eventually(lambda: _answers(url), what="the server")
        yield Served(url + configuration.settings.base_path, plane, valkey, TOKEN)
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def served(tmp_path: Path, valkey: Valkey, site: Path) -> Iterator[Served]:
    """An installation that has just begun."""
    with serving(tmp_path / "served", valkey) as running:
        yield running
