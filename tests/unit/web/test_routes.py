"""Reading, acting and their refusals (spec E3, A6, A7, X3)."""

import asyncio
import re
import threading
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given as given_input
from hypothesis import settings as effort
from hypothesis import strategies as st
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import DECISION, installation

from levqor.client.recorder import Recorder
from levqor.domain.errors import ConditionNotMet, Conflict, DatabaseDown, GuardRefused, NotFound, NotTheLeader, StoreDown, UsageError
from levqor.web.services import Services

DRYRUN = "/ops/autoscale/dryrun"


@cache
def shared() -> Client:
    """One app for many examples."""
    return Client(installation())


def fields(answer: Any) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]


class TestDryrun:
    """A6."""

    def test_what_if_values_arrive_under_the_policys_names(self) -> None:
        given = installation()
        client = Client(given)
        query = "queue_depth=11&p95_ms=1.5e2&error_rate=0.02&spend_last_24h=0&forecast_next_30d=1000000000000&calm_for_s=600.5"
        answer = client.get(f"{DRYRUN}?{query}")
        assert answer.status_code == 200
        assert answer.json()["action"] == "hold"
        expected = {
            "queue_depth": 11.0,
            "p95_ms": 150.0,
            "error_rate": 0.02,
            "spend_last_24h": 0.0,
            "forecast_next_30d": 1e12,
            "calm_for_s": 600.5,
        }
        assert given.operations.calls == [("dryrun", expected)]

    def test_nothing_given_is_what_is_measured(self) -> None:
        given = installation()
        Client(given).get(DRYRUN)
        assert given.operations.calls == [("dryrun", {})]

    def test_both_names_of_p95(self) -> None:
        given = installation()
        client = Client(given)
        for query in ("p95_latency_ms=151", "p95_ms=151&p95_latency_ms=151.0"):
            assert client.get(f"{DRYRUN}?{query}").status_code == 200
        assert given.operations.calls == [("dryrun", {"p95_ms": 151.0})] * 2
        assert fields(client.get(f"{DRYRUN}?p95_ms=1&p95_latency_ms=2")) == ["p95_latency_ms"]

    @pytest.mark.parametrize("name", ["queue_depth", "p95_ms", "p95_latency_ms", "error_rate", "spend_last_24h", "calm_for_s"])
    @pytest.mark.parametrize(
        "value",
        ["", "x", "-1", "-0.001", "NaN", "nan", "inf", "-Infinity", "1e13", "1e999", "9" * 20_000, "1_0", "0x10", "1,5", "٣", " 1", "1 "],
    )
    def test_what_is_no_such_number_is_422_by_name(self, name: str, value: str) -> None:
        given = installation()
        answer = Client(given).get(f"{DRYRUN}?{urlencode({name: value})}")
        assert answer.status_code == 422
        assert fields(answer) == [name]
        assert len(answer.content) < 500
        assert given.operations.calls == []

    def test_an_error_rate_is_a_share(self) -> None:
        client = Client(installation())
        assert client.get(f"{DRYRUN}?error_rate=1").status_code == 200
        assert fields(client.get(f"{DRYRUN}?error_rate=1.01")) == ["error_rate"]

    def test_unknown_and_repeated_names_are_422(self) -> None:
        client = Client(installation())
        unknown = client.get(f"{DRYRUN}?<script>=1")
        assert (unknown.status_code, fields(unknown)) == (422, ["query"])
        assert "script" not in unknown.text
        assert fields(client.get(f"{DRYRUN}?queue_depth=1&queue_depth=1")) == ["queue_depth"]

    def test_all_that_is_wrong_is_said_at_once(self) -> None:
        assert fields(Client(installation()).get(f"{DRYRUN}?queue_depth=x&p95_ms=-1")) == ["queue_depth", "p95_ms"]

    @effort(max_examples=200, deadline=None)
    @given_input(
        st.lists(
            st.tuples(
                st.sampled_from(["queue_depth", "p95_ms", "calm_for_s"]) | st.text(st.characters(codec="utf-8"), max_size=8),
                st.floats().map(str) | st.integers().map(str) | st.text(st.characters(codec="utf-8"), max_size=12),
            ),
            max_size=3,
        )
    )
    def test_no_query_makes_a_5xx(self, pairs: list[tuple[str, str]]) -> None:
        assert shared().get(f"{DRYRUN}?{urlencode(pairs)}").status_code in (200, 422)


