"""The summary's HTML in a real browser: nothing is fetched, nothing runs, and a narrow screen need not scroll sideways."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.integration.summarising import Office, busy_office

from levqor.domain.summary import SummaryKind
from levqor.store.database import Database, database_url

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NARROW, WIDE = 400, 900


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("summary")
    written: dict[str, Path] = {}
    for name in ("full", "empty"):
        (folder / name).mkdir()
        database = Database(database_url(None, folder / name))
        database.migrate()
        desk = (busy_office(database) if name == "full" else Office(database)).desk()
        for kind in SummaryKind:
            written[f"{name} {kind}"] = folder / f"{name}-{kind}.html"
            written[f"{name} {kind}"].write_text(desk.render(desk.summary(kind)).html, encoding="utf-8")
        database.close()
    return written


@pytest.mark.parametrize("which", ["full daily", "full weekly", "empty daily", "empty weekly"])
def test_a_page_fetches_nothing_runs_nothing_and_fits(browser: Browser, pages: dict[str, Path], which: str) -> None:
    asked: list[str] = []
    said: list[str] = []
    page = browser.new_page(viewport={"width": NARROW, "height": 800})
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.on("console", lambda message: said.append(message.text))
    url = pages[which].as_uri()
    page.goto(url)
    assert asked == [url]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW
    assert page.evaluate("document.querySelectorAll('script, img, link, svg, iframe, style').length") == 0
    assert page.evaluate(
        "[...document.querySelectorAll('span')].every(e => e.style.whiteSpace !== 'nowrap' || e.getClientRects().length === 1)"
    )
    page.set_viewport_size({"width": WIDE, "height": 800})
    assert (
        page.evaluate("Math.max(...[...document.querySelectorAll('h1, h2, table table')].map(e => e.getBoundingClientRect().width))") <= 600
    )
    page.close()


@pytest.mark.parametrize(("scheme", "is_light"), [("light", True), ("dark", False)])
def test_text_is_read_in_the_readers_own_colours(
    browser: Browser, pages: dict[str, Path], scheme: Literal["light", "dark"], is_light: bool
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(pages["full weekly"].as_uri())
    colour = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    assert colour == ("rgb(0, 0, 0)" if is_light else "rgb(255, 255, 255)")
    page.close()
