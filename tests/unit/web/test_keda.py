"""The routes that others scale by: who may, what is answered, and that unknown is 503 and never 0."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.keda import at_path
from tests.unit.web.client import ADMIN, STRANGER, Client
from tests.unit.web.fakes import installation

from levqor.domain.errors import DatabaseDown, DependencyDown, EngineDown, LevqorError, NotFound, StoreDown
from levqor.web.limits import pause

TOKEN = "hirefire-token.1"
KEDA, HIREFIRE = "/keda/metrics/default", f"/hirefire/{TOKEN}/info"
ANSWER: dict[str, Any] = {
    "desired_workers": 3,
    "queue_depth": 12,
    "oldest_age_s": 4.2,
    "backlog": 15,
    "as_of": "2026-03-01T12:00:00+00:00",
    "decision_id": 7,
    "reason": "depth 12 > 10",
}


class FakeTargets:
    """Answers three, or raises `error`."""

    def __init__(self) -> None:
        self.error: LevqorError | None = None

    def metrics(self, fleet: str) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        if fleet != "default":
            raise NotFound("there is no such fleet; there is default")
        return ANSWER

    def dynos(self) -> list[dict[str, Any]]:
        return [{"name": "worker", "value": self.metrics("default")["desired_workers"]}]


@pytest.fixture(autouse=True)
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong token's delay is not what is tested here."""

    async def at_once(_: float) -> None:
        return None

    assert callable(pause)
    monkeypatch.setattr("levqor.web.limits.pause", at_once)


Make = Callable[..., tuple[Client, FakeTargets]]


@pytest.fixture
def make() -> Make:
    def made(**settings: Any) -> tuple[Client, FakeTargets]:
        place, targets = installation(**settings), FakeTargets()
        place.services = replace(place.services, targets=targets)
        return Client(place), targets

    return made


def test_keda_reads_the_target_as_a_json_number(make: Make) -> None:
    client, _ = make()
    answer = client.get(KEDA)
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert at_path(answer.json(), "desired_workers") == 3
    assert at_path(answer.json(), "queue_depth") == 12


@pytest.mark.parametrize("error", [DependencyDown("the target is unknown"), StoreDown("x"), DatabaseDown("x"), EngineDown("x")])
@pytest.mark.parametrize("path", [KEDA, HIREFIRE])
def test_unknown_is_503_with_a_problem_and_no_number(make: Make, path: str, error: LevqorError) -> None:
    """S3: never 0."""
    client, targets = make(hirefire_token=TOKEN)
    targets.error = error
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    with pytest.raises(ValueError, match="desired_workers"):
        at_path(answer.json(), "desired_workers")


@pytest.mark.parametrize("fleet", ["other", "x" * 200, "%00"])
def test_an_unknown_fleet_is_404(make: Make, fleet: str) -> None:
    client, _ = make()
    assert client.get(f"/keda/metrics/{fleet}").status_code == 404


def test_beyond_this_machine_keda_needs_a_token(make: Make) -> None:
    """X0, X0b: METRICS_TOKEN, or the admin's."""
    client, _ = make(metrics_token="metrics-token-1")
    stranger = client.at(STRANGER)
    assert client.get(KEDA).status_code == 200
    assert stranger.get(KEDA).status_code == 401
    assert stranger.get(KEDA, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert stranger.get(KEDA, headers={"Authorization": "Bearer metrics-token-1"}).status_code == 200
    assert stranger.get(KEDA, headers=ADMIN).status_code == 200


def test_hirefire_reads_the_same_target_under_its_token(make: Make) -> None:
    client, _ = make(hirefire_token=TOKEN)
    answer = client.at(STRANGER).get(HIREFIRE)
    assert (answer.status_code, answer.json()) == (200, [{"name": "worker", "value": 3}])


@pytest.mark.parametrize("settings", [{"hirefire_token": TOKEN}, {}], ids=["wrong", "unset"])
def test_without_the_right_token_there_is_no_such_path(make: Make, settings: dict[str, str]) -> None:
    """Also from this machine, and with the admin's token: the path is the secret."""
    client, _ = make(**settings)
    for caller, headers in ((client, {}), (client.at(STRANGER), {}), (client.at(STRANGER), ADMIN)):
        answer = caller.get("/hirefire/wrong-token/info", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is nothing at this path.")


def test_guesses_are_turned_away_and_the_right_token_never(make: Make) -> None:
    """X1."""
    client, _ = make(hirefire_token=TOKEN)
    stranger = client.at(STRANGER)
    guesses = [stranger.get(f"/hirefire/guess-{number}/info").status_code for number in range(21)]
    assert guesses == [404] * 19 + [429] * 2
    assert stranger.get(HIREFIRE).status_code == 200


@pytest.mark.parametrize("token", ["with/slash-1", "with space-1", "with%percent"])
def test_a_token_that_cannot_stand_in_a_path_stops_the_start(token: str) -> None:
    """F2."""
    with pytest.raises(ValueError, match="it stands in a path"):
        installation(hirefire_token=token)
