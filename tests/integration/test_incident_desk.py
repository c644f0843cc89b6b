"""A person's call through the leader's loop, and what is read afterwards (spec I2, I6)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.responding import Responding, RunningClock, StandinAgent
from tests.waiting import eventually

from levqor.domain.errors import DependencyDown, GuardRefused, NotFound
from levqor.domain.flags import INCIDENT_AUTORECOVER
from levqor.domain.incidents import Call
from levqor.monitors import incident_desk
from levqor.monitors.incident_desk import IncidentDesk, IncidentDeskParts
from levqor.store.database import Database
from levqor.store.orders import open_orders


class Leading:
    """A leader's loop that takes orders, as the autopilot's does."""

    def __init__(self, place: Responding) -> None:
        self._place = place
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Leading":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self.done.wait(0.05):
            self._place.lease.attempt()
            with self._place.database.read() as connection:
                waiting = open_orders(connection)
            for order in waiting:
                self._place.response.take_order(order)


@pytest.fixture
def place(database: Database, store_url: str, tmp_path: Path) -> Iterator[Responding]:
    place = Responding(database, store_url, tmp_path, RunningClock())
    place.set_flag(INCIDENT_AUTORECOVER, True)
    place.lead()
    # Failed attempts give cause for a person's call.
    place.recorder.count(("job", "default", "fail", "failed"), 3)
    place.recorder.observe(("run", "default", "fail"), 5.0, True)
    place.flusher.flush_once()
    yield place
    place.response.close()


def desk_of(place: Responding) -> IncidentDesk:
    return IncidentDesk(IncidentDeskParts(place.response, place.database, place.clock, place.parts.log, lambda: None))


def test_a_call_is_answered_when_its_steps_are_over_and_can_be_read_afterwards(place: Responding, store_url: str) -> None:
    """I1, I2."""
    desk = desk_of(place)
    with StandinAgent(store_url, place.witness), Leading(place):
        finished, answer = desk.recover(Call("ana"), dry_run=False, wait_s=20)
        assert (finished, answer["ok"], answer["recovered"]) == (True, True, True)
        assert [step["status"] for step in answer["steps"]] == ["skipped", "done", "skipped"]
        place.wait()
    found = desk.incident(answer["incident_id"])
    assert [one["actor"] for one in found["recoveries"]] == ["ana"]
    assert found["recoveries"][0]["steps"][1]["intent_at"] is not None
    assert [one["id"] for one in desk.incidents(10, open_only=True)["incidents"]] == [answer["incident_id"]]
    with pytest.raises(NotFound):
        desk.incident(99)


def test_what_takes_longer_goes_on_and_a_second_call_is_refused(place: Responding, store_url: str) -> None:
    """I2: 202 with the id; I6: 409."""
    desk = desk_of(place)
    with StandinAgent(store_url, place.witness) as agent, Leading(place):
        agent.is_stubborn = True
        finished, answer = desk.recover(Call("ana"), dry_run=False, wait_s=0)
        assert (finished, answer["ok"]) == (False, None)
        eventually(lambda: "restart w0" in place.witness.lines, what="the first restart")
        with pytest.raises(GuardRefused, match="single_flight"):
            desk.recover(Call("ben"), dry_run=False, wait_s=0)
        place.wait()
    assert [line.get("refused") for line in place.log_lines()] == ["single_flight", None]


def test_without_a_leader_the_call_is_withdrawn(place: Responding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_desk, "TAKEN_WITHIN_S", 0.3)
    with pytest.raises(DependencyDown, match="no autopilot took the call"):
        desk_of(place).recover(Call("ana"), dry_run=False, wait_s=0)
    with place.database.read() as connection:
        assert open_orders(connection) == []


def test_with_the_database_down_a_call_is_refused_and_a_dry_run_is_not(place: Responding, tmp_path: Path) -> None:
    """I6."""
    if not place.database.is_sqlite:
        pytest.skip("a file that goes away stands for either")
    desk = desk_of(place)
    place.database.close()
    (tmp_path / "levqor.db").rename(tmp_path / "away")
    (tmp_path / "levqor.db").mkdir()
    try:
        with pytest.raises(GuardRefused, match="database_down"):
            desk.recover(Call("ana"), dry_run=False, wait_s=0)
        finished, answer = desk.recover(Call("ana"), dry_run=True, wait_s=0)
        assert (finished, answer["ok"], answer["would_refuse"]["refused"]) == (True, True, "database_down")
    finally:
        (tmp_path / "levqor.db").rmdir()
        (tmp_path / "away").rename(tmp_path / "levqor.db")
    assert [line["dry_run"] for line in place.log_lines()] == [False, True]
