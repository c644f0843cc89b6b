"""Signing in: the token once, a sealed cookie, a token against forged changes (spec X1, X2)."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import TOKEN, FakeSignIns, Installation, installation

from levqor.domain.errors import DatabaseDown
from levqor.web import limits
from levqor.web.seal import COOKIE, Seal

SECRET = "a-secret-of-32-bytes-or-so-000000"
ORIGIN = "http://localhost:8000"
APP = "https://app.example.com"
ELSEWHERE = "https://evil.example"
SESSION = "/auth/session"


@pytest.fixture(autouse=True)
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Delays are noted, not waited for."""
    noted: list[float] = []

    async def note(delay_s: float) -> None:
        noted.append(delay_s)

    monkeypatch.setattr(limits, "pause", note)
    return noted


def with_sign_ins(**settings: Any) -> tuple[Installation, FakeSignIns]:
    given = installation(**{"jwt_secret": SECRET, **settings})
    sign_ins = FakeSignIns(given.clock)
    return replace(given, services=replace(given.services, sign_ins=sign_ins)), sign_ins


def client(**settings: Any) -> Client:
    return Client(with_sign_ins(**settings)[0])


def sign_in(ask: Client, token: str = TOKEN, name: str | None = "mia", **headers: str) -> httpx.Response:
    return ask.post(SESSION, json={"token": token} | ({} if name is None else {"name": name}), headers=headers)


def signed_in(ask: Client, **headers: str) -> dict[str, str]:
    """The headers of a page that is signed in."""
    answer = sign_in(ask, **headers)
    assert answer.status_code == 200, answer.text
    # A jar would drop it: the test's clock lies in the past.
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0], "X-CSRF-Token": answer.json()["csrf"], "Origin": ORIGIN}


class TestSigningIn:
    def test_the_token_begins_a_session_in_a_cookie_that_no_script_reads(self) -> None:
        answer = sign_in(client())
        assert answer.status_code == 200
        said = answer.json()
        assert (said["signed_in"], said["name"], said["may_read"], said["read_only"]) == (True, "mia", True, None)
        parts = {part.strip().split("=")[0].lower() for part in answer.headers["set-cookie"].split(";")}
        assert {"httponly", "samesite", "path", "expires"} <= parts
        assert "secure" not in parts
        assert "SameSite=lax" in answer.headers["set-cookie"]
        assert "Path=/;" in answer.headers["set-cookie"] + ";"

    def test_the_token_is_in_no_answer(self) -> None:
        answer = sign_in(client())
        assert TOKEN not in answer.text + str(answer.headers)

    @pytest.mark.parametrize("forwarded", ["https", "https, http"])
    def test_behind_an_https_proxy_the_cookie_is_secure(self, forwarded: str) -> None:
        assert "Secure" in sign_in(client(), **{"X-Forwarded-Proto": forwarded}).headers["set-cookie"]

    def test_under_a_prefix_the_cookie_is_the_prefixs(self) -> None:
        ask = client(base_path="/levqor")
        answer = ask.post("/levqor/auth/session", json={"token": TOKEN})
        assert "Path=/levqor;" in answer.headers["set-cookie"] + ";"

    def test_without_a_name_it_is_admin(self) -> None:
        assert sign_in(client(), name=None).json()["name"] == "admin"

    @pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
    def test_a_name_that_no_log_could_show_is_refused(self, name: str) -> None:
        assert sign_in(client(), name=name).status_code == 422

    @pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": 5}, {"token": "x" * 501}, {"token": TOKEN, "more": 1}])
    def test_a_wrong_body_is_refused_and_not_echoed(self, body: dict[str, Any]) -> None:
        answer = client().post(SESSION, json=body)
        assert answer.status_code == 422
        assert "x" * 20 not in answer.text

    def test_without_an_admin_token_there_is_nothing_to_sign_in_to(self) -> None:
        assert sign_in(client(admin_token=None)).status_code == 404

    def test_while_the_database_is_down_it_is_a_503(self) -> None:
        given, sign_ins = with_sign_ins()
        sign_ins.error = DatabaseDown("gone")
        assert sign_in(Client(given)).status_code == 503


class TestWrongTokens:
    """X1: wrong tokens wait, and from the 20th a minute on are turned away."""

    def test_each_waits_and_the_twentieth_is_a_429(self, delays: list[float]) -> None:
        ask = client()
        answers = [sign_in(ask, "wrong") for _ in range(21)]
        assert [answer.status_code for answer in answers] == [401] * 19 + [429] * 2
        assert answers[-1].headers["retry-after"] == "60"
        assert delays[0] == limits.FIRST_DELAY_S
        assert delays[-1] == limits.LAST_DELAY_S
        assert not [answer for answer in answers if "set-cookie" in answer.headers]

    def test_the_right_token_is_never_refused(self) -> None:
        ask = client()
        for _ in range(25):
            sign_in(ask, "wrong")
        assert sign_in(ask).status_code == 200

    def test_they_count_with_those_of_the_header(self) -> None:
        ask = client()
        for _ in range(19):
            ask.get("/ops/audit", headers={"X-ADMIN-TOKEN": "wrong"})
        assert sign_in(ask, "wrong").status_code == 429


