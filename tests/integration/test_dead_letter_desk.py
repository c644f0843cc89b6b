"""A person's orders about dead letters: what they select, what they touch, what is written down (spec I4, L2, X1, X3)."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.unit.dead import AT, MemoryEngine, letter

from levqor.domain.dead_letters import Selection
from levqor.domain.errors import GuardRefused, NotFound
from levqor.monitors.dead_letter_desk import DeadLetterDesk, DeskParts, Pace
from levqor.monitors.dead_letters import Fate, Flush
from levqor.store.audit import list_changes
from levqor.store.database import Database

ALL = Selection(everything=True)


@dataclass
class Desk:
    engine: MemoryEngine
    database: Database
    desk: DeadLetterDesk

    def written(self) -> list[tuple[str, str]]:
        with self.database.read() as connection:
            return [(row["actor"], row["what"]) for row in reversed(list_changes(connection, 50))]

    def requeue(self, selection: Selection, **how: Any) -> dict[str, Any]:
        is_done, answer = self.desk.requeue(selection, "ada", how.pop("batch", "b1"), **how)
        assert is_done
        return answer


@pytest.fixture
def there(database: Database) -> Iterator[Desk]:
    engine, clock = MemoryEngine(), ManualClock(AT)
    engine.bury(*(letter(f"n{n}") for n in range(4)))
    engine.bury(letter("key", error="KeyError: 'x'"), letter("charge", handler="charge"), letter("mail", queue="mail"))
    engine.bury(letter("foreign", handler="app.send", is_foreign=True), letter("named", handler="app.named", is_foreign=True))
    parts = DeskParts(
        engine=engine,
        flush=Flush(engine, ["default", "mail"], clock, flushes_max=3),
        database=database,
        clock=clock,
        queues=("default", "mail"),
        allow=frozenset({"*", "app.named"}),
        pace=Pace(canary=1, per_batch=2, pause_s=0.0),
    )
    desk = DeadLetterDesk(parts)
    yield Desk(engine, database, desk)
    desk.close()


SELECTIONS = [
    pytest.param(Selection(ids=("n1", "key", "nobody")), {"n1", "key"}, id="ids"),
    pytest.param(Selection(handler="charge"), {"charge"}, id="handler"),
    pytest.param(Selection(error="KeyError"), {"key"}, id="error"),
    pytest.param(Selection(handler="charge", error="KeyError"), set(), id="both must fit"),
    pytest.param(Selection(handler="send", queue="mail"), {"mail"}, id="queue"),
    pytest.param(ALL, {"n0", "n1", "n2", "n3", "key", "charge", "mail", "named"}, id="all is own jobs, and foreign ones by name"),
    pytest.param(Selection(handler="app.send"), set(), id="foreign"),
    pytest.param(Selection(handler="app.send", foreign=True), {"foreign"}, id="foreign, and said so"),
    pytest.param(Selection(), set(), id="nothing"),
    pytest.param(Selection(ids=()), set(), id="no ids"),
]


@pytest.mark.parametrize(("selection", "chosen"), SELECTIONS)
def test_requeue_moves_what_is_selected_and_nothing_else(there: Desk, selection: Selection, chosen: set[str]) -> None:
    """Guardrail: an empty selection means nothing."""
    preview = there.requeue(selection, dry_run=True)
    assert (preview["plan"]["chosen"], there.engine.moves, there.written()) == (len(chosen), [], [])
    answer = there.requeue(selection)
    assert answer["outcome"]["finished"] == answer["outcome"]["moved"] == len(chosen)
    assert {one for move in there.engine.moves for one in move} == chosen


@pytest.mark.parametrize(("selection", "chosen"), SELECTIONS)
def test_drop_removes_what_is_selected_and_nothing_else(there: Desk, selection: Selection, chosen: set[str]) -> None:
    before = set(there.engine.letters)
    assert there.desk.drop(selection, "ada", dry_run=True)["plan"]["chosen"] == len(chosen)
    assert set(there.engine.letters) == before
    assert there.desk.drop(selection, "ada")["dropped"] == len(chosen)
    assert before - set(there.engine.letters) == chosen


def test_acts_are_written_down_before_and_after(there: Desk) -> None:
    there.requeue(Selection(handler="charge"))
    there.desk.drop(Selection(ids=("n0",)), "bob")
    there.engine.quarantine("default", ["n1"], "poison")
    there.desk.release(None, "eve")
    assert there.written() == [
        ("ada", "dead letters: requeue begins"),
        ("ada", "dead letters: requeued"),
        ("bob", "dead letters: drop begins"),
        ("bob", "dead letters: dropped"),
        ("eve", "dead letters: release begins"),
        ("eve", "dead letters: released"),
    ]


def test_a_requeue_that_lasts_goes_on_behind_and_a_second_one_is_refused(there: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """I6-like single flight, in one process."""
    gate = threading.Event()

    def held(job_ids: list[str]) -> dict[str, Fate | None]:
        return dict.fromkeys(job_ids, "succeeded" if gate.is_set() else "running")

    monkeypatch.setattr(there.engine, "fates", held)
    is_done, answer = there.desk.requeue(ALL, "ada", "b1", wait_s=0.05)
    assert (is_done, answer["done"], answer["outcome"]) == (False, False, None)
    with pytest.raises(GuardRefused, match="under way"):
        there.desk.requeue(ALL, "bob", "b2")
    gate.set()
    there.desk.close()
    assert there.written()[-1] == ("ada", "dead letters: requeued")
    assert there.desk.requeue(Selection(handler="charge"), "bob", "b2")[0]


def test_at_once_moves_all_without_waiting_for_their_fate(there: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there.engine, "fates", None)
    assert there.requeue(ALL, at_once=True)["outcome"]["moved"] == 8


def test_an_engine_that_fails_is_the_callers_to_hear_and_the_next_order_is_taken(there: Desk) -> None:
    there.engine.down_after_moves = 0
    answer = there.requeue(ALL)
    assert answer["outcome"]["stopped_why"] == "the queue's broker does not answer"
    there.engine.down_after_moves = None
    assert there.requeue(ALL)["outcome"]["stopped_why"] == ""


def test_pages_go_through_all_queues_as_one_list(there: Desk) -> None:
    whole = [one["job_id"] for one in there.desk.dead(limit=100)["dead"]]
    assert (len(whole), whole[-1]) == (9, "mail")
    pages, cursor = [], 0
    while cursor is not None:
        page = there.desk.dead(limit=2, cursor=cursor)
        assert page["total"] == 9
        pages += [one["job_id"] for one in page["dead"]]
        cursor = page["next"]
    assert pages == whole
    assert [one["job_id"] for one in there.desk.dead("mail")["dead"]] == ["mail"]


def test_groups_count_by_function_and_exception(there: Desk) -> None:
    answer = there.desk.groups()
    assert [(group["handler"], group["error_class"], group["count"]) for group in answer["groups"]][:1] == [("send", "ConnectionError", 5)]
    assert (answer["total"], answer["unseen"]) == (9, 0)


def test_a_letter_is_shown_with_its_traceback_and_a_stranger_is_not_found(there: Desk) -> None:
    assert there.desk.show("n0")["trace"] == "Traceback"
    with pytest.raises(NotFound):
        there.desk.show("nobody")


def test_a_quarantined_letter_is_released_or_dropped_by_its_id_and_requeued_only_after_release(there: Desk) -> None:
    there.engine.quarantine("default", ["n0", "n1", "n2"], "poison")
    assert there.requeue(Selection(ids=("n0",)))["plan"]["chosen"] == 0
    assert [one["job_id"] for one in there.desk.quarantined(limit=2)["quarantined"]] == ["n2", "n1"]
    assert there.desk.quarantined()["total"] == 3
    assert there.desk.drop(Selection(ids=("n2",)), "ada")["dropped"] == 1
    assert there.desk.release(["n0", "n3"], "ada", dry_run=True) == {"dry_run": True, "chosen": 1, "released": 0}
    assert there.desk.release(["n0", "n3"], "ada")["released"] == 1
    assert there.desk.release(None, "ada")["released"] == 1
    assert there.requeue(Selection(ids=("n0",)))["outcome"]["finished"] == 1
