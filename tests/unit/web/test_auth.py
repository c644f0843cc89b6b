"""Who may (spec X0b, X1)."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.datastructures import Headers
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import KEY, TOKEN, installation

from levqor.web import limits
from levqor.web.callers import Verdict, admin_verdict, host_name, is_local, key_of

ADMIN_ROUTES = [
    ("POST", "/ops/autoscale/apply"),
    ("GET", "/ops/autoscale/decisions"),
    ("GET", "/ops/autoscale/decisions/at?time=2026-03-01T12:00:00Z"),
    ("POST", "/ops/scale"),
    ("DELETE", "/ops/scale"),
    ("POST", "/ops/holds"),
    ("DELETE", "/ops/holds"),
    ("DELETE", "/ops/holds/1"),
    ("POST", "/ops/queues/default/pause"),
    ("POST", "/ops/queues/default/resume"),
    ("GET", "/ops/flags"),
    ("PUT", "/ops/flags/AUTOSCALE_ENABLED"),
    ("POST", "/ops/workers/restart"),
    ("GET", "/ops/episodes"),
    ("GET", "/ops/audit"),
    ("GET", "/ops/cost/ledger"),
    ("GET", "/ops/config"),
]
READER_ROUTES = [
    "/",
    "/status",
    "/ops/queue_health",
    "/ops/holds",
    "/ops/cost/today",
    "/ops/cost/daily",
    "/billing/health",
    "/docs",
    "/openapi.json",
    "/metrics",
]
PUBLIC_ROUTES = ["/ops/autoscale/dryrun", "/ops/uptime", "/ops/cost/forecast"]
HEALTH_ROUTES = ["/livez", "/health", "/healthz", "/readyz"]


@pytest.fixture(autouse=True)
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Delays are noted, not waited for."""
    noted: list[float] = []

    async def note(delay_s: float) -> None:
        noted.append(delay_s)

    monkeypatch.setattr(limits, "pause", note)
    return noted


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
class TestAdminRoutes:
    """X1: even on loopback, each admin route wants the token."""

    def test_no_token_is_401(self, method: str, path: str) -> None:
        given = installation()
        answer = Client(given)(method, path, json={"count": 1, "value": True} if method in ("POST", "PUT") else None)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert given.operations.calls == []

    def test_a_wrong_token_is_401(self, method: str, path: str) -> None:
        given = installation()
        for headers in ({"X-ADMIN-TOKEN": "wrong"}, {"Authorization": "Bearer wrong"}):
            assert Client(given)(method, path, headers=headers).status_code == 401
        assert given.operations.calls == []

    def test_no_token_configured_is_503(self, method: str, path: str) -> None:
        answer = Client(installation(admin_token=None))(method, path, headers=ADMIN)
        assert answer.status_code == 503
        assert "admin disabled" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{"X-ADMIN-TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}, {"authorization": f"bearer {TOKEN}"}])
def test_either_header_lets_the_admin_in_from_anywhere(headers: dict[str, str]) -> None:
    """X1."""
    client = Client(installation())
    for caller in (client, client.at(STRANGER)):
        assert caller.get("/ops/flags", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        pytest.param([("x-admin-token", TOKEN), ("authorization", f"Bearer {TOKEN}")], Verdict.RIGHT, id="both right"),
        pytest.param([("x-admin-token", "no"), ("authorization", f"Bearer {TOKEN}")], Verdict.WRONG, id="one of two wrong"),
        pytest.param([("x-admin-token", TOKEN), ("authorization", "Bearer no")], Verdict.WRONG, id="the other wrong"),
        pytest.param([("x-admin-token", TOKEN), ("x-admin-token", "no")], Verdict.WRONG, id="given twice, one wrong"),
        pytest.param([("x-admin-token", TOKEN), ("authorization", "Basic eDp5")], Verdict.RIGHT, id="Basic is the proxy's"),
        pytest.param([("authorization", "Basic eDp5")], Verdict.NONE, id="Basic alone"),
        pytest.param([("x-admin-token", "")], Verdict.WRONG, id="empty"),
        pytest.param([("x-admin-token", TOKEN[:-1])], Verdict.WRONG, id="a prefix"),
        pytest.param([("x-admin-token", TOKEN + "x")], Verdict.WRONG, id="longer"),
        pytest.param([], Verdict.NONE, id="none"),
    ],
)
def test_each_given_token_must_be_right(headers: list[tuple[str, str]], verdict: Verdict) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    assert admin_verdict(Headers(raw=raw), SecretStr(TOKEN)) is verdict


@pytest.mark.parametrize("value", [b"\xff\xfe\x80", "Bearer Ünïcode".encode(), "Bearer 鍵".encode(), b"Bearer", b"Bearer \x80"])
def test_a_token_of_odd_bytes_is_wrong_and_no_500(value: bytes) -> None:
    """X3."""
    client = Client(installation())
    for name in (b"authorization", b"x-admin-token"):
        assert client.get("/ops/flags", headers=[(name, value)]).status_code == 401
    assert Client(installation(api_keys=KEY)).get("/api/v1/status/1", headers=[(b"x-api-key", value)]).status_code == 401