CHANGES = [
    ("POST", "/ops/holds", {"why": "a release"}),
    ("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}),
    ("DELETE", "/ops/holds", None),
    ("POST", "/ops/autoscale/apply", {}),
    ("DELETE", SESSION, None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=lambda value: value if isinstance(value, str) else "")
class TestChanges:
    """Every change must carry the session's own token and come from our page."""

    def ask(self, ask: Client, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        return ask(method, path, json=body, headers=headers) if body is not None else ask(method, path, headers=headers)

    def test_with_both_it_is_done(self, method: str, path: str, body: Any) -> None:
        ask = client()
        assert self.ask(ask, method, path, body, signed_in(ask)).status_code < 300

    @pytest.mark.parametrize("token", [None, "", "wrong", "ä"])
    def test_without_its_token_it_is_refused(self, method: str, path: str, body: Any, token: str | None) -> None:
        given, _sign_ins = with_sign_ins()
        ask = Client(given)
        headers: dict[str, Any] = signed_in(ask)
        del headers["X-CSRF-Token"]
        if token is not None:
            headers["X-CSRF-Token"] = token.encode()
        assert self.ask(ask, method, path, body, headers).status_code == 403
        assert given.operations.calls == []

    def test_another_sessions_token_is_refused(self, method: str, path: str, body: Any) -> None:
        ask = client()
        mine, other = signed_in(ask), signed_in(ask)
        assert self.ask(ask, method, path, body, {**mine, "X-CSRF-Token": other["X-CSRF-Token"]}).status_code == 403

    @pytest.mark.parametrize(
        "origin",
        [
            pytest.param({"Origin": ELSEWHERE}, id="another origin"),
            pytest.param({"Origin": "null"}, id="a sandboxed frame"),
            pytest.param({"Origin": "http://["}, id="no origin at all"),
            pytest.param({"Origin": "http://localhost:8001"}, id="another port"),
            pytest.param({"Sec-Fetch-Site": "cross-site"}, id="a form elsewhere"),
            pytest.param({"Sec-Fetch-Site": "same-site"}, id="a neighbour"),
        ],
    )
    def test_from_elsewhere_it_is_refused(self, method: str, path: str, body: Any, origin: dict[str, str]) -> None:
        ask = client()
        headers = signed_in(ask)
        del headers["Origin"]
        assert self.ask(ask, method, path, body, {**headers, **origin}).status_code == 403

    def test_what_the_browser_says_counts_where_a_proxy_changed_the_host(self, method: str, path: str, body: Any) -> None:
        ask = client()
        headers = {**signed_in(ask), "Origin": "https://levqor.example.com", "Sec-Fetch-Site": "same-origin"}
        assert self.ask(ask, method, path, body, headers).status_code < 300


class TestASession:
    def test_it_reads_what_the_admin_reads_without_a_csrf_token(self) -> None:
        ask = client()
        cookie = {"Cookie": signed_in(ask)["Cookie"]}
        assert ask.get("/ops/audit").status_code == 401
        assert ask.get("/ops/audit", headers=cookie).status_code == 200
        assert ask.at(STRANGER).get("/status", headers=cookie).status_code == 200
        assert ask.at(STRANGER).get("/status").status_code == 401

    def test_changes_are_recorded_in_its_name_and_no_other(self) -> None:
        given, _sign_ins = with_sign_ins()
        ask = Client(given)
        ask.post("/ops/holds", json={"why": "w"}, headers={**signed_in(ask), "X-Levqor-Actor": "somebody-else"})
        assert given.operations.calls[-1][:2] == ("hold", "mia")

    def test_a_wrong_token_beside_it_is_still_wrong(self) -> None:
        ask = client()
        assert ask.get("/ops/audit", headers={**signed_in(ask), "X-ADMIN-TOKEN": "wrong"}).status_code == 401

    def test_the_token_needs_no_session(self) -> None:
        """A script has no cookie, and no page could send its header for it."""
        assert client().post("/ops/holds", json={"why": "w"}, headers={**ADMIN, "Origin": ELSEWHERE}).status_code == 200

    def test_it_expires(self) -> None:
        given, _sign_ins = with_sign_ins()
        ask = Client(given)
        headers = signed_in(ask)
        given.clock.advance(FakeSignIns.LASTS.total_seconds() - 1)
        assert ask.get("/ops/audit", headers=headers).status_code == 200
        given.clock.advance(1)
        assert ask.get("/ops/audit", headers=headers).status_code == 401
        assert ask.get(SESSION, headers=headers).json()["signed_in"] is False

    def test_signing_out_ends_it_on_the_server(self) -> None:
        ask = client()
        headers = signed_in(ask)
        answer = ask("DELETE", SESSION, headers=headers)
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert ask.get("/ops/audit", headers=headers).status_code == 401
        assert ask("DELETE", SESSION, headers=headers).status_code == 204, "twice is no error"

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda cookie: cookie + "0", id="longer"),
            pytest.param(lambda cookie: cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), id="another signature"),
            pytest.param(lambda cookie: "x" + cookie, id="another session"),
            pytest.param(lambda cookie: cookie.partition(".")[0], id="no signature"),
            pytest.param(lambda _cookie: "", id="empty"),
            pytest.param(lambda cookie: "x" * 300 + "." + cookie.partition(".")[2], id="too long"),
        ],
    )
    def test_a_cookie_that_is_not_ours_costs_no_look_into_the_database(self, spoil: Any) -> None:
        given, sign_ins = with_sign_ins()
        ask = Client(given)
        cookie = signed_in(ask)["Cookie"].partition("=")[2]
        sign_ins.error = DatabaseDown("gone")
        assert ask.get("/ops/audit", headers={"Cookie": f"{COOKIE}={spoil(cookie)}"}).status_code == 401

    def test_while_the_database_is_down_nobody_knows(self) -> None:
        given, sign_ins = with_sign_ins()
        ask = Client(given)
        headers = signed_in(ask)
        sign_ins.error = DatabaseDown("gone")
        assert ask.get("/ops/audit", headers=headers).status_code == 503
        assert ask.get("/status").status_code == 200, "reading on this machine needs none"


