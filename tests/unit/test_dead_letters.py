"""What a flush of dead letters chooses, and when it stops (spec I4)."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import ManualClock
from tests.unit.dead import AT, MemoryEngine, Patience, letter

from levqor.domain.dead_letters import FlushOutcome, error_class, grouped
from levqor.monitors import dead_letters
from levqor.monitors.dead_letters import FATE_WAIT_S, Flush

OWN = frozenset({"*"})


class Installation:
    """A flush over an engine in memory."""

    def __init__(self, flushes_max: int = 3, set_after: int | None = None) -> None:
        self.engine, self.clock = MemoryEngine(), ManualClock()
        self.flush = Flush(self.engine, ["default"], self.clock, flushes_max=flushes_max)
        self.stop = Patience(self.clock, set_after)

    def run(self, batch: str = "batch", **pace: Any) -> FlushOutcome:
        return self.flush.run(self.flush.plan("all", None, OWN), batch, self.stop, **{"pause_s": 1.0, **pace})


@pytest.fixture
def there() -> Installation:
    return Installation()


# Choosing


@pytest.mark.parametrize(
    ("age_s", "is_chosen"), [pytest.param(0, True, id="at its start"), pytest.param(0.001, False, id="just before"), (-1, True)]
)
def test_an_incident_takes_what_died_since_its_start(there: Installation, age_s: float, is_chosen: bool) -> None:
    """I4: both sides of the incident's start."""
    there.engine.bury(letter("a", died_at=AT - timedelta(seconds=age_s)))
    plan = there.flush.plan("incident", AT, OWN)
    assert (plan.chosen, plan.waiting) == ((1, 0) if is_chosen else (0, 1))


def test_an_incident_never_takes_a_year_old_letter_or_one_whose_death_nobody_recorded(there: Installation) -> None:
    """I4: it waits for a person; nor is it quarantined."""
    there.engine.bury(letter("old", died_at=AT - timedelta(days=365), flushes=9), letter("unknown", died_at=None))
    plan = there.flush.plan("incident", AT - timedelta(hours=1), OWN)
    assert (plan.is_empty, plan.waiting) == (True, 2)


def test_an_incident_without_a_start_takes_nothing(there: Installation) -> None:
    """Guardrail: an empty selection means nothing, never all."""
    there.engine.bury(letter("a"))
    assert there.flush.plan("incident", None, OWN).is_empty


@pytest.mark.parametrize(
    ("allow", "own", "foreign"),
    [
        pytest.param({"*"}, True, False, id="star is own jobs only"),
        pytest.param({"send"}, True, False, id="by name"),
        pytest.param({"app.send"}, False, True, id="foreign by name"),
        pytest.param({"*", "app.send"}, True, True, id="both"),
        pytest.param(set(), False, False, id="nothing"),
    ],
)
def test_only_allowed_handlers_are_flushed(there: Installation, allow: set[str], own: bool, foreign: bool) -> None:
    """I4, REDRIVE_ALLOW: all of Levqor's own; none of an attached app's until set."""
    there.engine.bury(letter("own"), letter("foreign", handler="app.send", is_foreign=True))
    plan = there.flush.plan("incident", AT, frozenset(allow))
    chosen = {one.job_id for one in plan.chosen_letters}
    assert chosen == {name for name, is_in in (("own", own), ("foreign", foreign)) if is_in}
    assert plan.waiting == 2 - len(chosen)


@pytest.mark.parametrize(("flushes", "is_poison"), [(2, False), (3, True), (4, True)])
def test_a_letter_that_died_again_after_the_most_flushes_is_to_be_quarantined(there: Installation, flushes: int, is_poison: bool) -> None:
    """I4: dead again after 3 flushes; both sides."""
    there.engine.bury(letter("a", flushes=flushes))
    plan = there.flush.plan("incident", AT, OWN)
    assert (plan.chosen, plan.quarantine) == ((0, 1) if is_poison else (1, 0))


