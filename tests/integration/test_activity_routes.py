"""Activity over HTTP and what the database holds afterwards, on both databases (spec R4, R5, E4, X3)."""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import func, select
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import KEY, TOKEN, Installation, installation

from levqor.domain.errors import DatabaseDown
from levqor.monitors.retention import RetentionDesk
from levqor.store import activity as store
from levqor.store.database import Database, database_url
from levqor.store.schema import activity, event_ids, users
from levqor.web import limits
from levqor.web.activity import MAX_INSIDE, Gate
from levqor.web.event_lines import MAX_EVENTS, MAX_LINE_BYTES
from levqor.web.problems import ProblemError

EVENTS = "/api/v1/events"
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "user_id": f"u{number}", "ts": "2026-03-01T10:00:00Z", **more}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@dataclass
class Site:
    """An app over a real database, and its rows."""

    client: Client
    database: Database
    whole: Installation

    def rows(self) -> tuple[int, int, int]:
        """Event ids, user-days, users."""
        with self.database.read() as connection:
            counts = [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (event_ids, activity, users)]
        return counts[0], counts[1], counts[2]


def site_on(database: Database, **settings: Any) -> Site:
    whole = installation(**settings)
    desk = RetentionDesk(database, whole.clock, ZoneInfo("UTC"))
    whole.services = replace(whole.services, retention=desk)
    return Site(Client(whole), database, whole)


@pytest.fixture
def site(database: Database) -> Site:
    return site_on(database)


@pytest.fixture
def sqlite_site(tmp_path: Any) -> Iterator[Site]:
    """For what the database has no part in."""
    opened = Database(database_url(None, tmp_path))
    opened.migrate()
    yield site_on(opened, body_max_bytes=20_000, events_body_max_bytes=100_000)
    opened.close()


def test_one_event_is_taken_once(site: Site) -> None:
    """R5."""
    first = site.client.post("/audit", json=event(1, kind="login"))
    assert (first.status_code, first.json()) == (200, {"accepted": 1, "duplicates": 0, "not_counted": 0, "errors": []})
    again = site.client.post("/audit", json=event(1, kind="login"))
    assert again.json() == {"accepted": 0, "duplicates": 1, "not_counted": 0, "errors": []}
    assert site.rows() == (1, 1, 1)


def test_a_batch_is_taken_and_what_is_wrong_is_named_by_line(site: Site) -> None:
    """R5, X3: NaN, a 20,000-digit number, an unknown field and a wrong date are one event's fault."""
    body = '{"events": [%s]}' % ", ".join(  # noqa: UP031 (braces)
        [
            json.dumps(event(1)),
            json.dumps(event(2, ts="2026-02-30T10:00:00Z")),
            json.dumps(event(3, email="ada@example.com")),
            '{"id": "e4", "user_id": "u4", "ts": NaN}',
            f'{{"id": "e5", "user_id": {"1" * 20_000}, "ts": 1}}',
            '{"id": "e6", "id": "e7", "user_id": "u6", "ts": 1772362800}',
            "null",
            json.dumps(event(1)),
            json.dumps(event(8, ts=1_772_362_800)),
        ]
    )
    answer = site.client.post(EVENTS, content=body, headers=JSON)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["accepted"], found["duplicates"]) == (2, 1)
    assert [error["line"] for error in found["errors"]] == [2, 3, 4, 5, 6, 7]
    assert "ada@example.com" not in answer.text
    assert site.rows() == (2, 2, 2)


def test_lines_are_taken_packed_or_not(site: Site) -> None:
    body = lines(event(1), event(2)) + b"\r\n   \n" + b"{broken\n" + b"\xff\n" + lines("x") + json.dumps(event(3)).encode()
    packed = {**NDJSON, "Content-Encoding": "gzip"}
    for data, headers, accepted in ((body, NDJSON, 3), (gzip.compress(body), packed, 0)):
        answer = site.client.post(EVENTS, content=data, headers=headers).json()
        assert (answer["accepted"], answer["accepted"] + answer["duplicates"]) == (accepted, 3)
        assert [(error["line"], error["detail"].split(" ")[0]) for error in answer["errors"]] == [(5, "not"), (6, "not"), (7, "expected")]
    assert site.rows() == (3, 3, 3)


