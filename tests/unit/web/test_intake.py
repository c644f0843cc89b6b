"""Jobs in, status out (spec E1, L3), and input that is nonsense (X3)."""

import asyncio
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given as given_input
from hypothesis import settings as effort
from hypothesis import strategies as st
from tests.unit.web.client import STRANGER, Client
from tests.unit.web.fakes import installation

from levqor.domain.errors import DatabaseDown

INTAKE = "/api/v1/intake"
ORDER = {"handler": "sleep", "payload": {"seconds": 1}}


def test_a_job_is_taken_and_found() -> None:
    given = installation(queues="fast,slow")
    client = Client(given)
    answer = client.post(INTAKE, json=ORDER)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    job = given.engine.jobs[answer.json()["job_id"]]
    assert (job.handler, job.payload, job.queue, job.max_attempts) == ("sleep", {"seconds": 1}, "fast", 3)
    job.status, job.started_at = "running", datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)
    status = client.get(f"/api/v1/status/{job.job_id}").json()
    assert (
        status.items()
        >= {
            "job_id": job.job_id,
            "status": "running",
            "attempts": 0,
            "enqueued_at": "2026-03-01T12:00:00Z",
            "started_at": "2026-03-01T12:00:01Z",
            "ended_at": None,
            "error": None,
        }.items()
    )


def test_queue_and_attempts_may_be_chosen() -> None:
    given = installation(queues="fast,slow")
    Client(given).post(INTAKE, json={**ORDER, "queue": "slow", "max_attempts": 100})
    (job,) = given.engine.jobs.values()
    assert (job.queue, job.max_attempts) == ("slow", 100)


@pytest.mark.parametrize("job_id", ["nothing", "x" * 300, "%00", "..%2f", "%ff", "a%0ab"])
def test_an_unknown_job_is_404(job_id: str) -> None:
    answer = Client(installation()).get(f"/api/v1/status/{job_id}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"handler": "nonsense"}, "handler", id="unknown handler"),
        pytest.param({"handler": 5}, "handler", id="handler of another type"),
        pytest.param({"handler": ""}, "handler", id="empty handler"),
        pytest.param({"handler": None}, "handler", id="null handler"),
        pytest.param({"payload": []}, "payload", id="payload is a list"),
        pytest.param({"payload": None}, "payload", id="payload is null"),
        pytest.param({"queue": "elsewhere"}, "queue", id="unknown queue"),
        pytest.param({"max_attempts": 0}, "max_attempts", id="no attempt"),
        pytest.param({"max_attempts": 101}, "max_attempts", id="too many attempts"),
        pytest.param({"max_attempts": "3"}, "max_attempts", id="attempts as text"),
        pytest.param({"max_attempts": True}, "max_attempts", id="attempts as a truth"),
        pytest.param({"max_attempts": 2.5}, "max_attempts", id="half attempts"),
        pytest.param({"s3cret-name": 1}, "body", id="a field more"),
    ],
)
def test_a_wrong_field_is_422_by_name_and_not_repeated(change: dict[str, Any], field: str) -> None:
    """X3."""
    given = installation()
    answer = Client(given).post(INTAKE, json={**ORDER, **change})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not any(word in answer.text for word in ("nonsense", "elsewhere", "s3cret"))
    assert given.engine.jobs == {}


def test_an_unknown_handler_is_told_the_known_ones() -> None:
    answer = Client(installation()).post(INTAKE, json={"handler": "nonsense"})
    assert "fail, sleep" in answer.json()["detail"]


