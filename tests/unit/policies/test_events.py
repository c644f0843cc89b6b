"""Which events are taken, and what is said of the others (spec R5, X3)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from levqor.domain.retention import AHEAD, EARLIEST, Event
from levqor.policies.events import FIRST_MS, event_of, moment_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GOOD: dict[str, Any] = {"id": "e1", "user_id": "u1", "ts": "2026-03-01T11:00:00Z"}


def test_an_event_needs_an_id_a_user_and_a_time() -> None:
    assert event_of(GOOD, NOW) == Event("e1", "u1", datetime(2026, 3, 1, 11, tzinfo=UTC), "active", is_service=False)
    full = {**GOOD, "kind": "login", "is_service": True}
    assert event_of(full, NOW) == Event("e1", "u1", datetime(2026, 3, 1, 11, tzinfo=UTC), "login", is_service=True)


def test_a_number_is_an_id_as_its_digits() -> None:
    assert event_of({**GOOD, "user_id": 42, "id": 7}, NOW).user_id == "42"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("2026-03-01T11:00:00Z", NOW - timedelta(hours=1), id="Z"),
        pytest.param("2026-03-01t11:00:00z", NOW - timedelta(hours=1), id="small letters"),
        pytest.param("2026-03-01 13:00:00.5+02:00", NOW - timedelta(hours=1) + timedelta(seconds=0.5), id="offset, fraction, blank"),
        pytest.param(1_772_362_800, NOW - timedelta(hours=1), id="seconds"),
        pytest.param(1_772_362_800.5, NOW - timedelta(hours=1) + timedelta(seconds=0.5), id="half seconds"),
        pytest.param(1_772_362_800_000, NOW - timedelta(hours=1), id="milliseconds"),
    ],
)
def test_a_time_is_rfc_3339_or_counts_from_1970(given: object, expected: datetime) -> None:
    assert moment_of(given) == expected


def test_from_a_hundred_billion_on_a_number_is_milliseconds() -> None:
    assert moment_of(FIRST_MS - 1).year == 5138
    assert moment_of(FIRST_MS) == datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("2026-03-01T11:00:00", id="no offset"),
        pytest.param("2026-03-01", id="a day"),
        pytest.param("20260301T110000Z", id="compact"),
        pytest.param("2026-02-30T11:00:00Z", id="no such day"),
        pytest.param("2026-03-01T25:00:00Z", id="no such hour"),
        pytest.param("2026-03-01T11:00:00+99:00", id="no such offset"),
        pytest.param("\u0662\u0660\u0662\u0666-03-01T11:00:00Z", id="other digits"),
        pytest.param("", id="empty"),
        pytest.param(float("nan"), id="NaN"),
        pytest.param(float("inf"), id="Infinity"),
        pytest.param(1e300, id="huge"),
        pytest.param(10**400, id="a number that no float holds"),
        pytest.param(-1, id="negative"),
        pytest.param(True, id="yes"),
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
    ],
)
def test_what_is_no_time_is_said_to_be_none(given: object) -> None:
    with pytest.raises(ValueError, match=r"^ts: expected RFC 3339"):
        event_of({**GOOD, "ts": given}, NOW)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"id": ""}, "id: ", id="empty id"),
        pytest.param({"id": "x" * 201}, "id: ", id="long id"),
        pytest.param({"id": None}, "id: ", id="null id"),
        pytest.param({"id": True}, "id: ", id="yes for an id"),
        pytest.param({"id": float("nan")}, "id: ", id="NaN for an id"),
        pytest.param({"user_id": 1.5}, "user_id: ", id="half a user"),
        pytest.param({"user_id": "a\nb"}, "user_id: ", id="a line break"),
        pytest.param({"user_id": "\ud800"}, "user_id: ", id="half a character"),
        pytest.param({"kind": 3}, "kind: ", id="kind is a number"),
        pytest.param({"kind": ""}, "kind: ", id="empty kind"),
        pytest.param({"is_service": 1}, "is_service: ", id="one for yes"),
        pytest.param({"email": "ada@example.com"}, "holds a field that is not known", id="unknown field"),
        pytest.param({"ts": "0001-01-01T00:00:00+23:59"}, "ts: before", id="the year one, far east"),
        pytest.param({"ts": "9999-12-31T23:59:59-23:59"}, "ts: more than a day", id="the last year, far west"),
    ],
)
def test_a_wrong_field_is_named_and_not_repeated(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}") as caught:
        event_of({**GOOD, **change}, NOW)
    assert "ada@example.com" not in str(caught.value)


@pytest.mark.parametrize("name", ["id", "user_id", "ts"])
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: missing$"):
        event_of({key: value for key, value in GOOD.items() if key != name}, NOW)


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_object_is_no_event(value: object) -> None:
    with pytest.raises(ValueError, match="expected an object"):
        event_of(value, NOW)


def test_the_bounds_of_time_are_themselves_taken() -> None:
    assert event_of({**GOOD, "ts": EARLIEST.isoformat()}, NOW).ts == EARLIEST
    assert event_of({**GOOD, "ts": (NOW + AHEAD).isoformat()}, NOW).ts == NOW + AHEAD
    for wrong in (EARLIEST - timedelta(seconds=1), NOW + AHEAD + timedelta(seconds=1)):
        with pytest.raises(ValueError, match=r"^ts: "):
            event_of({**GOOD, "ts": wrong.isoformat()}, NOW)