def test_services_and_probes_are_taken_and_not_counted(site: Site) -> None:
    """R1: service accounts and probes do not count."""
    site.client("PUT", "/api/v1/users/robot", json={"is_service": True})
    answer = site.client.post(
        EVENTS, json={"events": [event(1, is_service=True), event(2, kind="probe"), event(3, user_id="robot"), event(4)]}
    )
    assert answer.json() == {"accepted": 4, "duplicates": 0, "not_counted": 3, "errors": []}
    assert site.rows()[1] == 1


FAULTS: list[Any] = [
    pytest.param(413, json.dumps({"events": [event(n) for n in range(MAX_EVENTS + 1)]}).encode(), JSON, id="10,001 events"),
    pytest.param(413, lines(*(event(n) for n in range(MAX_EVENTS + 1))), NDJSON, id="10,001 lines"),
    pytest.param(413, b"\n" * 3_000_000, NDJSON, id="empty lines without end"),
    pytest.param(413, b'{"events": [' + b"{}," * 1_000_000 + b"{}]}", JSON, id="a million empty objects"),
    pytest.param(400, gzip.compress(lines(event(1)))[:-5], {**NDJSON, "Content-Encoding": "gzip"}, id="cut gzip"),
    pytest.param(400, lines(event(1)), {**NDJSON, "Content-Encoding": "gzip"}, id="gzip that is none"),
    pytest.param(413, gzip.compress(lines(event(1)) + bytes(20_000_000)), {**NDJSON, "Content-Encoding": "gzip"}, id="gzip bomb"),
    pytest.param(415, lines(event(1)), {**NDJSON, "Content-Encoding": "br"}, id="another encoding"),
    pytest.param(413, lines(event(1)) + b'{"id": "' + b"x" * 20_000_000 + b'"}', NDJSON, id="a line of 20 MB"),
    pytest.param(400, b'{"events": [' + json.dumps(event(1)).encode() + b",", JSON, id="cut JSON"),
    pytest.param(400, b"[" * 200_000, JSON, id="bottomless JSON"),
    pytest.param(400, b'{"events": ["\xff"]}', JSON, id="not UTF-8"),
    pytest.param(422, json.dumps([event(1)]).encode(), JSON, id="a list"),
    pytest.param(422, json.dumps({"events": [event(1)], "source": "x"}).encode(), JSON, id="unknown top-level field"),
    pytest.param(422, b'{"events": [], "events": []}', JSON, id="events given twice"),
    pytest.param(422, b'{"events": {}}', JSON, id="events is no list"),
    pytest.param(422, json.dumps({"events": [event(1, ts="yesterday")]}).encode(), JSON, id="the only event has a wrong date"),
    pytest.param(422, b"x\ny\n", NDJSON, id="no line is JSON"),
    pytest.param(415, lines(event(1)), {"Content-Type": "text/plain"}, id="wrong content type"),
    pytest.param(415, lines(event(1)), {}, id="no content type"),
    pytest.param(400, b"", JSON, id="nothing"),
]


