"""The dashboard in a real browser: what it shows, whom it lets in, and what it withstands (spec R6, E3, X)."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import update
from tests.conftest import Valkey
from tests.e2e.conftest import serving
from tests.e2e.dashboard import Served, Visit
from tests.filled import fill
from tests.waiting import eventually

from levqor.store.audit import record_change
from levqor.store.schema import sessions

pytestmark = pytest.mark.timeout(180)

PAGES = ("/", "/autoscale", "/slos", "/incidents", "/retention", "/cost", "/schedule", "/settings")
FIRST_LOAD_LIMIT_KB = 180
MARKUP = "<img src=x onerror=\"document.title='gone'\"><b>bold</b>"

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_valkey: Valkey, site: Path) -> Iterator[Served]:
    """One installation for what changes nothing that others look at; the store may hold what tests before have left."""
    with shared_valkey.client as client:
        client.flushall()
    with serving(tmp_path_factory.mktemp("dashboard") / "served", shared_valkey) as running:
        eventually(lambda: running.get("/status")["last_decision"], what="a decision")
        yield running


class TestTheFirstScreen:
    def test_on_an_empty_installation_each_panel_says_what_fills_it(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url)
        expect(at.verdict).to_be_visible()
        expect(at.panel("Workers")).to_contain_text("levqor up")
        for title in ("Why", "Workers", "Incidents"):
            expect(at.panel(title)).to_be_visible()
        expect(at.page.get_by_role("button", name="Hold")).to_be_disabled()

    def test_its_numbers_are_the_apis(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url)
        expect(at.verdict).to_be_visible()
        overview = shared.get("/ops/overview")
        expect(at.verdict).to_contain_text(overview["verdict"]["sentence"].split(".")[0])
        expect(at.panel("Workers")).to_contain_text(f"{overview['status']['running'] or '?'} of {overview['status']['target']}")
        (first, *_rest) = overview["decisions"]
        expect(at.panel("Why")).to_contain_text(next(reason["text"] for reason in first["reasons"] if reason["votes"]))
        expect(at.connection).to_contain_text("updated")

    def test_it_needs_no_scrolling_where_a_desk_has_room(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url)
        expect(at.verdict).to_be_visible()
        expect(at.panel("Incidents")).to_be_in_viewport(ratio=0.5)
        assert at.page.evaluate("document.documentElement.scrollHeight") <= 900

    def test_a_deploy_is_marked_in_the_charts_and_named_in_their_tables(self, shared: Served, visit: Open) -> None:
        """Even one that is newer than the newest point (spec A12)."""
        at = visit(shared.url, "/livez")
        overview, now = shared.get("/ops/overview"), 1_795_341_600
        deploy = {"at": now, "sha": "abc123", "note": MARKUP}
        chart = {**overview["chart"], "at": [now - 120, now - 60], "lines": {"p95_ms": [20, 30]}, "deploys": [deploy]}
        at.page.route("**/ops/overview", lambda route: route.fulfill(json={**overview, "chart": chart}))
        at.go("/")
        text = f"deploy abc123 ({MARKUP})"
        expect(at.panel("The last hour").get_by_role("cell", name=text)).to_have_count(3)
        plot = at.page.locator(".u-over").first
        plot.hover()
        expect(plot).not_to_have_attribute("title", re.compile("deploy"))
        box = plot.bounding_box()
        assert box is not None
        at.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 40)
        expect(plot).to_have_attribute("title", re.compile(re.escape(text)))

    def test_its_first_load_is_small_and_comes_from_here_alone(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url, "/livez")
        sizes: dict[str, int] = {}

        def note(url: str, length: str | None, kind: str) -> None:
            if kind == "script":
                sizes[url] = int(length or 0)

        at.page.on("response", lambda answer: note(answer.url, answer.headers.get("content-length"), answer.request.resource_type))
        at.go("/")
        expect(at.verdict).to_be_visible()
        at.page.wait_for_load_state("networkidle")
        assert 0 not in sizes.values()
        assert sum(sizes.values()) <= FIRST_LOAD_LIMIT_KB * 1000, sizes


class TestSigningIn:
    def test_a_wrong_token_says_so_and_lets_nobody_in(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url)
        at.sign_in("wrong-token")
        expect(at.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The token is wrong.")
        assert at.page.context.cookies() == []

    def test_in_a_hold_and_out_again(self, served: Served, visit: Open) -> None:
        """Each change is confirmed, and lands in the audit log under the name of who is signed in."""
        at = visit(served.url).signed_in(served.token, "mia")
        (cookie,) = at.page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert at.page.evaluate("document.cookie") == ""
        at.page.get_by_role("button", name="Hold").click()
        dialog = at.page.get_by_role("dialog")
        expect(dialog).to_contain_text("The workers stay as they are.")
        expect(dialog.get_by_role("button", name="Hold")).to_be_disabled()
        dialog.get_by_label("Why, for the others").fill(MARKUP)
        dialog.get_by_role("button", name="Hold").click()
        expect(at.page.get_by_role("button", name="Release")).to_be_visible()
        expect(at.verdict.get_by_title(MARKUP)).to_contain_text("held by mia")
        assert at.page.title() != "gone"
        assert served.get("/status")["mode"] == "held"
        at.page.get_by_role("button", name="Release").click()
        at.page.get_by_role("dialog").get_by_role("button", name="Release").click()
        expect(at.page.get_by_role("button", name="Hold")).to_be_enabled()
        assert [(row["actor"], row["what"]) for row in served.get("/ops/audit")["audit"][:2]] == [("mia", "release"), ("mia", "hold")]
        at.page.get_by_role("button", name="mia").click()
        at.page.get_by_role("dialog").get_by_role("button", name="Sign out").click()
        expect(at.page.get_by_role("button", name="Sign in")).to_be_visible()
        answer = httpx.get(f"{served.url}/ops/audit", headers={"Cookie": f"{cookie['name']}={cookie['value']}"})
        assert answer.status_code == 401, "it ended on the server"

    def test_a_session_that_expired_is_asked_to_sign_in_again(self, served: Served, visit: Open) -> None:
        at = visit(served.url).signed_in(served.token)
        with served.plane.database.write() as connection:
            connection.execute(update(sessions).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC)))
        status, _text = at.ask("GET", "/ops/audit")
        assert status == 401
        at.page.reload()
        expect(at.page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(at.page.get_by_role("button", name="Hold")).to_be_disabled()

    def test_a_page_that_may_only_read_says_so(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url, "/livez")
        why = "This page is on another site than its API, where browsers keep sign-ins apart: it only reads."
        answer = {**shared.get("/auth/session"), "read_only": why}
        at.page.route("**/auth/session", lambda route: route.fulfill(json=answer))
        at.go("/")
        expect(at.page.get_by_text("read-only")).to_have_attribute("title", why)
        expect(at.page.get_by_role("button", name="Sign in")).to_have_count(0)
        expect(at.page.get_by_role("button", name="Hold")).to_be_disabled()


@contextmanager
def another_site(html: str) -> Iterator[str]:
    """A page that somebody else serves: `localhost` is another site than 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class TestAnotherSite:
    """A page elsewhere, opened by somebody who is signed in here."""

    def test_its_form_and_its_script_change_nothing(self, served: Served, visit: Open) -> None:
        at = visit(served.url).signed_in(served.token)
        evil = f"""<form method=post enctype=text/plain action="{served.url}/ops/holds"><input name='{{"why":"x' value='"}}'></form>
            <script>
            window.done = Promise.allSettled([
              fetch("{served.url}/ops/holds", {{method: "POST", credentials: "include", mode: "no-cors", body: '{{"why":"x"}}'}}),
              fetch("{served.url}/ops/holds", {{method: "DELETE", credentials: "include"}}),
              fetch("{served.url}/ops/overview", {{credentials: "include"}}).then((answer) => answer.text()),
            ]).then((all) => all.map((one) => one.status));
            </script>"""
        with another_site(evil) as url:
            page = at.page.context.new_page()
            page.goto(url)
            fates = page.evaluate("window.done")
            assert fates[1:] == ["rejected", "rejected"], "neither asked nor read"
            with page.expect_navigation():
                page.evaluate("document.forms[0].submit()")
            assert page.evaluate("document.body.innerText").count('"status": 4') == 1
        assert served.get("/ops/holds")["holds"] == []

    def test_it_gets_no_frame_around_ours(self, served: Served, visit: Open) -> None:
        at = visit(served.url)
        expect(at.verdict).to_be_visible()
        with another_site(f'<iframe src="{served.url}/"></iframe>') as url:
            page = at.page.context.new_page()
            page.goto(url)
            page.wait_for_load_state("networkidle")
            (frame,) = page.frames[1:]
            assert frame.url.startswith("chrome-error:") or frame.locator("main").count() == 0