class TestActing:
    """A7 and the operator's orders."""

    @pytest.mark.parametrize(
        ("method", "path", "body", "call"),
        [
            ("POST", "/ops/autoscale/apply", None, ("apply", False, "ann")),
            ("POST", "/ops/autoscale/apply", {}, ("apply", False, "ann")),
            ("POST", "/ops/autoscale/apply", {"dry_run": True}, ("apply", True, "ann")),
            ("POST", "/ops/scale", {"count": 3, "why": "load", "for_s": 60}, ("scale", 3, None, "ann", "load", 60)),
            ("POST", "/ops/scale", {"delta": -1}, ("scale", None, -1, "ann", "", None)),
            ("POST", "/ops/scale", {"count": 0}, ("scale", 0, None, "ann", "", None)),
            ("DELETE", "/ops/scale", None, ("scale_auto", "ann")),
            ("POST", "/ops/holds", {"why": "deploy", "for_s": 7200}, ("hold", "ann", "deploy", 7200)),
            ("POST", "/ops/holds", None, ("hold", "ann", "", None)),
            ("DELETE", "/ops/holds/7", None, ("release", "ann", 7)),
            ("DELETE", "/ops/holds", None, ("release", "ann", None)),
            ("POST", "/ops/queues/default/pause", {"why": "x"}, ("pause", "default", "ann", "x")),
            ("POST", "/ops/queues/a%2Fb%20c/pause", None, ("pause", "a/b c", "ann", "")),
            ("POST", "/ops/queues/default/resume", None, ("resume", "default", "ann")),
            ("PUT", "/ops/flags/AUTOSCALE_ENABLED", {"value": True}, ("set_flag", "AUTOSCALE_ENABLED", True, "ann")),
            ("PUT", "/ops/flags/WORKER_COUNT", {"value": 3}, ("set_flag", "WORKER_COUNT", 3, "ann")),
            ("POST", "/ops/workers/restart", None, ("restart", None, "ann")),
            ("POST", "/ops/workers/restart", {"worker": "w1"}, ("restart", "w1", "ann")),
        ],
    )
    def test_orders_arrive(self, method: str, path: str, body: Any, call: tuple[Any, ...]) -> None:
        given = installation()
        options = {} if body is None else {"json": body}
        answer = Client(given)(method, path, headers={**ADMIN, "X-Levqor-Actor": "ann"}, **options)
        assert answer.status_code == 200
        assert given.operations.calls == [call]
        assert type(given.operations.calls[0][2 if call[0] == "set_flag" else 0]) is type(call[2 if call[0] == "set_flag" else 0])

    @pytest.mark.parametrize(
        ("method", "path", "body", "field"),
        [
            ("POST", "/ops/autoscale/apply", {"dry_run": "yes"}, "dry_run"),
            ("POST", "/ops/autoscale/apply", {"dry_run": 1}, "dry_run"),
            ("POST", "/ops/autoscale/apply", {"dryrun": True}, "body"),
            ("POST", "/ops/scale", {}, "body"),
            ("POST", "/ops/scale", {"count": 1, "delta": 1}, "body"),
            ("POST", "/ops/scale", {"count": -1}, "count"),
            ("POST", "/ops/scale", {"count": 1001}, "count"),
            ("POST", "/ops/scale", {"count": 1, "for_s": 0}, "for_s"),
            ("POST", "/ops/scale", {"count": 1, "for_s": 31 * 86_400 + 1}, "for_s"),
            ("POST", "/ops/holds", {"why": "x" * 501}, "why"),
            ("POST", "/ops/holds", {"why": "a\nb"}, "why"),
            ("POST", "/ops/holds", {"why": "a\x00b"}, "why"),
            ("PUT", "/ops/flags/WORKER_COUNT", {"value": "3"}, "value"),
            ("PUT", "/ops/flags/WORKER_COUNT", {"value": 2.5}, "value"),
            ("PUT", "/ops/flags/WORKER_COUNT", {}, "value"),
            ("POST", "/ops/workers/restart", {"worker": ""}, "worker"),
            ("DELETE", "/ops/holds/x", None, "hold_id"),
            ("DELETE", "/ops/holds/0", None, "hold_id"),
            ("DELETE", f"/ops/holds/{2**63}", None, "hold_id"),
            ("DELETE", f"/ops/holds/{'9' * 5000}", None, "hold_id"),
        ],
    )
    def test_wrong_orders_are_422_by_name(self, method: str, path: str, body: Any, field: str) -> None:
        """X3."""
        given = installation()
        answer = Client(given)(method, path, headers=ADMIN, **({} if body is None else {"json": body}))
        assert answer.status_code == 422
        assert set(fields(answer)) == {field}
        assert given.operations.calls == []

    def test_names_that_can_be_none_are_404(self) -> None:
        client = Client(installation())
        for name in ("%00", "x" * 101, "a%0a"):
            assert client.post(f"/ops/queues/{name}/pause", headers=ADMIN).status_code == 404
            assert client("PUT", f"/ops/flags/{name}", headers=ADMIN, json={"value": True}).status_code == 404

    def test_a_body_under_another_name_is_415(self) -> None:
        answer = Client(installation()).post("/ops/autoscale/apply", headers={**ADMIN, "content-type": "text/plain"}, content="{}")
        assert answer.status_code == 415

    def test_apply_under_a_key_acts_once(self) -> None:
        """L3."""
        given = installation()
        client = Client(given)
        headers = {**ADMIN, "Idempotency-Key": "k"}
        first = client.post("/ops/autoscale/apply", headers=headers, json={"dry_run": False})
        assert client.post("/ops/autoscale/apply", headers=headers, json={"dry_run": False}).json() == first.json()
        assert client.post("/ops/autoscale/apply", headers=headers, json={"dry_run": True}).status_code == 422
        assert [call[0] for call in given.operations.calls] == ["apply"]
        assert client.post("/ops/holds", headers=headers, json={}).status_code == 200

    def test_a_refused_act_frees_its_key(self) -> None:
        given = installation()
        client = Client(given)
        given.operations.error = StoreDown("the store does not answer")
        headers = {**ADMIN, "Idempotency-Key": "k"}
        assert client.post("/ops/autoscale/apply", headers=headers).status_code == 503
        given.operations.error = None
        assert client.post("/ops/autoscale/apply", headers=headers).status_code == 200


