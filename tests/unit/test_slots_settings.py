"""SLOTS_* together: one way to scale, whole, with its placeholders; every wrong value at once (spec F1, F2)."""

import pytest

from levqor.domain.errors import SettingsError
from levqor.settings import load

WHOLE = {"SLOTS_START": "up {slot}", "SLOTS_STOP": "down {slot}", "SLOTS_LIST": "list"}


def problems(**environ: str) -> list[str]:
    try:
        load(environ={"FLEET_KIND": "slots", **environ})
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


UNIT = {"SLOTS_UNIT": "rq-worker@{slot}.service"}
USERS = {"SLOTS_UNIT": "rq-worker@{slot}", "SLOTS_USER": "true"}


@pytest.mark.parametrize("given", [UNIT, USERS, WHOLE, {"SLOTS_SCALE": "s {count}"}, {"SLOTS_SCALE": "s {count}", "SLOTS_LIST": "list"}])
def test_each_way_is_enough(given: dict[str, str]) -> None:
    assert problems(**given) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "FLEET_KIND=slots needs SLOTS_UNIT, or SLOTS_START with SLOTS_STOP and SLOTS_LIST, or SLOTS_SCALE"),
        ({"SLOTS_START": "up {slot}"}, "SLOTS_START needs SLOTS_STOP and SLOTS_LIST"),
        ({**WHOLE, "SLOTS_UNIT": "w@{slot}"}, "SLOTS_UNIT and SLOTS_START are different ways to scale"),
        ({**UNIT, "SLOTS_STOP": "down {slot}"}, "SLOTS_UNIT makes no use of SLOTS_STOP: unset it"),
        ({**UNIT, "SLOTS_STOP": "down {slot}", "SLOTS_LIST": "list"}, "SLOTS_UNIT makes no use of SLOTS_STOP and SLOTS_LIST: unset them"),
        ({"SLOTS_SCALE": "s {count}", "SLOTS_STOP": "down {slot}"}, "SLOTS_SCALE makes no use of SLOTS_STOP: unset it"),
        ({"SLOTS_UNIT": "rq-worker"}, "the name of one unit with {slot}"),
        ({"SLOTS_UNIT": "w@{slot}; rm"}, "the name of one unit with {slot}"),
        ({"SLOTS_SCALE": "docker compose up"}, "a command with {count} in it"),
        ({**WHOLE, "SLOTS_STOP": "down 'it {slot}"}, "a quotation mark is open"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, str], said: str) -> None:
    assert any(said in problem for problem in problems(**given)), problems(**given)


def test_all_wrong_values_are_told_at_once() -> None:
    assert len(problems(SLOTS_START="up", SLOTS_STOP="down", SLOTS_UNIT="w")) == 3