class TestTrouble:
    def test_a_store_that_is_down_is_unknown_and_not_zero(self, served: Served, visit: Open) -> None:
        at = visit(served.url)
        expect(at.verdict).to_contain_text("nothing waits")
        served.store.pause()
        try:
            expect(at.verdict).to_contain_text("unknown")
            expect(at.verdict).to_contain_text("queue unknown")
            expect(at.panel("Workers").get_by_role("alert")).to_be_visible()
        finally:
            served.store.resume()
        expect(at.verdict).not_to_contain_text("queue unknown")

    def test_ten_thousand_decisions_and_names_with_markup(self, served: Served, visit: Open) -> None:
        now = datetime.now(UTC)
        fill(served.plane.database, now, days=30, changes=10_000)
        with served.plane.database.write() as connection:
            record_change(connection, now, MARKUP, MARKUP, MARKUP, MARKUP, MARKUP)
        at = visit(served.url)
        expect(at.panel("Why").get_by_role("listitem")).to_have_count(5)
        at.go("/autoscale")
        at.page.get_by_role("button", name="30d").click()
        expect(at.page.get_by_role("row")).not_to_have_count(0)
        assert at.page.evaluate("document.querySelectorAll('*').length") < 6_000
        for path in PAGES:
            at.go(path)
            expect(at.page.get_by_role("heading", level=1)).to_be_attached()
        assert at.page.title() != "gone"

    def test_under_a_prefix_everything_is_found(self, tmp_path: Path, valkey: Valkey, site: Path, visit: Open) -> None:
        with serving(tmp_path / "prefixed", valkey, BASE_PATH="/levqor") as running:
            lost: list[str] = []
            at = visit(running.url, "/livez")
            at.page.on("response", lambda answer: lost.append(answer.url) if answer.status == 404 else None)
            at.go("/")
            at.signed_in(running.token)
            (cookie,) = at.page.context.cookies()
            assert cookie["path"] == "/levqor"
            at.page.get_by_role("link", name="Autoscale").click()
            expect(at.page).to_have_url(f"{running.url}/autoscale")
            expect(at.page.get_by_role("heading", level=1, name="Autoscale")).to_be_visible()
            at.page.reload()
            expect(at.page.get_by_role("button", name="mia")).to_be_visible()
            assert lost == []