class TestSeal:
    """A changed token or secret ends every session."""

    def test_only_the_same_secret_and_token_open_it(self) -> None:
        def seal(secret: str, token: str) -> Seal:
            return Seal(SecretStr(secret), SecretStr(token))

        cookie, csrf = seal("s" * 32, "t" * 8).cookie("id"), seal("s" * 32, "t" * 8).csrf("id")
        assert seal("s" * 32, "t" * 8).session_id(cookie) == "id"
        for other in (seal("S" * 32, "t" * 8), seal("s" * 32, "T" * 8)):
            assert other.session_id(cookie) is None
            assert other.csrf("id") != csrf

    def test_the_csrf_token_opens_nothing(self) -> None:
        seal = Seal(SecretStr("s" * 32), SecretStr("t" * 8))
        assert seal.session_id(f"id.{seal.csrf('id')}") is None


def preflight(ask: Client, origin: str, method: str = "PUT") -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type,x-csrf-token"}
    return ask("OPTIONS", "/ops/flags/AUTOSCALE_ENABLED", headers=headers)


class TestAPageOnAHostOfItsOwn:
    """DASHBOARD_ORIGIN: those origins and no other."""

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_a_listed_origin_may_ask(self, method: str) -> None:
        answer = preflight(client(dashboard_origin=APP), APP, method)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "x-csrf-token" in answer.headers["access-control-allow-headers"].lower()

    @pytest.mark.parametrize("origin", [ELSEWHERE, "null", "https://app.example.com.evil.example", "http://app.example.com"])
    def test_another_one_may_not(self, origin: str) -> None:
        ask = client(dashboard_origin=APP)
        assert "access-control-allow-origin" not in preflight(ask, origin).headers
        assert "access-control-allow-origin" not in ask.get("/status", headers={"Origin": origin}).headers

    def test_without_the_setting_nobody_may(self) -> None:
        assert "access-control-allow-origin" not in client().get("/status", headers={"Origin": APP}).headers

    @pytest.mark.parametrize(("path", "status"), [("/status", 401), ("/nonsense", 404), ("/ops/audit", 401), ("/ops/uptime", 200)])
    def test_it_can_read_a_refusal_too(self, path: str, status: int) -> None:
        ask = client(dashboard_origin=APP).at(STRANGER, "api.example.com")
        answer = ask.get(path, headers={"Origin": APP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, APP)
        assert "Origin" in answer.headers["vary"]

    def test_what_nobody_expected_carries_it_too(self) -> None:
        given, _sign_ins = with_sign_ins(dashboard_origin=APP)
        given.operations.error = RuntimeError("a bug")
        answer = Client(given).get("/status", headers={"Origin": APP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, APP)

    def test_on_the_same_registrable_domain_it_signs_in_and_acts(self) -> None:
        ask = client(dashboard_origin=APP).at(STRANGER, "api.example.com")
        own = {"Origin": APP, "Sec-Fetch-Site": "same-site"}
        headers = {**signed_in(ask, **own), **own}
        assert ask.post("/ops/holds", json={"why": "w"}, headers=headers).status_code == 200

    def test_on_another_it_only_reads_and_says_so(self) -> None:
        ask = client(dashboard_origin=APP).at(STRANGER, "api.levqor.example")
        there = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
        said = ask.get(SESSION, headers=there).json()
        assert "only reads" in said["read_only"]
        refused = sign_in(ask, **there)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers

    def test_a_form_is_no_json(self) -> None:
        """What a form can send without asking first is refused before anything is looked at."""
        body = json.dumps({"token": TOKEN}).encode()
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = client().post(SESSION, content=body, headers={"Content-Type": kind, "Origin": ELSEWHERE})
            assert answer.status_code in (403, 415)
            assert "set-cookie" not in answer.headers


def test_who_looks_is_told_what_they_may() -> None:
    ask = client()
    local = ask.get(SESSION).json()
    assert (local["signed_in"], local["may_read"], local["csrf"]) == (False, True, None)
    assert ask.at(STRANGER).get(SESSION).json()["may_read"] is False
