"""The routes of money: who may, what is refused, and that a dead database is a 503."""

import pytest
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import Installation, installation

from levqor.domain.errors import DatabaseDown
from levqor.domain.spending import Category
from levqor.web import limits


@pytest.fixture(autouse=True)
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pass_on(_delay_s: float) -> None:
        """A wrong token's delay is not waited for."""

    monkeypatch.setattr(limits, "pause", pass_on)


@pytest.fixture
def given() -> Installation:
    return installation()


def test_the_forecast_is_a_number_and_open_to_all(given: Installation) -> None:
    """C2, X0b."""
    answer = Client(given, STRANGER).get("/ops/cost/forecast")
    assert answer.status_code == 200
    assert isinstance(answer.json()["forecast_next_30d"], float)
    assert given.costs.calls == [("forecast", False)]


def test_the_forecast_is_closed_with_ops_public_off() -> None:
    """X0b."""
    given = installation(ops_public=False)
    assert Client(given, STRANGER).get("/ops/cost/forecast").status_code == 401
    assert Client(given).get("/ops/cost/forecast").status_code == 200


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
def test_a_refresh_needs_the_admin_even_on_this_machine(given: Installation, value: str) -> None:
    """C2."""
    path = f"/ops/cost/forecast?refresh={value}"
    assert Client(given).get(path).status_code == 401
    assert Client(given).get(path, headers={"X-ADMIN-TOKEN": "wrong"}).status_code == 401
    assert given.costs.calls == []
    assert Client(given).get(path, headers=ADMIN).status_code == 200
    assert given.costs.calls == [("forecast", True)]


def test_no_refresh_is_no_order(given: Installation) -> None:
    assert Client(given, STRANGER).get("/ops/cost/forecast?refresh=false").status_code == 200


@pytest.mark.parametrize("query", ["refresh=maybe", "refresh=true&refresh=true", "horizon=60"])
def test_a_wrong_query_is_named_and_not_repeated(given: Installation, query: str) -> None:
    """X3."""
    answer = Client(given, STRANGER).get(f"/ops/cost/forecast?{query}")
    assert answer.status_code == 422
    assert "maybe" not in answer.text
    assert given.costs.calls == []


def test_today_is_for_this_machine_or_the_admin(given: Installation) -> None:
    client = Client(given)
    assert client.get("/ops/cost/today").json()["cost"] == 1.5
    assert client.at(STRANGER).get("/ops/cost/today").status_code == 401
    assert client.at(STRANGER).get("/ops/cost/today", headers=ADMIN).status_code == 200


def test_the_days_are_for_this_machine_or_the_admin(given: Installation) -> None:
    client = Client(given)
    assert client.get("/ops/cost/daily?days=7").status_code == 200
    assert client.at(STRANGER).get("/ops/cost/daily").status_code == 401
    assert client.at(STRANGER).get("/ops/cost/daily", headers=ADMIN).status_code == 200
    assert given.costs.calls == [("daily", 7), ("daily", 30)]


@pytest.mark.parametrize("query", ["days=0", "days=367", "days=-1", "days=1e1", "since=2026-01-01"])
def test_a_wrong_number_of_days_is_a_422(given: Installation, query: str) -> None:
    """X3."""
    assert Client(given).get(f"/ops/cost/daily?{query}").status_code == 422


def test_the_ledger_is_the_admins(given: Installation) -> None:
    client = Client(given)
    assert client.get("/ops/cost/ledger").status_code == 401
    assert client.get("/ops/cost/ledger?category=ai&source=openai&limit=5", headers=ADMIN).json() == {"entries": []}
    assert given.costs.calls == [("ledger", None, None, "openai", Category.AI, 5)]


@pytest.mark.parametrize("query", ["category=gifts", "limit=0", "limit=99999", "since=yesterday", "what=1"])
def test_a_wrong_ledger_query_is_a_422(given: Installation, query: str) -> None:
    """X3."""
    assert Client(given).get(f"/ops/cost/ledger?{query}", headers=ADMIN).status_code == 422


@pytest.mark.parametrize("status", ["ok", "not_configured", "down"])
def test_billing_health_says_what_the_source_says(given: Installation, status: str) -> None:
    """E3."""
    given.costs.billing = status
    assert Client(given).get("/billing/health").json()["status"] == status


@pytest.mark.parametrize("path", ["/ops/cost/forecast", "/ops/cost/today", "/ops/cost/daily", "/billing/health"])
def test_a_dead_database_is_a_503(given: Installation, path: str) -> None:
    """X3."""
    given.costs.error = DatabaseDown("the database does not answer")
    answer = Client(given).get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_the_shapes_are_in_the_openapi_page(given: Installation) -> None:
    paths = Client(given).get("/openapi.json").json()["paths"]
    assert {"/ops/cost/forecast", "/ops/cost/today", "/ops/cost/ledger", "/billing/health"} <= paths.keys()
    shape = paths["/ops/cost/forecast"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert shape == {"$ref": "#/components/schemas/CostForecast"}
