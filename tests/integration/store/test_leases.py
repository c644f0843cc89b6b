"""The lease (spec P1, P2): one acts, whatever stops, jumps or fails."""

import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.clock import ManualClock

from levqor.domain.errors import DatabaseDown, NotTheLeader
from levqor.store.database import Database, database_url
from levqor.store.leases import MARGIN_S, TTL_S, Lease, LeaseWatch
from levqor.store.timers import checkpoint_timer, read_timer


def test_one_of_two_leads_and_the_other_waits_for_the_whole_time_of_trust(database: Database) -> None:
    clock = ManualClock()
    first, second = Lease(database, clock, "first"), Lease(database, clock, "second")
    assert first.attempt()
    assert not second.attempt()
    clock.advance(TTL_S - 0.1)
    assert not second.attempt(), "the beat has not stood still for long enough"
    clock.advance(0.1)
    assert second.attempt()
    assert second.term == 2
    assert not first.is_trusted


def test_a_leader_that_renews_keeps_its_term(database: Database) -> None:
    clock = ManualClock()
    first, second = Lease(database, clock, "first"), Lease(database, clock, "second")
    for _ in range(20):
        assert first.attempt()
        assert not second.attempt()
        clock.advance(2.0)
    assert first.term == 1


def test_trust_runs_from_the_start_of_the_attempt_less_a_margin(database: Database) -> None:
    clock = ManualClock()
    lease = Lease(database, clock, "first")
    assert lease.attempt()
    clock.advance(TTL_S - MARGIN_S - 0.01)
    assert lease.is_trusted
    clock.advance(0.01)
    assert not lease.is_trusted
    with pytest.raises(NotTheLeader), lease.fenced():
        pytest.fail("nothing may be written without trust")


def test_a_leader_that_wakes_after_a_successor_changes_nothing(database: Database) -> None:
    """Stopped for a minute, awake again: its write carries an old term, even where it still trusted itself."""
    sleeper, clock = ManualClock(), ManualClock()
    first, second = Lease(database, sleeper, "first"), Lease(database, clock, "second")
    assert first.attempt()
    second.attempt()
    clock.advance(TTL_S)
    assert second.attempt()
    assert first.is_trusted, "its own clock stood still"
    with pytest.raises(NotTheLeader), first.fenced() as connection:
        checkpoint_timer(connection, "quiet", 999, clock.now())
    with database.read() as connection:
        assert read_timer(connection, "quiet") == 0
    assert not first.attempt()


def test_a_wall_clock_that_jumps_neither_doubles_nor_stalls_the_leader(database: Database) -> None:
    for jump in (3 * 3600, -3 * 3600):
        clock = ManualClock()
        first, second = Lease(database, clock, "first", name=f"jump{jump}"), Lease(database, clock, "second", name=f"jump{jump}")
        assert first.attempt()
        second.attempt()
        clock.jump(jump)
        assert not second.attempt()
        assert first.attempt()
        second.attempt()
        clock.advance(TTL_S)
        assert second.attempt(), "a leader that is gone is still replaced in time"


def test_a_clean_stop_hands_over_at_once(database: Database) -> None:
    clock = ManualClock()
    first, second = Lease(database, clock, "first"), Lease(database, clock, "second")
    first.attempt()
    first.release()
    assert second.attempt()
    assert second.term == 2


def test_a_holder_that_is_surely_dead_is_not_waited_for(database: Database) -> None:
    clock = ManualClock()
    Lease(database, clock, "dead one").attempt()
    assert Lease(database, clock, "next", is_dead=lambda holder: holder == "dead one").attempt()


def test_many_at_once_elect_one(database: Database) -> None:
    clock = ManualClock()
    contenders = [Lease(database, clock, f"c{number}") for number in range(6)]
    threads = [threading.Thread(target=contender.attempt) for contender in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(contender.is_trusted for contender in contenders) == 1


def test_who_leads_is_seen_from_outside(database: Database) -> None:
    clock = ManualClock()
    watch = LeaseWatch(database, clock, is_dead=lambda _holder: False)
    assert watch.leader()["leads"] is False
    lease = Lease(database, clock, "first")
    lease.attempt()
    assert watch.leader() == {"holder": "first", "term": 1, "still_s": 0.0, "leads": True}
    clock.advance(TTL_S)
    assert watch.leader()["leads"] is False


class FlakyDatabase(Database):
    """Real SQLite that refuses to answer while `is_down`, or answers late."""

    is_down = False
    late_s = 0.0
    clock: ManualClock

    def write(self):  # type: ignore[no-untyped-def]
        if self.is_down:
            raise DatabaseDown("down")
        return super().write()


class Elections(RuleBasedStateMachine):
    """Three contenders with their own clocks, pauses, failures and late answers: never two that act in one term's time."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.database = FlakyDatabase(database_url(None, Path(self._folder.name)))
        self.database.migrate()
        self.clocks = [ManualClock() for _ in range(3)]
        self.leases = [Lease(self.database, clock, f"c{number}") for number, clock in enumerate(self.clocks)]
        self.acts: list[tuple[int, int]] = []

    @initialize()
    def begin(self) -> None:
        self.leases[0].attempt()

    @rule(who=st.integers(0, 2))
    def attempt(self, who: int) -> None:
        self.leases[who].attempt()

    @rule(seconds=st.floats(0.1, 12), stopped=st.sets(st.integers(0, 2), max_size=2))
    def time_passes(self, seconds: float, stopped: set[int]) -> None:
        """A stopped process's monotonic clock is kept back here, which is worse than what SIGSTOP does."""
        for number, clock in enumerate(self.clocks):
            if number not in stopped:
                clock.advance(seconds)

    @rule(who=st.integers(0, 2), hours=st.sampled_from([-3, 3]))
    def wall_clock_jumps(self, who: int, hours: int) -> None:
        self.clocks[who].jump(hours * 3600)

    @rule(is_down=st.booleans())
    def database_fails_or_heals(self, is_down: bool) -> None:
        self.database.is_down = is_down

    @rule(who=st.integers(0, 2))
    def release(self, who: int) -> None:
        with suppress(DatabaseDown):
            self.leases[who].release()

    @rule(who=st.integers(0, 2))
    def act(self, who: int) -> None:
        """A timer goes on under the leader's term; whoever is not the newest term cannot move it."""
        lease = self.leases[who]
        try:
            with lease.fenced() as connection:
                accrued = read_timer(connection, "quiet")
                checkpoint_timer(connection, "quiet", accrued + 1, self.clocks[who].now())
        except (NotTheLeader, DatabaseDown):
            return
        assert lease.term is not None
        self.acts.append((lease.term, who))

    @invariant()
    def terms_of_acts_never_go_back_and_have_one_holder(self) -> None:
        terms = [term for term, _ in self.acts]
        assert terms == sorted(terms)
        assert len(set(self.acts)) == len(set(terms))

    @invariant()
    def every_act_is_in_the_timer(self) -> None:
        was_down, self.database.is_down = self.database.is_down, False
        with self.database.read() as connection:
            assert read_timer(connection, "quiet") == len(self.acts)
        self.database.is_down = was_down

    def teardown(self) -> None:
        self.database.close()
        self._folder.cleanup()


TestElections = Elections.TestCase
TestElections.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