class TestRecords:
    """A11: past decisions."""

    def test_filters_arrive(self) -> None:
        given = installation()
        client = Client(given)
        query = "limit=1000&since=2026-03-01T12:00:00%2B02:00&until=2026-03-01T12:00:00Z&changes=false"
        answer = client.get(f"/ops/autoscale/decisions?{query}", headers=ADMIN)
        assert answer.json()["decisions"] == [DECISION]
        since, until = datetime(2026, 3, 1, 10, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert given.operations.calls == [("decisions", 1000, since, until, False)]

    @pytest.mark.parametrize("time", ["2026-03-01T12:00:00Z", "2026-03-01T14:00:00+02:00", "2026-03-01T12:00:00", "2026-03-01"])
    def test_times_are_utc_unless_they_say_else(self, time: str) -> None:
        given = installation()
        Client(given).get(f"/ops/autoscale/decisions/at?time={time}", headers=ADMIN)
        moment = datetime(2026, 3, 1, 0 if len(time) == 10 else 12, tzinfo=UTC)
        assert given.operations.calls == [("decision_at", moment)]

    def test_before_the_first_decision_there_is_none(self) -> None:
        assert Client(installation()).get("/ops/autoscale/decisions/at?time=2020-01-01", headers=ADMIN).status_code == 404

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            (f"limit={'9' * 6000}", "limit"),
            ("since=yesterday", "since"),
            ("until=0001-01-01T00:00:00%2B23:00", "until"),
            ("changes=maybe", "changes"),
            ("limit=1&limit=2", "limit"),
            ("other=1", "query"),
        ],
    )
    def test_wrong_filters_are_422_by_name(self, query: str, field: str) -> None:
        answer = Client(installation()).get(f"/ops/autoscale/decisions?{query}", headers=ADMIN)
        assert (answer.status_code, fields(answer)) == (422, [field])

    def test_a_missing_time_is_422(self) -> None:
        assert fields(Client(installation()).get("/ops/autoscale/decisions/at", headers=ADMIN)) == ["time"]

    def test_the_others_answer(self) -> None:
        given = installation()
        client = Client(given)
        for path in ("/ops/flags", "/ops/episodes?open_only=false", "/ops/audit?limit=5", "/ops/config"):
            assert client.get(path, headers=ADMIN).status_code == 200
        assert given.operations.calls == [("flags",), ("episodes", False), ("audit", 5), ("configuration",)]


