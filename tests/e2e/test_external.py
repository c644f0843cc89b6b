"""The page about workers that others scale: its YAML is what works, and its traps are real."""

import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import yaml
from tests.e2e.documented import page, routes
from tests.keda import Loop, Poll
from tests.unit.web.client import STRANGER, Client
from tests.unit.web.fakes import installation
from tests.unit.web.test_keda import ANSWER, FakeTargets

from levqor.domain.errors import DependencyDown
from levqor.web.keda_models import Target

MOST = 30
BLOCKS = [list(yaml.safe_load_all(text)) for text in re.findall(r"```yaml\n(.*?)```", page("external.md"), re.DOTALL)]
DOCUMENTED = {document["kind"]: document for document in BLOCKS[0]}
SCALED = DOCUMENTED["ScaledObject"]
TRIGGER = SCALED["spec"]["triggers"][0]


def says(count: int) -> Poll:
    return lambda: (200, {"desired_workers": count})


def unknown() -> tuple[int, Any]:
    return 503, {"status": 503, "detail": "the target is unknown"}


def loop(start: int, poll: Poll, tolerance: float | None = None) -> Loop:
    """The documented ScaledObject; `tolerance`: as on a cluster that does not know the setting."""
    made = Loop.of(SCALED, poll, start)
    if tolerance is not None:
        made.up, made.down = replace(made.up, tolerance=tolerance), replace(made.down, tolerance=tolerance)
    return made


def reached(start: int, wanted: int, tolerance: float | None = None) -> bool:
    return loop(start, says(wanted), tolerance).settle(4 * MOST) == wanted


def test_the_documented_trigger_asks_a_route_that_there_is_for_a_field_that_it_answers() -> None:
    path = TRIGGER["metadata"]["url"].split(":8000")[1]
    assert path == "/keda/metrics/default"
    assert ("GET", "/keda/metrics/{fleet}") in routes()
    assert TRIGGER["metadata"]["valueLocation"] in Target.model_fields
    assert all(isinstance(value, str) for value in TRIGGER["metadata"].values()), "metadata are strings"
    assert (TRIGGER["type"], TRIGGER["useCachedMetrics"], TRIGGER["metadata"]["authMode"]) == ("metrics-api", True, "bearer")


def test_the_documented_authentication_hands_the_secrets_token_on() -> None:
    (reference,) = DOCUMENTED["TriggerAuthentication"]["spec"]["secretTargetRef"]
    assert reference["parameter"] == "token", "what authMode bearer reads"
    assert reference["name"] == DOCUMENTED["Secret"]["metadata"]["name"]
    assert reference["key"] in DOCUMENTED["Secret"]["stringData"]
    assert TRIGGER["authenticationRef"]["name"] == DOCUMENTED["TriggerAuthentication"]["metadata"]["name"]


def test_the_prometheus_trigger_takes_an_absent_series_for_an_error() -> None:
    (trigger,) = BLOCKS[1][0]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert "levqor_worker_target" in trigger["metadata"]["query"]


def test_as_documented_every_count_is_reached_from_every_other() -> None:
    missed = [(start, wanted) for start, wanted in product(range(1, MOST + 1), repeat=2) if not reached(start, wanted)]
    assert missed == []


def test_without_the_tolerance_steps_are_swallowed_from_ten_on() -> None:
    """The trap as the page tells it, on both sides of its boundary."""
    swallowed = {(n, n + step) for n, step in product(range(2, MOST), (-1, 1)) if not reached(n, n + step, tolerance=0.1)}
    assert {(10, 9), (10, 11), (11, 12)} <= swallowed
    assert swallowed == {(n, n + step) for n, step in product(range(10, MOST), (-1, 1))}
    assert not reached(20, 22, tolerance=0.1), "beyond twenty, two steps"


def test_without_the_tolerance_every_count_up_to_nine_is_reached() -> None:
    assert all(reached(start, wanted, tolerance=0.1) for start, wanted in product(range(1, 10), repeat=2))


def test_without_the_tolerance_a_fleet_is_never_more_than_a_tenth_off() -> None:
    for start, wanted in product(range(1, MOST + 1), repeat=2):
        settled = loop(start, says(wanted), tolerance=0.1).settle(4 * MOST)
        assert abs(wanted / settled - 1) <= 0.1 + 1e-9


@pytest.mark.parametrize("turns", [1, 3, 4, 100])
def test_unknown_moves_nobody_for_however_long(turns: int) -> None:
    """S3: before the fallback begins, and after."""
    assert [loop(n, unknown).settle(turns) for n in range(1, MOST + 1)] == list(range(1, MOST + 1))


def test_a_zero_in_the_place_of_unknown_would_take_the_fleet_away() -> None:
    """Why there is a 503."""
    assert loop(MOST, says(0)).settle() == SCALED["spec"]["minReplicaCount"]


def test_one_pod_at_a_time_up_each_15_s_and_down_each_60_s() -> None:
    up, down = loop(1, says(4)), loop(4, says(1))
    assert [up.turn() for _ in range(4)] == [2, 3, 4, 4]
    assert [down.turn() for _ in range(9)] == [3, 3, 3, 3, 2, 2, 2, 2, 1]


def test_a_fleet_of_none_comes_up_again() -> None:
    assert loop(0, says(2)).settle(5) == 2


def test_the_loop_follows_the_real_route_through_an_outage() -> None:
    """From beyond this machine, with the token that the page hands on."""
    place, targets = installation(metrics_token="metrics-token-1"), FakeTargets()
    place.services = replace(place.services, targets=targets)
    client = Client(place).at(STRANGER)

    def poll() -> tuple[int, Any]:
        answer = client.get("/keda/metrics/default", headers={"Authorization": "Bearer metrics-token-1"})
        return answer.status_code, answer.json()

    scaled = loop(1, poll)
    assert scaled.settle(3) == ANSWER["desired_workers"] == 3
    targets.error = DependencyDown("the target is unknown")
    assert scaled.settle(8) == 3
    assert scaled.failures == 8
    targets.error = None
    assert (scaled.turn(), scaled.failures) == (3, 0)


def test_the_pages_answer_has_the_promised_fields() -> None:
    shown = yaml.safe_load(re.findall(r"^(\{\"desired_workers.*\})$", page("external.md"), re.MULTILINE)[0])
    assert set(shown) == set(Target.model_fields)