BAD_JSON = [
    pytest.param(b"", id="empty"),
    pytest.param(b"{", id="cut"),
    pytest.param(b"handler=sleep", id="a form"),
    pytest.param(b'{"handler": "sleep", "payload": {"n": NaN}}', id="NaN"),
    pytest.param(b'{"handler": "sleep", "payload": {"n": -Infinity}}', id="Infinity"),
    pytest.param(b'{"handler": "sleep", "payload": {"n": 1e999}}', id="overflow"),
    pytest.param(b'{"handler": "sleep", "payload": {"n": ' + b"9" * 20_000 + b"}}", id="20,000 digits"),
    pytest.param(b'{"handler": "sleep", "payload": {"n": 0.' + b"9" * 20_000 + b"}}", id="20,000 decimals"),
    pytest.param(b'{"handler": "\\ud800"}', id="lone surrogate"),
    pytest.param(b'{"handler": "sleep", "payload": {"\\udfff": 1}}', id="lone surrogate as a name"),
    pytest.param(b'{"handler": "sleep", "handler": "fail"}', id="a name twice"),
    pytest.param(b'{"handler": "sleep", "payload": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", id="bottomless objects"),
    pytest.param(b"[" * 100_000, id="bottomless lists"),
    pytest.param(b'{"handler": "sleep", "payload": {"a": ' + b"[" * 70 + b"]" * 70 + b"}}", id="deeper than 64"),
    pytest.param(b'{"handler": "sl\xffeep"}', id="not UTF-8"),
    pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
    pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
    pytest.param(b'{"handler": "sl\x00eep"}', id="a control character"),
]


@pytest.mark.parametrize("body", BAD_JSON)
def test_what_is_not_json_is_a_4xx_without_a_word_of_it(body: bytes) -> None:
    """X3."""
    given = installation()
    answer = Client(given).post(INTAKE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 500
    assert given.engine.jobs == {}


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"sleep"', b"true"])
def test_json_that_is_no_object_is_422(body: bytes) -> None:
    answer = Client(installation()).post(INTAKE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonx", None]
)
def test_json_under_another_name_is_415(content_type: str | None) -> None:
    """What a foreign page may send without asking is not taken."""
    headers = {} if content_type is None else {"content-type": content_type}
    given = installation()
    assert Client(given).post(INTAKE, content=json.dumps(ORDER).encode(), headers=headers).status_code == 415
    assert given.engine.jobs == {}


def test_a_charset_does_not_hurt() -> None:
    answer = Client(installation()).post(INTAKE, content=json.dumps(ORDER), headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 202


def test_depth_64_is_taken() -> None:
    body = b'{"handler": "sleep", "payload": {"a": ' + b"[" * 62 + b"]" * 62 + b"}}"
    assert Client(installation()).post(INTAKE, content=body, headers={"content-type": "application/json"}).status_code == 202


def test_broker_down_is_503_and_a_retry_works() -> None:
    """L3: nothing half-done; the same key is free again."""
    given = installation()
    client = Client(given)
    given.engine.is_down = True
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = client.post(INTAKE, json=ORDER, headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/status/1").status_code == 503
    given.engine.is_down = False
    assert client.post(INTAKE, json=ORDER, headers={"Idempotency-Key": "k"}).status_code == 202
    assert list(given.engine.jobs) == ["token-0"]


class TestIdempotency:
    """L3."""

    def post(self, client: Client, key: str, **change: Any) -> Any:
        return client.post(INTAKE, json={**ORDER, **change}, headers={"Idempotency-Key": key})

    def test_the_same_key_answers_the_same_and_acts_once(self) -> None:
        given = installation()
        client = Client(given)
        first, second = self.post(client, "k"), self.post(client, "k")
        assert first.json() == second.json()
        assert (first.status_code, second.status_code) == (202, 202)
        assert given.engine.submissions == 1
        assert self.post(client, "other").json() != first.json()

    def test_the_job_has_the_claims_token_as_its_id(self) -> None:
        """So a request that died after submitting is repeated without doubling."""
        assert self.post(Client(installation()), "k").json()["job_id"] == "token-0"

    def test_another_body_is_422(self) -> None:
        given = installation()
        client = Client(given)
        self.post(client, "k")
        answer = self.post(client, "k", handler="fail")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
        assert given.engine.submissions == 1

    def test_a_request_that_is_still_at_it_is_409(self) -> None:
        given = installation()
        body = json.dumps(ORDER).encode()
        given.idempotency.claim("intake", "k", body)
        answer = Client(given).post(INTAKE, content=body, headers={"content-type": "application/json", "Idempotency-Key": "k"})
        assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")

    def test_a_wrong_order_takes_no_key(self) -> None:
        given = installation()
        assert self.post(Client(given), "k", handler="nonsense").status_code == 422
        assert given.idempotency.rows == {}

    @pytest.mark.parametrize("key", ["", "k" * 201, "k\u00e4", "k\tk"])
    def test_a_key_that_is_none_is_422(self, key: str) -> None:
        headers = [(b"Idempotency-Key", key.encode()), (b"content-type", b"application/json")]
        answer = Client(installation()).post(INTAKE, content=json.dumps(ORDER), headers=headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"

    def test_a_key_of_200_characters_is_taken(self) -> None:
        assert self.post(Client(installation()), "k" * 200).status_code == 202

    def test_without_a_key_the_database_is_not_needed(self) -> None:
        given = installation()
        given.idempotency.error = DatabaseDown("the database does not answer")
        client = Client(given)
        assert client.post(INTAKE, json=ORDER).status_code == 202
        assert self.post(client, "k").status_code == 503
        assert given.engine.submissions == 1

    def test_a_database_that_goes_after_the_job_is_in_does_not_hide_that_it_is(self) -> None:
        given = installation()
        real = given.engine.submit

        def submit(**order: Any) -> None:
            real(**order)
            given.idempotency.error = DatabaseDown("gone meanwhile")

        given.engine.submit = submit  # type: ignore[method-assign,assignment]
        assert self.post(Client(given), "k").status_code == 202


def test_an_installation_beside_an_app_leaves_the_intake_out() -> None:
    """E2."""
    client = Client(installation(intake_enabled=False))
    assert client.post(INTAKE, json=ORDER).status_code == 404
    assert client.get("/livez").status_code == 200


@cache
def shared() -> Client:
    """One app for many examples."""
    return Client(installation())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=10), inner, max_size=4),
    max_leaves=8,
)
orders = st.fixed_dictionaries(
    {}, optional={"handler": st.just("sleep") | json_values, "payload": json_values, "queue": json_values, "max_attempts": json_values}
)


@effort(max_examples=150, deadline=None)
@given_input(orders | json_values)
def test_no_order_makes_a_5xx(order: Any) -> None:
    """X3."""
    body = json.dumps(order).encode("utf-8", "surrogatepass")
    answer = shared().post(INTAKE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 202 or 400 <= answer.status_code < 500


@effort(max_examples=100, deadline=None)
@given_input(st.binary(max_size=200))
def test_no_bytes_make_a_5xx(body: bytes) -> None:
    """X3."""
    answer = shared().post(INTAKE, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        pytest.param([b" " * 600, b"x" * 401], 413, id="one byte too much"),
        pytest.param([b" " * 600, b'{"handler":"sleep"}'.rjust(400)], 202, id="the limit itself"),
    ],
)
def test_a_chunked_body_is_cut_at_the_limit(chunks: list[bytes], status: int) -> None:
    """E4: without a Content-Length."""

    async def stream() -> Any:
        for chunk in chunks:
            yield chunk

    async def ask() -> int:
        answer = await Client(installation(body_max_bytes=1000)).ask(
            "POST", INTAKE, content=stream(), headers={"content-type": "application/json"}
        )
        return answer.status_code

    assert asyncio.run(ask()) == status


def test_a_large_body_by_its_own_word_is_not_read() -> None:
    """E4."""
    client = Client(installation(body_max_bytes=1000))
    for length, status in (("1001", 413), ("9" * 30, 400), ("-1", 400), ("x", 400)):
        answer = client.post(INTAKE, content=b"{}", headers={"content-length": length})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_who_may_not_post_is_told_before_the_body_is_looked_at() -> None:
    answer = Client(installation()).at(STRANGER).post(INTAKE, content=b"nonsense")
    assert answer.status_code == 403