@pytest.fixture(scope="module")
def untouched_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all calls that must leave nothing: each would see what another one left."""
    opened = Database(database_url(None, tmp_path_factory.mktemp("untouched")))
    opened.migrate()
    yield site_on(opened)
    opened.close()


@pytest.mark.parametrize(("status", "body", "headers"), FAULTS)
def test_a_call_that_is_wrong_as_a_whole_records_nothing(untouched_site: Site, status: int, body: bytes, headers: dict[str, str]) -> None:
    """E4, X3: 4xx, no half batch."""
    answer = untouched_site.client.post(EVENTS, content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert untouched_site.rows() == (0, 0, 0)


@pytest.mark.parametrize("number", range(0, len(FAULTS), 7))
def test_so_it_is_on_either_database(site: Site, number: int) -> None:
    status, body, headers = FAULTS[number].values
    assert site.client.post(EVENTS, content=body, headers=headers).status_code == status
    assert site.rows() == (0, 0, 0)


def test_ten_thousand_events_are_a_batch(site: Site) -> None:
    body = lines(*(event(number % 500, id=f"e{number}") for number in range(MAX_EVENTS)))
    answer = site.client.post(EVENTS, content=body, headers=NDJSON).json()
    assert (answer["accepted"], answer["errors"]) == (MAX_EVENTS, [])
    assert site.rows() == (MAX_EVENTS, 500, 500)
    again = site.client.post(EVENTS, content=body, headers=NDJSON).json()
    assert again["duplicates"] == MAX_EVENTS


def test_a_batch_that_fails_in_the_database_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """R5: acknowledged after the commit, so that no answer of success may come before it."""

    def dies(*_: object) -> None:
        raise DatabaseDown("the disk is full")

    monkeypatch.setattr(store, "apply_change", dies)
    answer = site.client.post(EVENTS, content=lines(event(1), event(2)), headers=NDJSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert site.rows() == (0, 0, 0)


def test_a_batch_has_a_bound_of_its_own_and_every_other_body_the_usual_one(sqlite_site: Site) -> None:
    """E4: 16 MB for events, 1 MB for all else; here 100 kB and 20 kB."""
    batch = lines(*(event(number) for number in range(1_000)))
    assert 20_000 < len(batch) < 100_000
    assert sqlite_site.client.post(EVENTS, content=batch, headers=NDJSON).status_code == 200
    assert sqlite_site.client.post(EVENTS, content=batch * 2, headers=NDJSON).status_code == 413
    assert sqlite_site.client.post("/audit", content=batch, headers=JSON).status_code == 413
    packed = {**NDJSON, "Content-Encoding": "gzip"}
    assert sqlite_site.client.post(EVENTS, content=gzip.compress(batch * 2), headers=packed).status_code == 413


def test_under_a_prefix_the_bound_is_the_same(tmp_path: Any) -> None:
    opened = Database(database_url(None, tmp_path))
    opened.migrate()
    site = site_on(opened, base_path="/levqor", body_max_bytes=1_000)
    batch = lines(*(event(number) for number in range(100)))
    for path in ("/levqor/api/v1/events", "/api/v1/events"):
        assert site.client.post(path, content=batch, headers=NDJSON).status_code == 200, path
    opened.close()


def test_a_line_has_a_bound(sqlite_site: Site) -> None:
    body = lines(event(1), {"id": "x" * MAX_LINE_BYTES}, event(2))
    assert len(body) < 100_000
    answer = sqlite_site.client.post(EVENTS, content=body, headers=NDJSON).json()
    assert (answer["accepted"], [error["line"] for error in answer["errors"]]) == (2, [2])


@pytest.mark.parametrize(
    ("field", "body"),
    [
        pytest.param("ts", {**event(1), "ts": "yesterday"}, id="wrong date"),
        pytest.param("user_id", {"id": "e1", "ts": "2026-03-01T10:00:00Z"}, id="missing field"),
        pytest.param(None, {**event(1), "colour": "red"}, id="unknown field"),
        pytest.param(None, [event(1)], id="a list"),
    ],
)
def test_one_wrong_event_is_a_422_that_names_the_field(sqlite_site: Site, field: str | None, body: object) -> None:
    answer = sqlite_site.client.post("/audit", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json().get("errors", [])] == ([] if field is None else [field])
    assert sqlite_site.rows() == (0, 0, 0)


def test_nan_in_a_single_event_is_a_400(sqlite_site: Site) -> None:
    answer = sqlite_site.client.post("/audit", content='{"id": "e", "user_id": "u", "ts": NaN}', headers=JSON)
    assert answer.status_code == 400


async def at_once(_seconds: float) -> None:
    """A wrong token's wait, left out."""