class TestHealth:
    """E3."""

    @pytest.mark.parametrize("path", ["/livez", "/health", "/healthz"])
    def test_it_lives_whatever_its_dependencies_do(self, path: str) -> None:
        given = installation()
        given.operations.error = StoreDown("down")
        for method in ("GET", "HEAD"):
            assert Client(given)(method, path).status_code == 200

    def test_readiness(self) -> None:
        given = installation()
        client = Client(given)
        assert client.get("/readyz").json()["ok"] is True
        assert "checks" not in client.get("/readyz").json()
        given.operations.is_ready = False
        answer = client.get("/readyz?verbose")
        assert (answer.status_code, answer.json()["checks"]["store"]["ok"]) == (503, False)
        assert client("HEAD", "/readyz").status_code == 503

    def test_liveness_waits_for_no_thread(self) -> None:
        """E3: while 32 and more handlers hang on a store, the process still says that it lives."""
        given = installation()
        client = Client(given)
        gate, waiting = threading.Event(), threading.Semaphore(0)

        def hang() -> None:
            waiting.release()
            gate.wait(30)

        given.operations.before = hang

        async def drive() -> int:
            hanging = [asyncio.create_task(client.ask("GET", "/status")) for _ in range(50)]
            try:
                while waiting._value < 32:
                    await asyncio.sleep(0)
                async with asyncio.timeout(10):
                    return (await client.ask("GET", "/livez")).status_code
            finally:
                gate.set()
                await asyncio.gather(*hanging)

        assert asyncio.run(drive()) == 200

    def test_unknown_figures_are_null_and_named(self) -> None:
        health = Client(installation()).get("/ops/queue_health").json()
        assert health["depth"] is None
        assert health["unknown"] == ["depth"]


class TestErrors:
    """X3."""

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/nothing", 404), ("GET", "/status/", 404), ("POST", "/livez", 405), ("BREW", "/livez", 405)],
    )
    def test_paths_and_methods(self, method: str, path: str, status: int) -> None:
        answer = Client(installation())(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json().keys() == {"type", "title", "status", "detail"}

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (UsageError("no such flag"), 422),
            (NotFound("no such hold"), 404),
            (Conflict("changed meanwhile"), 409),
            (GuardRefused("held by ann"), 409),
            (StoreDown("the store does not answer"), 503),
            (DatabaseDown("the database does not answer"), 503),
            (NotTheLeader("no leader takes it"), 503),
        ],
    )
    def test_levqors_errors_have_their_status(self, error: Exception, status: int) -> None:
        given = installation()
        given.operations.error = error
        answer = Client(given).get("/status")
        assert (answer.status_code, answer.json()["detail"]) == (status, str(error))
        assert ("retry-after" in answer.headers) == (status == 503)

    def test_a_field_that_levqor_names_is_named(self) -> None:
        given = installation()
        given.operations.error = UsageError("WORKER_COUNT: expected a whole number from 1 to 4")
        answer = Client(given)("PUT", "/ops/flags/WORKER_COUNT", headers=ADMIN, json={"value": 9})
        assert answer.json()["errors"] == [{"field": "WORKER_COUNT", "message": "expected a whole number from 1 to 4"}]

    @pytest.mark.parametrize("error", [RuntimeError("p4ssword"), ConditionNotMet("p4ssword"), ValueError("p4ssword")])
    def test_what_nobody_expected_is_a_500_that_tells_nothing(self, error: Exception) -> None:
        given = installation()
        given.operations.error = error
        answer = Client(given).get("/status")
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "p4ssword" not in answer.text
        assert "Traceback" not in answer.text

    def test_an_answer_that_is_no_number_is_null(self) -> None:
        given = installation()
        given.operations.state = {"mode": "act", "value": float("nan"), "at": datetime(2026, 3, 1, tzinfo=UTC)}
        assert Client(given).get("/status").json() == {"mode": "act", "value": None, "at": "2026-03-01T00:00:00Z"}