def test_a_plan_looks_at_so_many_and_counts_the_rest(there: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5: bounded, and said."""
    monkeypatch.setattr(dead_letters, "SEEN_MAX", 10)
    there.engine.bury(*(letter(str(n)) for n in range(12)))
    plan = there.flush.plan("all", None, OWN)
    assert (plan.chosen, plan.unseen) == (10, 2)


def test_a_plan_touches_nothing(there: Installation) -> None:
    there.engine.bury(letter("a"), letter("b", flushes=5))
    before = (dict(there.engine.letters), list(there.engine.dead))
    there.flush.plan("all", None, OWN)
    assert (there.engine.letters, there.engine.dead) == before
    assert there.engine.moves == []


# Running


def test_an_empty_plan_does_nothing(there: Installation) -> None:
    assert there.run() == FlushOutcome()
    assert there.engine.moves == []


def test_when_the_canary_lives_the_others_follow_in_batches(there: Installation) -> None:
    """Guardrail 20: a canary of 3, then batches of 50 with a pause between them."""
    there.engine.bury(*(letter(str(n)) for n in range(120)))
    assert there.run() == FlushOutcome(moved=120, finished=120)
    assert [len(moved) for moved in there.engine.moves] == [3, 50, 50, 17]
    assert there.stop.waits == [1.0, 1.0]


def test_when_the_canary_dies_nothing_follows(there: Installation) -> None:
    there.engine.bury(*(letter(str(n)) for n in range(120)), script=["dead"])
    outcome = there.run()
    assert (outcome.moved, outcome.finished, outcome.died_again) == (3, 0, 3)
    assert outcome.stopped_why == "send (ConnectionError): the canary died again"
    assert len(there.engine.dead) == 120


def test_one_death_in_the_canary_is_enough(there: Installation) -> None:
    there.engine.bury(*(letter(str(n)) for n in range(10)))
    there.engine.bury(letter("poison"), script=["dead"])
    outcome = there.run()
    assert (outcome.moved, outcome.finished, outcome.died_again) == (3, 2, 1)


def test_a_kind_whose_canary_dies_does_not_hold_back_another(there: Installation) -> None:
    there.engine.bury(*(letter(f"sick{n}", error="KeyError: 'x'") for n in range(20)), script=["dead"])
    there.engine.bury(*(letter(f"well{n}") for n in range(20)))
    outcome = there.run()
    assert (outcome.moved, outcome.finished, outcome.died_again) == (23, 20, 3)
    assert outcome.stopped_why == "send (KeyError): the canary died again"


def test_canaries_of_many_kinds_are_together_no_more_than_a_batch(there: Installation) -> None:
    there.engine.bury(*(letter(f"{n}-{kind}", handler=f"h{kind}") for kind in range(10) for n in range(4)))
    outcome = there.run(per_batch=12)
    assert max(len(moved) for moved in there.engine.moves) == 12
    assert outcome.finished == 40


def test_what_was_never_flushed_makes_the_canary(there: Installation) -> None:
    """So poison that died once does not hold back what it died beside."""
    there.engine.bury(*(letter(str(n)) for n in range(3)))
    there.engine.bury(letter("poison", flushes=1), script=["dead"])
    outcome = there.run()
    assert there.engine.moves[0] == ("2", "1", "0")
    assert (outcome.finished, outcome.died_again) == (3, 1)


def test_a_kind_of_which_more_die_than_finish_is_stopped_after_its_canary(there: Installation) -> None:
    there.engine.bury(*(letter(f"late{n}") for n in range(300)), script=["dead"])
    there.engine.bury(*(letter(str(n)) for n in range(3)))
    outcome = there.run()
    assert (outcome.moved, outcome.died_again) == (53, 50)
    assert outcome.stopped_why == "send (ConnectionError): 50 died again"


def test_a_canary_that_does_not_end_in_time_stops_the_flush(there: Installation) -> None:
    """No worker takes it, or it runs for longer than that: nothing is proven."""
    there.engine.bury(*(letter(str(n)) for n in range(10)), script=["queued"])
    outcome = there.run()
    assert (outcome.moved, outcome.finished, outcome.died_again) == (3, 0, 0)
    assert outcome.stopped_why == "send (ConnectionError): the canary is still at it after 30 s"
    assert sum(there.stop.waits) == pytest.approx(FATE_WAIT_S, abs=0.5)


def test_no_more_than_a_batch_is_under_way(there: Installation) -> None:
    """Slow workers set the pace: the second batch waits for the first, and is not sent when that does not end."""
    there.engine.bury(*(letter(f"slow{n}") for n in range(100)), script=["running"])
    there.engine.bury(*(letter(str(n)) for n in range(3)))
    outcome = there.run()
    assert (outcome.moved, outcome.finished) == (53, 3)


def test_a_stop_event_stops_between_batches() -> None:
    there = Installation(set_after=1)
    there.engine.bury(*(letter(str(n)) for n in range(120)))
    outcome = there.run()
    assert (outcome.moved, outcome.stopped_why) == (53, "told to stop")


def test_a_stop_event_that_is_set_already_lets_nothing_move(there: Installation) -> None:
    there.engine.bury(letter("a"))
    there.stop.set()
    assert there.run() == FlushOutcome(stopped_why="told to stop")


def test_a_broker_that_goes_away_stops_the_flush_which_tells_what_it_did(there: Installation) -> None:
    there.engine.bury(*(letter(str(n)) for n in range(120)))
    there.engine.down_after_moves = 2
    outcome = there.run()
    assert (outcome.moved, outcome.finished) == (53, 53)
    assert outcome.stopped_why == "the queue's broker does not answer"


def test_a_run_that_was_cut_goes_on_under_its_batch_id_and_moves_nothing_twice(there: Installation) -> None:
    there.engine.bury(*(letter(str(n)) for n in range(60)))
    there.engine.bury(*(letter(f"sick{n}", handler="sick") for n in range(3)), script=["dead"])
    there.engine.down_after_moves = 1
    there.run()
    there.engine.down_after_moves = None
    outcome = there.run()
    assert outcome.died_again == 3
    assert there.engine.dead == ["sick2", "sick1", "sick0"]
    assert {one.flushes for one in there.engine.letters.values()} == {1}


@pytest.mark.parametrize(("flushes", "ends_apart"), [(1, False), (2, True)])
def test_what_dies_again_by_its_last_flush_is_quarantined_at_once(there: Installation, flushes: int, ends_apart: bool) -> None:
    there.engine.bury(letter("a", flushes=flushes), script=["dead"])
    outcome = there.run()
    assert (outcome.died_again, outcome.quarantined) == (1, int(ends_apart))
    assert there.engine.apart == (["a"] if ends_apart else [])


def test_quarantine_says_why(there: Installation) -> None:
    there.engine.bury(letter("a", flushes=3))
    assert there.run().quarantined == 1
    assert there.engine.letters["a"].why == "died again after 3 flushes"
    assert there.engine.moves == []


def test_all_at_once_neither_waits_nor_watches(there: Installation) -> None:
    there.engine.bury(*(letter(str(n)) for n in range(200)), letter("poison", flushes=3), script=["dead"])
    outcome = there.flush.run_at_once(there.flush.plan("all", None, OWN), "batch")
    assert outcome == FlushOutcome(moved=200, quarantined=1)
    assert there.stop.waits == []


@given(
    scripts=st.lists(st.lists(st.sampled_from(["succeeded", "dead"]), min_size=1, max_size=4), max_size=60),
    kinds=st.integers(1, 4),
    canary=st.integers(1, 5),
    per_batch=st.integers(1, 20),
    flushes_max=st.integers(1, 4),
)
def test_flushing_again_and_again_ends_with_every_job_finished_or_apart(
    scripts: list[list[Any]], kinds: int, canary: int, per_batch: int, flushes_max: int
) -> None:
    """I4: whatever the jobs do, none is lost, none moves twice in a batch, none is flushed more often than allowed."""
    there = Installation(flushes_max=flushes_max)
    for n, script in enumerate(scripts):
        there.engine.bury(letter(str(n), handler=f"h{n % kinds}"), script=script)
    for turn in range(len(scripts) * flushes_max + 1):
        if not there.engine.dead:
            break
        before = len(there.engine.moves)
        outcome = there.run(f"batch {turn}", canary=canary, per_batch=per_batch)
        moved = [one for move in there.engine.moves[before:] for one in move]
        assert len(moved) == len(set(moved)) == outcome.moved == outcome.finished + outcome.died_again
        assert max((len(move) for move in there.engine.moves), default=0) <= max(per_batch, canary)
    assert there.engine.dead == []
    assert set(there.engine.letters) == {str(n) for n in range(len(scripts))}
    for n, script in enumerate(scripts):
        seen = [*script, *[script[-1]] * flushes_max][:flushes_max]
        is_poison = "succeeded" not in seen
        assert (str(n) in there.engine.apart) == is_poison
        flushes = flushes_max if is_poison else seen.index("succeeded") + 1
        assert there.engine.letters[str(n)].flushes == flushes


# Words


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ValueError: no such user: 7", "ValueError"),
        ("redis.exceptions.ConnectionError: refused", "redis.exceptions.ConnectionError"),
        ("lost its worker 4 times", "lost its worker"),
        ("KeyError", "KeyError"),
        ("it was a dark night: boo", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_exception_class_is_read_from_the_recorded_line(error: str | None, kind: str) -> None:
    assert error_class(error) == kind


def test_letters_are_grouped_by_function_and_exception_the_largest_first() -> None:
    early, late = AT - timedelta(hours=2), AT
    groups = grouped(
        [
            letter("1", died_at=late),
            letter("2", error="KeyError: 'x'", died_at=None),
            letter("3", died_at=early),
            letter("4", handler="charge"),
        ]
    )
    assert [(group.handler, group.error_class, group.count) for group in groups] == [
        ("send", "ConnectionError", 2),
        ("charge", "ConnectionError", 1),
        ("send", "KeyError", 1),
    ]
    assert (groups[0].oldest, groups[0].newest, groups[2].oldest) == (early, late, None)