def test_who_may_send(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key where keys are set, or the admin's token; without keys, this machine only."""
    monkeypatch.setattr(limits, "pause", at_once)
    opened = Database(database_url(None, tmp_path))
    opened.migrate()
    keyed, open_one = site_on(opened, api_keys=[KEY]).client, site_on(opened).client
    number = 0

    def status(client: Client, **headers: str) -> set[int]:
        nonlocal number
        number += 1
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        codes = {client.post("/audit", json=event(number), headers=named).status_code}
        codes.add(client.post(EVENTS, json={"events": [event(number)]}, headers=named).status_code)
        codes.add(client("PUT", f"/api/v1/users/{number}", json={}, headers=named).status_code)
        return codes

    assert status(keyed) == {401}
    assert status(keyed, X_API_Key="wrong") == {401}
    assert status(keyed.at(STRANGER), X_API_Key=KEY) == {200}
    assert status(keyed.at(STRANGER), X_ADMIN_TOKEN=TOKEN) == {200}
    assert status(keyed.at(STRANGER), X_ADMIN_TOKEN="wrong", X_API_Key=KEY) == {401}
    assert status(open_one) == {200}
    assert status(open_one.at(STRANGER)) == {403}
    assert status(open_one, X_ADMIN_TOKEN="wrong") == {401}
    opened.close()


def test_nobody_reads_or_forgets_without_the_admins_token(sqlite_site: Site) -> None:
    client = sqlite_site.client
    for method, path in (
        ("GET", "/admin/retention"),
        ("GET", "/admin/retention/cohorts"),
        ("GET", "/admin/analytics"),
        ("DELETE", "/api/v1/users/u1"),
    ):
        assert client(method, path).status_code == 401, path


def test_a_user_is_set_seen_and_forgotten(site: Site) -> None:
    body = {"referral_source": "newsletter", "created_at": "2026-02-20T00:00:00Z"}
    first = site.client("PUT", "/api/v1/users/a%2Fb%20c", json=body)
    assert first.status_code == 200
    assert first.json() == {
        "id": "a/b c",
        "first_day": None,
        "created_day": "2026-02-20",
        "referral_source": "newsletter",
        "is_service": False,
        "created": True,
    }
    assert site.client("PUT", "/api/v1/users/a%2Fb%20c", json={}).json()["created"] is False
    site.client.post("/audit", json=event(1, user_id="a/b c"))
    assert site.client.get("/admin/analytics", headers=ADMIN).json()["referral_sources"] == [{"source": "newsletter", "users": 1}]
    before = site.client.get("/admin/retention", headers=ADMIN).json()["today"]
    assert before["dau"] == 1
    assert site.client("DELETE", "/api/v1/users/a%2Fb%20c", headers=ADMIN).status_code == 200
    assert site.client("DELETE", "/api/v1/users/a%2Fb%20c", headers=ADMIN).status_code == 404
    assert site.client.get("/admin/analytics", headers=ADMIN).json()["referral_sources"] == []
    assert site.client.get("/admin/retention", headers=ADMIN).json()["today"] == before
    with site.database.read() as connection:
        assert connection.execute(select(users.c.external_id, users.c.referral_source)).all() == [(None, None)]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"email": "x"}, id="unknown field"),
        pytest.param({"created_at": "soon"}, id="wrong date"),
        pytest.param({"created_at": "2026-02-20T00:00:00"}, id="no offset"),
        pytest.param({"created_at": "2126-02-20T00:00:00Z"}, id="far ahead"),
        pytest.param({"created_at": 1e300}, id="huge"),
        pytest.param({"referral_source": "x" * 101}, id="long"),
        pytest.param({"referral_source": "a\nb"}, id="two lines"),
        pytest.param({"is_service": "yes"}, id="a word for yes"),
    ],
)
def test_a_wrong_user_is_a_422(sqlite_site: Site, body: dict[str, Any]) -> None:
    assert sqlite_site.client("PUT", "/api/v1/users/u1", json=body).status_code == 422
    assert sqlite_site.client("PUT", f"/api/v1/users/{'x' * 201}", json={}).status_code == 422
    assert sqlite_site.rows() == (0, 0, 0)


def test_retention_is_thirty_closed_days_newest_first_in_whole_numbers(site: Site) -> None:
    """R4."""
    site.client.post(EVENTS, json={"events": [event(n, ts=f"2026-02-{28 - n % 20:02}T10:00:00Z") for n in range(60)]})
    site.client.post("/audit", json=event(99))
    found = site.client.get("/admin/retention", headers=ADMIN).json()
    days = [row["day"] for row in found["metrics"]]
    assert found["ok"] is True
    assert (len(days), days[0], days) == (30, "2026-02-28", sorted(days, reverse=True))
    assert all(type(row[name]) is int for row in found["metrics"] for name in ("dau", "wau", "mau"))
    assert (found["metrics"][0]["dau"], found["metrics"][0]["wau"], found["metrics"][0]["mau"]) == (3, 21, 60)
    assert (found["today"]["day"], found["today"]["dau"], found["today"]["partial"]) == ("2026-03-01", 1, True)
    assert len(site.client.get("/admin/retention?days=3", headers=ADMIN).json()["metrics"]) == 3