class TestLimits:
    """E4."""

    def test_the_rate_of_an_address_is_bounded(self) -> None:
        given = installation(rate_limit_per_s=10)
        client = Client(given).at(STRANGER)
        assert [client.get("/livez").status_code for _ in range(21)] == [200] * 20 + [429]
        answer = client.get("/livez")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"
        given.clock.advance(0.1)
        assert [client.get("/livez").status_code for _ in range(2)] == [200, 429]
        assert client.at("198.51.100.1").get("/livez").status_code == 200

    def test_loopback_and_admin_are_excepted(self) -> None:
        client = Client(installation(rate_limit_per_s=1))
        assert {client.get("/livez").status_code for _ in range(10)} == {200}
        stranger = client.at(STRANGER)
        assert {stranger.get("/livez", headers=ADMIN).status_code for _ in range(10)} == {200}

    def test_a_large_head_is_431(self) -> None:
        client = Client(installation(header_max_bytes=2000))
        assert client.get("/livez", headers={"x-long": "a" * 1500}).status_code == 200
        assert client.get("/livez", headers={"x-long": "a" * 2000}).status_code == 431
        assert client.get(f"/livez?{'a' * 2000}").status_code == 431

    def test_addresses_take_bounded_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """P5."""
        from levqor.web import limits

        monkeypatch.setattr(limits, "MAX_ADDRESSES", 10)
        buckets = limits.Buckets(1, installation().clock)
        for number in range(100):
            buckets.take(str(number))
        assert len(buckets._left) == 10


class TestBasePath:
    """E3: under a prefix, whether the proxy strips it or passes it on."""

    @pytest.mark.parametrize("prefix", ["", "/tools/levqor"])
    def test_every_kind_of_route_answers(self, prefix: str) -> None:
        given = installation(base_path="/tools/levqor")
        client = Client(given)
        for path in ("/livez", "/", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json", "/status", DRYRUN):
            assert client.get(prefix + path).status_code == 200, path
        assert client.get(f"{prefix}/nothing").status_code == 404

    def test_links_have_the_prefix(self) -> None:
        client = Client(installation(base_path="/tools/levqor"))
        for path in ("/", "/docs"):
            links = re.findall(r'(?:href|src|data-openapi)="([^"]+)"', client.get(path).text)
            assert len(links) > 3
            assert all(link.startswith(("/tools/levqor/", "data:")) for link in links)
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/tools/levqor"}]


class TestDocs:
    """E3: from this installation alone."""

    def test_nothing_comes_from_another_host(self) -> None:
        client = Client(installation())
        page = client.get("/docs")
        assert "//" not in page.text.replace("<!doctype", "")
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            asset = client.get(link)
            assert asset.status_code == 200
            assert len(asset.content) > 100
        policy = page.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy

    @pytest.mark.parametrize("name", ["core.py", "..%2fcore.py", "redoc.standalone.js", "%2e%2e/__init__.py"])
    def test_only_listed_assets_are_served(self, name: str) -> None:
        assert Client(installation()).get(f"/docs/assets/{name}").status_code == 404

    def test_every_route_is_described(self) -> None:
        paths = Client(installation()).get("/openapi.json").json()["paths"]
        assert {"/api/v1/intake", "/api/v1/status/{job_id}", "/ops/autoscale/apply", DRYRUN, "/livez"} <= paths.keys()
        assert "requestBody" in paths["/api/v1/intake"]["post"]
        assert len(paths[DRYRUN]["get"]["parameters"]) == 7
        for operation in (operation for methods in paths.values() for operation in methods.values()):
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]


