"""The dashboard with a long past behind it: a poll's server time, the first load, when it is usable, a month drawn, a step seen.

The database holds 90 days of roll-ups, 10,000 decisions and a day of ticks. The peer of the poll is a bare FastAPI route
that answers a constant of the same size, asked in the same run over the same loopback.
"""

import contextlib
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI, Response
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Response as Answer
from tests.filled import fill

from bench.service import Service, row
from levqor.store.database import Database, database_url

POLL_LIMIT_MS = 30.0
POLLS, POLL_EVERY_S = 40, 0.5
FIRST_LOAD_LIMIT_KB = 180.0
USABLE_LIMIT_S = 1.0
LONG_TASK_LIMIT_MS = 100.0
STEP_LIMIT_S = 5.0
SPIKE_JOBS = 200
LOADS = 5
LONG_TASKS = """() => {
    window.longest = 0;
    new PerformanceObserver((list) => { for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration); })
        .observe({type: "longtask", buffered: true});
}"""


def timed_polls(url: str) -> list[float]:
    """Milliseconds of each answer over one kept connection, at a pace at which nothing is answered from a moment ago."""
    found = []
    with httpx.Client(timeout=30) as client:
        client.get(url)
        for _ in range(POLLS):
            time.sleep(POLL_EVERY_S)
            began = time.perf_counter()
            client.get(url).raise_for_status()
            found.append((time.perf_counter() - began) * 1000)
    return found


@contextlib.contextmanager
def bare_route(body: bytes) -> Iterator[str]:
    """A FastAPI application that does nothing but answer."""
    app = FastAPI()

    @app.get("/constant")
    def constant() -> Response:
        return Response(body, media_type="application/json")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/constant"
        server.should_exit = True
        thread.join(10)


def polls(service: Service) -> bool:
    url = f"{service.url}/ops/overview"
    body = httpx.get(url, timeout=30).content
    ours = timed_polls(url)
    with bare_route(body) as peer:
        beside = timed_polls(peer)
    print(f"   the overview's answer: {len(body) / 1000:.0f} kB; the slowest of {POLLS} polls {max(ours):.1f} ms")
    print(f"   beside it: a bare FastAPI route with a constant of that size, median {statistics.median(beside):.1f} ms")
    return row("a poll of the overview, median", statistics.median(ours), POLL_LIMIT_MS, "ms")


def first_load(browser: Browser, service: Service) -> list[bool]:
    """Scripts as they cross the wire, and when the first figures are there; each load in a context without a cache."""
    times, size = [], 0
    for _ in range(LOADS):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page, sizes = context.new_page(), list[int]()
        page.on("response", partial(note_script, sizes))
        page.goto(f"{service.url}/")
        page.locator("section[data-level]").wait_for()
        times.append(page.evaluate("performance.now()") / 1000)
        page.wait_for_load_state("networkidle")
        size = sum(sizes)
        context.close()
    return [
        row("JavaScript of the first load, compressed", size / 1000, FIRST_LOAD_LIMIT_KB, "kB"),
        row(f"usable after, median of {LOADS} loads", statistics.median(times), USABLE_LIMIT_S, "s"),
    ]


def note_script(sizes: list[int], answer: Answer) -> None:
    if answer.request.resource_type == "script":
        sizes.append(int(answer.headers.get("content-length", 0)))


def a_month(browser: Browser, service: Service) -> bool:
    """The longest task while the chart changes from an hour to 30 days."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{service.url}/autoscale")
    page.locator("canvas").first.wait_for()
    page.wait_for_load_state("networkidle")
    page.evaluate(LONG_TASKS)
    page.evaluate("window.longest = 0")
    with page.expect_response("**/ops/chart?span=30d"):
        page.get_by_role("button", name="30d").click()
    page.locator("canvas").first.wait_for()
    page.wait_for_timeout(1_500)
    longest = float(page.evaluate("window.longest"))
    page.close()
    return row("30 days drawn: the longest task", longest, LONG_TASK_LIMIT_MS, "ms")


def a_step(browser: Browser, service: Service) -> bool:
    """From the first of 200 jobs until the step is on the page."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{service.url}/")
    page.locator("section[data-level]").wait_for()
    before = service.get("/status")["target"]
    service.post("/ops/flags/AUTOSCALE_ENABLED", {"value": True}, "PUT")
    time.sleep(3)  # the flag has been seen, and the step is the jobs'
    began = time.monotonic()
    with httpx.Client(base_url=service.url) as client:
        for _ in range(SPIKE_JOBS):
            client.post("/api/v1/intake", json={"handler": "sleep", "payload": {"seconds": 0.2}}).raise_for_status()
    page.get_by_text(f"{before} → {before + 1}").first.wait_for(timeout=60_000)
    took = time.monotonic() - began
    page.close()
    return row("from a spike to the step on the page", took, STEP_LIMIT_S, "s")


def main() -> int:
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if chromium is None:
        print("   no chromium on PATH", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        service = Service(Path(name))
        service.start()
        service.stop()
        database = Database(database_url(None, Path(name) / "data"))
        fill(database, datetime.now(UTC), days=90, changes=10_000, ticks=43_200)
        database.close()
        service.start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            held = [polls(service), *first_load(browser, service), a_month(browser, service), a_step(browser, service)]
        finally:
            browser.close()
            service.stop()
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