def test_a_wrong_token_waits_longer_each_time_and_from_the_twentieth_is_429(delays: list[float]) -> None:
    """X1: both sides of the boundary, and a right token passes all the while without a delay."""
    given = installation()
    client = Client(given).at(STRANGER)
    answers = [client.get("/ops/flags", headers={"X-ADMIN-TOKEN": "wrong"}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 19 + [429] * 2
    assert answers[-1].headers["retry-after"] == "60"
    assert delays == [0.25, 0.5, 0.75] + [1.0] * 18
    assert client.get("/ops/flags", headers=ADMIN).status_code == 200
    assert len(delays) == 21
    assert client.at("198.51.100.1").get("/ops/flags", headers={"X-ADMIN-TOKEN": "wrong"}).status_code == 401
    given.clock.advance(60)
    assert client.get("/ops/flags", headers={"X-ADMIN-TOKEN": "wrong"}).status_code == 401


@pytest.mark.parametrize("path", READER_ROUTES)
def test_reading_is_open_on_loopback_and_wants_the_token_beyond(path: str) -> None:
    """X0b."""
    client = Client(installation())
    if path != "/metrics":
        assert client.get(path).status_code == 200
    stranger = client.at(STRANGER)
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, headers={"X-ADMIN-TOKEN": "wrong"}).status_code == 401
    if path != "/metrics":
        assert stranger.get(path, headers=ADMIN).status_code == 200


@pytest.mark.parametrize("path", PUBLIC_ROUTES)
def test_dryrun_and_uptime_are_open_until_ops_public_is_off(path: str) -> None:
    """X0b."""
    assert Client(installation()).at(STRANGER).get(path).status_code == 200
    closed = Client(installation(ops_public=False))
    assert closed.at(STRANGER).get(path).status_code == 401
    assert closed.at(STRANGER).get(path, headers=ADMIN).status_code == 200
    assert closed.get(path).status_code == 200


@pytest.mark.parametrize("path", HEALTH_ROUTES)
def test_health_is_open_to_all(path: str) -> None:
    """X0b: whatever OPS_PUBLIC says."""
    assert Client(installation(ops_public=False)).at(STRANGER).get(path).status_code == 200


def test_readiness_tells_strangers_no_details() -> None:
    """X0b, and a wrong token is no quiet way to try tokens."""
    client = Client(installation())
    assert "checks" in client.get("/readyz?verbose").json()
    stranger = client.at(STRANGER)
    assert "checks" not in stranger.get("/readyz?verbose").json()
    assert "checks" in stranger.get("/readyz?verbose", headers=ADMIN).json()
    assert stranger.get("/readyz?verbose", headers={"X-ADMIN-TOKEN": "wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("address", "host", "headers", "local"),
    [
        pytest.param("127.0.0.1", "localhost:8000", {}, True, id="localhost"),
        pytest.param("127.8.8.8", "127.0.0.1", {}, True, id="all of 127/8 is loopback"),
        pytest.param("::1", "[::1]:8000", {}, True, id="IPv6"),
        pytest.param("::1", "[::1]", {}, True, id="IPv6 without a port"),
        pytest.param("::ffff:127.0.0.1", "LOCALHOST", {}, True, id="mapped, capitals"),
        pytest.param("::ffff:203.0.113.7", "localhost", {}, False, id="mapped stranger"),
        pytest.param("203.0.113.7", "localhost", {}, False, id="stranger who says localhost"),
        pytest.param("127.0.0.1", "evil.example", {}, False, id="rebound name"),
        pytest.param("127.0.0.1", "localhost.evil.example", {}, False, id="a name that begins so"),
        pytest.param("127.0.0.1", "", {}, False, id="no host"),
        pytest.param("127.0.0.1", "localhost", {"x-forwarded-for": "127.0.0.1"}, False, id="through a proxy"),
        pytest.param("127.0.0.1", "localhost", {"forwarded": "for=127.0.0.1"}, False, id="through a modern proxy"),
        pytest.param(None, "localhost", {}, False, id="no peer"),
        pytest.param("testclient", "localhost", {}, False, id="no address"),
    ],
)
def test_loopback_is_peer_and_host_and_no_proxy(address: str | None, host: str, headers: dict[str, str], local: bool) -> None:
    """X0b."""
    raw = [(b"host", host.encode()), *((name.encode(), value.encode()) for name, value in headers.items())]
    scope: dict[str, Any] = {"type": "http", "client": (address, 1) if address else None, "headers": raw}
    assert is_local(scope) is local


def test_host_names() -> None:
    assert [host_name(host) for host in ("a:1", "A", "[::1]:80", "[::1]", "a:", ":1")] == ["a", "a", "[::1]", "[::1]", "a:", ""]


def test_one_person_is_one_address() -> None:
    """P5: a /64 is one person's; a zone or a mapping is no other address."""

    def key(address: str) -> str:
        return key_of({"type": "http", "client": (address, 1)})

    assert key("2001:db8::1") == key("2001:db8::ffff") != key("2001:db8:0:1::1")
    assert key("::ffff:203.0.113.7") == key("203.0.113.7")
    assert key("fe80::1%eth0") == key("fe80::2")


class TestMetrics:
    """X0: beyond loopback `/metrics` needs METRICS_TOKEN, or the admin's."""

    SCRAPER = "scrape-token-99"

    @pytest.fixture(autouse=True)
    def _page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("levqor.web.metrics.render", lambda *_: b"levqor_info 1\n")

    def test_both_tokens_open_it_and_only_it(self) -> None:
        client = Client(installation(metrics_token=self.SCRAPER))
        scraper = {"Authorization": f"Bearer {self.SCRAPER}"}
        assert client.get("/metrics").status_code == 200
        stranger = client.at(STRANGER)
        assert stranger.get("/metrics", headers=scraper).text == "levqor_info 1\n"
        assert stranger.get("/metrics", headers=ADMIN).status_code == 200
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert stranger.get("/status", headers=scraper).status_code == 401

    def test_without_a_metrics_token_only_the_admin_scrapes(self) -> None:
        stranger = Client(installation()).at(STRANGER)
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/metrics", headers=ADMIN).status_code == 200

    def test_guessing_the_metrics_token_is_slowed_down_where_there_is_no_admin(self, delays: list[float]) -> None:
        stranger = Client(installation(metrics_token=self.SCRAPER, admin_token=None)).at(STRANGER)
        assert stranger.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert delays == [0.25]


class TestIntakeKeys:
    """E1: API_KEYS set: required, also on loopback; unset: only loopback."""

    def test_without_keys_only_loopback_posts(self) -> None:
        client = Client(installation())
        assert client.post("/api/v1/intake", json={"handler": "sleep"}).status_code == 202
        stranger = client.at(STRANGER)
        assert stranger.post("/api/v1/intake", json={"handler": "sleep"}).status_code == 403
        assert stranger.get("/api/v1/status/1").status_code == 403

    def test_with_keys_everyone_needs_one(self) -> None:
        client = Client(installation(api_keys=f"other-key-1,{KEY}"))
        for caller in (client, client.at(STRANGER)):
            assert caller.post("/api/v1/intake", json={"handler": "sleep"}).status_code == 401
            assert caller.get("/api/v1/status/1").status_code == 401
            assert caller.post("/api/v1/intake", json={"handler": "sleep"}, headers={"X-API-Key": "wrong"}).status_code == 401
            assert caller.post("/api/v1/intake", json={"handler": "sleep"}, headers={"X-API-Key": KEY}).status_code == 202
            assert caller.get("/api/v1/status/1", headers={"X-API-Key": "other-key-1"}).status_code == 404


def test_the_actor_is_a_short_plain_name() -> None:
    given = installation()
    client = Client(given)
    assert client.post("/ops/holds", headers={**ADMIN, "X-Levqor-Actor": "ann"}).status_code == 200
    assert client.post("/ops/holds", headers=ADMIN).status_code == 200
    assert [call[1] for call in given.operations.calls] == ["ann", "admin"]
    client.post("/ops/holds", headers={**ADMIN, "X-Levqor-Actor": "Ren%C3%A9e"})
    assert given.operations.calls[-1][1] == "Renée"
    for name in (b"", b"a" * 101, b"%0a", b"a\tb", b"a%00"):
        answer = client.post("/ops/holds", headers=[(b"x-admin-token", TOKEN.encode()), (b"x-levqor-actor", name)])
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "X-Levqor-Actor"


def test_a_page_refusal_is_a_small_text() -> None:
    answer = Client(installation()).at(STRANGER).get("/")
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_limit_itself_is_no_way_to_try_tokens(delays: list[float]) -> None:
    """X1: where the rate limit answers first, a wrong token is delayed and counted all the same."""
    client = Client(installation(rate_limit_per_s=1)).at(STRANGER)
    for _ in range(2):
        assert client.get("/livez").status_code == 200
    assert client.get("/livez", headers={"X-ADMIN-TOKEN": "wrong"}).status_code == 429
    assert delays == [0.25]
    assert client.get("/livez", headers=ADMIN).status_code == 200


def test_wrong_tokens_of_many_addresses_take_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """P5."""
    monkeypatch.setattr(limits, "MAX_ADDRESSES", 10)
    wrong = limits.WrongTokens(installation().clock)
    for number in range(100):
        asyncio.run(wrong.punish(f"10.0.0.{number}"))
    assert len(wrong._times) == 10