def test_an_empty_installation_answers(site: Site) -> None:
    for path in ("/admin/retention", "/admin/retention/cohorts", "/admin/analytics"):
        answer = site.client.get(path, headers=ADMIN)
        assert (answer.status_code, answer.json()["ok"]) == (200, True), path
    assert site.client.get("/admin/retention/cohorts", headers=ADMIN).json()["cohorts"] == []
    assert site.client.get("/admin/analytics", headers=ADMIN).json()["referral_sources"] == []


def test_cohorts_by_each_span_and_mode(site: Site) -> None:
    site.client.post(EVENTS, json={"events": [event(1, ts="2026-02-10T10:00:00Z"), event(2, user_id="u1", ts="2026-02-11T10:00:00Z")]})
    for by in ("day", "week", "month"):
        for mode in ("on", "on_or_after"):
            found = site.client.get(f"/admin/retention/cohorts?by={by}&mode={mode}&count=5", headers=ADMIN).json()
            assert (found["by"], found["mode"]) == (by, mode)
            assert sum(row["users"] for row in found["cohorts"]) == (0 if by == "day" else 1)
            assert len(found["cohorts"]) <= 5


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("by", "/admin/retention/cohorts?by=year"),
        ("by", "/admin/retention/cohorts?by="),
        ("mode", "/admin/retention/cohorts?mode=ON"),
        ("count", "/admin/retention/cohorts?count=0"),
        ("count", "/admin/retention/cohorts?count=121"),
        ("query", "/admin/retention/cohorts?per=day"),
        ("days", "/admin/retention?days=0"),
        ("days", "/admin/retention?days=367"),
        ("days", "/admin/retention?days=NaN"),
        ("query", "/admin/analytics?x=1"),
    ],
)
def test_a_wrong_query_is_a_422_that_names_it(sqlite_site: Site, field: str, path: str) -> None:
    answer = sqlite_site.client.get(path, headers=ADMIN)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_one_batch_is_at_work_and_too_many_are_sent_away() -> None:
    """Between two batches others must come to write; and each that waits holds its body."""

    async def crowd() -> list[object]:
        gate, leave = Gate(), asyncio.Event()

        async def one() -> None:
            async with gate.place():
                await leave.wait()

        waiting = [asyncio.create_task(one()) for _ in range(MAX_INSIDE)]
        await asyncio.sleep(0)
        with pytest.raises(ProblemError) as caught:
            await one()
        leave.set()
        await asyncio.gather(*waiting)
        await one()
        return [caught.value.status_code, (caught.value.headers or {}).get("Retry-After")]

    assert asyncio.run(crowd()) == [503, "1"]


def test_many_batches_at_once_are_all_taken(sqlite_site: Site) -> None:
    client = sqlite_site.client

    async def all_at_once() -> list[httpx.Response]:
        bodies = [lines(*(event(100 * batch + number) for number in range(100))) for batch in range(8)]
        return list(await asyncio.gather(*(client.ask("POST", EVENTS, content=body, headers=NDJSON) for body in bodies)))

    assert [answer.json()["accepted"] for answer in asyncio.run(all_at_once())] == [100] * 8
    assert sqlite_site.rows() == (800, 800, 800)


# FastAPI hushes it while it builds a model, in a way that is not made for threads.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")
def test_the_same_batch_at_once_is_taken_once(site: Site) -> None:
    """R5, across processes: each thread has an app of its own."""
    whole = site.whole
    body, answers = lines(*(event(number) for number in range(200))), []
    start = threading.Barrier(4, timeout=20)

    def send(client: Client) -> None:
        start.wait()
        answers.append(client.post(EVENTS, content=body, headers=NDJSON).json())

    threads = [threading.Thread(target=send, args=(Client(whole),), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(answer["accepted"] for answer in answers), sum(answer["duplicates"] for answer in answers)) == (200, 600)
    assert site.rows() == (200, 200, 200)
