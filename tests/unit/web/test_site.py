"""The dashboard's files: exactly those, each with its policy (spec E3, X)."""

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.web.client import STRANGER, Client
from tests.unit.web.fakes import Installation, installation

from levqor.web.site import CONNECTS, PREFIX_MARK, load, policy

SCRIPT = b'self.__next_f.push([1,"x"])'
MARK = PREFIX_MARK.decode()
SCRIPTS = f'<script src="{MARK}/_next/static/a.js"></script><script>{SCRIPT.decode()}</script>'
PAGE = f'<html>{SCRIPTS}<a href="{MARK}">O</a><a href="{MARK}/autoscale">A</a></html>'
FILES = {
    "index.html": PAGE,
    "autoscale.html": PAGE,
    "404.html": PAGE,
    "autoscale/__next._full.txt": f'["{MARK}/autoscale"]',
    "_next/static/a.js": f'var prefix = "{MARK}";',
    "_next/static/a.css": "body { color: red }",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.with_name(f"{path.name}.br").write_bytes(b"packed " + text.encode())
    return tmp_path


def with_site(folder: Path, **settings: object) -> Installation:
    given = installation(**settings)
    return replace(given, services=replace(given.services, site=folder))


def digest(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def test_pages_answer_without_their_ending_and_to_anybody(folder: Path) -> None:
    client = Client(with_site(folder))
    for path in ("/", "/autoscale"):
        answer = client.at(STRANGER).get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<a href="/">O</a><a href="/autoscale">' in answer.text


@pytest.mark.parametrize(
    "path", ["/nonsense", "/autoscale/", "/autoscale.html", "/index.html", "/_next/static/b.js", "/%2e%2e/app.py", "/connects.json"]
)
def test_any_other_path_is_the_apis_404(folder: Path, path: str) -> None:
    """E3: an unknown path is never the dashboard's page."""
    answer = Client(with_site(folder)).get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/livez", "/health", "/healthz", "/readyz", "/status", "/openapi.json"])
def test_the_apis_own_paths_are_never_a_page(folder: Path, path: str) -> None:
    assert Client(with_site(folder)).get(path).headers["content-type"] == "application/json"


def test_only_reading_gets_a_page(folder: Path) -> None:
    assert Client(with_site(folder)).post("/", json={}).status_code == 405
    assert Client(with_site(folder))("HEAD", "/autoscale").status_code == 200


def test_a_page_names_each_inline_script_and_allows_nothing_else(folder: Path) -> None:
    answer = Client(with_site(folder)).get("/")
    found = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert found["default-src"] == "'none'"
    assert found["script-src"] == f"'self' {digest(SCRIPT)}"
    assert (found["style-src"], found["connect-src"]) == ("'self'", "'self'")
    assert found["frame-ancestors"] == found["base-uri"] == found["form-action"] == "'none'"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]


def test_the_policy_counts_the_script_as_it_is_sent(folder: Path) -> None:
    """With a prefix the inline script is another text, so another hash."""
    (folder / "index.html").write_text(f"<script>go('{MARK}')</script>", encoding="utf-8")
    answer = Client(with_site(folder, base_path="/levqor")).get("/levqor/")
    assert "go('/levqor')" in answer.text
    assert digest(b"go('/levqor')") in answer.headers["content-security-policy"]


def test_a_host_that_the_page_was_built_to_talk_to_is_in_its_policy(folder: Path) -> None:
    (folder / CONNECTS).write_text(json.dumps(["https://sentry.example"]), encoding="utf-8")
    answer = Client(with_site(folder)).get("/")
    assert "connect-src 'self' https://sentry.example;" in answer.headers["content-security-policy"]


def test_one_script_twice_is_named_once() -> None:
    assert policy(b"<script>a</script><script>a</script>").count("sha256-") == 1


class TestPacked:
    """A file goes out packed where the browser can unpack it."""

    def test_with_brotli_as_the_build_left_it(self, folder: Path) -> None:
        answer = Client(with_site(folder)).get("/_next/static/a.js", headers={"Accept-Encoding": "x-unknown, br"})
        assert answer.headers["content-encoding"] == "br"
        assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Accept-Encoding", "public, max-age=31536000, immutable")

    def test_with_gzip(self, folder: Path) -> None:
        file = load("", folder)["/_next/static/a.js"]
        answer = Client(with_site(folder)).get("/_next/static/a.js", headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(file.gzipped) == file.body == answer.content

    @pytest.mark.parametrize("accepted", ["identity", "br;q=0, gzip; q=0", "gzipped"])
    def test_plain_where_it_cannot(self, folder: Path, accepted: str) -> None:
        answer = Client(with_site(folder)).get("/_next/static/a.js", headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in answer.headers
        assert answer.text == 'var prefix = "";'

    def test_never_with_brotli_under_a_prefix(self, folder: Path) -> None:
        """It was packed for none."""
        answer = Client(with_site(folder, base_path="/levqor")).get("/levqor/_next/static/a.js", headers={"Accept-Encoding": "br, gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.text == 'var prefix = "/levqor";'


class TestKept:
    """What the browser has is not sent again."""

    @pytest.mark.parametrize("form", ["{tag}", '"other", {tag}', "{strong}"])
    def test_the_same_file_is_a_304_with_its_policy(self, folder: Path, form: str) -> None:
        client = Client(with_site(folder))
        tag = client.get("/").headers["etag"]
        answer = client.get("/", headers={"If-None-Match": form.format(tag=tag, strong=tag.removeprefix("W/"))})
        assert (answer.status_code, answer.content) == (304, b"")
        assert digest(SCRIPT) in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-cache"

    def test_another_file_is_sent(self, folder: Path) -> None:
        assert Client(with_site(folder)).get("/", headers={"If-None-Match": 'W/"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["/levqor", "/levqor/", "/levqor/autoscale", "/autoscale"])
def test_a_prefix_is_taken_whether_the_proxy_strips_it_or_not(folder: Path, path: str) -> None:
    answer = Client(with_site(folder, base_path="/levqor")).get(path)
    assert answer.status_code == 200
    assert '<a href="/levqor">O</a><a href="/levqor/autoscale">' in answer.text


def test_without_a_build_a_small_page_says_what_to_run(tmp_path: Path) -> None:
    answer = Client(with_site(tmp_path / "nothing")).get("/")
    assert answer.status_code == 200
    assert answer.text.count("make site") == 1