class TestForEverybody:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing_serious(self, shared: Served, visit: Open, axe: str, scheme: str) -> None:
        at = visit(shared.url, "/livez", color_scheme=scheme, bypass_csp=True)
        at.go("/")
        at.signed_in(shared.token)
        found = {}
        for path in PAGES:
            at.go(path)
            expect(at.page.get_by_role("heading", level=1)).to_be_attached()
            at.page.wait_for_load_state("networkidle")
            at.page.evaluate(axe)
            results = at.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            grave = [one for one in results["violations"] if one["impact"] in ("serious", "critical")]
            found[path] = [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in grave]
        assert {path: trouble for path, trouble in found.items() if trouble} == {}

    def test_a_phone_scrolls_no_page_sideways(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url, viewport={"width": 360, "height": 780})
        wide = {}
        for path in PAGES:
            at.go(path)
            expect(at.page.get_by_role("heading", level=1)).to_be_attached()
            at.page.wait_for_load_state("networkidle")
            width = at.page.evaluate("document.documentElement.scrollWidth")
            if width > 360:
                wide[path] = width
        assert wide == {}

    def test_the_keyboard_goes_everywhere(self, shared: Served, visit: Open) -> None:
        at = visit(shared.url)
        expect(at.verdict).to_be_visible()
        at.page.keyboard.press("Tab")
        expect(at.page.get_by_role("link", name="Skip to the content")).to_be_focused()
        at.page.keyboard.press("Enter")
        assert at.page.evaluate("document.activeElement.id") == "content"
        at.page.keyboard.press("g")
        at.page.keyboard.press("a")
        expect(at.page).to_have_url(f"{shared.url}/autoscale")
        expect(at.page.get_by_role("link", name="Autoscale")).to_have_attribute("aria-current", "page")