def test_every_answer_carries_the_security_headers() -> None:
    client = Client(installation())
    for path in ("/", "/livez", "/nothing", "/docs", "/docs/assets/swagger-ui.css"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


class TestPage:
    """What runs, in which mode, and why."""

    def test_it_says_what_is(self) -> None:
        given = installation()
        given.operations.state["holds"] = [{"owner": "ann", "why": "deploy", "remaining_s": 7200.0}]
        page = Client(given).get("/").text
        for words in ("observe", "2 running, target 2", "12.5", "unknown (the store does not answer)", "nothing asks for a step",
                      "needs depth 11, now 7", "Held by ann for 2 h more: deploy", "1.2.3", "/docs", "/metrics"):  # fmt: skip
            assert words in page

    def test_markup_in_names_is_text(self) -> None:
        given = installation()
        evil = '<script>alert("1")</script>'
        given.operations.state.update(
            mode=evil,
            holds=[{"owner": evil, "why": evil, "remaining_s": None}],
            flags={"state": "broken", "error": evil},
            episodes=[{"summary": evil}],
            running=evil,
            target=evil,
            measured_at=evil,
            signals={"p95_ms": {"state": "unknown", "value": None, "detail": evil}},
            last_decision={**DECISION, "action": evil, "reasons": [{"code": evil, "text": evil}], "next": evil, "current": evil},
        )
        page = Client(given).get("/").text
        assert "<script" not in page
        assert page.count("&lt;script&gt;") >= 10

    def test_it_answers_while_nothing_is_known(self) -> None:
        given = installation()
        given.operations.error = DatabaseDown("the database does not answer")
        answer = Client(given).get("/")
        assert answer.status_code == 200
        assert "the database does not answer" in answer.text
        given.operations.error = None
        given.operations.state = {}
        assert "None yet." in Client(given).get("/").text

    def test_its_policy_allows_its_own_style_and_nothing_else(self) -> None:
        policy = Client(installation()).get("/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sha256-" in policy
        assert "unsafe" not in policy


def test_only_the_services_own_routes_steer() -> None:
    """S1."""
    given = installation()
    recorder = Recorder()
    services = Services(**{name: getattr(given.services, name) for name in Services.__slots__} | {"recorder": recorder})
    given.services = services
    client = Client(given)
    client.post("/api/v1/intake", json={"handler": "sleep"})
    client.get("/api/v1/status/1")
    for path in ("/livez", "/ops/uptime", "/nothing", "/", "/metrics/x"):
        client.get(path)
    given.operations.error = RuntimeError("unexpected")
    client.get("/status")
    seen = {series[1:]: counts for series, counts in recorder.drain().items()}
    assert {key for key in seen if key[0] == "service"} == {
        ("service", "POST", "/api/v1/intake"),
        ("service", "GET", "/api/v1/status/{job_id}"),
    }
    assert ("own", "GET", "/ops/uptime") in seen
    assert seen["own", "GET", "/status"]["f"] == 1


def test_under_a_prefix_the_same_routes_steer() -> None:
    """S1, E3."""
    given = installation(base_path="/levqor")
    recorder = Recorder()
    given.services = Services(**{name: getattr(given.services, name) for name in Services.__slots__} | {"recorder": recorder})
    client = Client(given)
    for prefix in ("", "/levqor"):
        client.post(f"{prefix}/api/v1/intake", json={"handler": "sleep"})
    assert [series[1:] for series in recorder.drain()] == [("service", "POST", "/api/v1/intake")]
