"""The scheduler over both databases: each due time once, whoever dies and however the clock jumps (spec T2, P1, P2)."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.clock import ManualClock
from tests.integration.scheduling import DONE, HOUR, Plane, World, rows

from levqor.domain.errors import Conflict, GuardRefused, NotFound
from levqor.domain.schedule import CatchUp, Cron, Ended, Job, Premises, RunState, standard_jobs
from levqor.monitors.calendar import due_between, next_due
from levqor.monitors.schedule_desk import ScheduleDesk
from levqor.monitors.scheduler import ASKED_FOR, AT_ONCE, UNNAMED_S, UNSEEN_S
from levqor.store import schedule as store
from levqor.store.audit import list_changes
from levqor.store.database import Database

HOURLY = Job(id="hourly", summary="", trigger=Cron("*", "0"), words=("hourly",))
SKIPPING = Job(id="skipping", summary="", trigger=Cron("*", "30"), words=("skipping",), catch_up=CatchUp.SKIP)
LONDON = Job(id="london", summary="", trigger=Cron("1", "30"), zone="Europe/London", words=("london",), once_per_local_date=True)
YORK = Job(id="york", summary="", trigger=Cron("2", "30"), zone="America/New_York", words=("york",), once_per_local_date=True)
YORK_EARLY = Job(id="early", summary="", trigger=Cron("1", "30"), zone="America/New_York", words=("early",), once_per_local_date=True)
UTC_DAILY = Job(id="utc", summary="", trigger=Cron("2", "0"), words=("utc",))
WEEKLY = Job(id="weekly", summary="", trigger=Cron("2", "10", "mon"), words=("weekly",))
MONTH = (LONDON, YORK, YORK_EARLY, UTC_DAILY, WEEKLY)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world() -> World:
    return World()


def begun(world: World) -> list[str]:
    return [run.words[0] for run in world.runs]


def states(database: Database, job: str | None = None) -> list[tuple[str, int, str]]:
    return [(run.job, run.attempt, run.state.value) for run in rows(database, job)]


@pytest.mark.parametrize("start", [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 10, 10, tzinfo=UTC)], ids=["spring", "autumn"])
def test_three_runners_over_a_month_with_both_changes_of_clocks(database: Database, world: World, start: datetime) -> None:
    """T2: leaders are killed at random, each due time has one run, and each local date one."""
    clock, dice = ManualClock(start), random.Random(7)
    planes = [Plane(f"p{n}", MONTH, database, clock, world) for n in range(3)]
    for plane in planes:
        plane.turn()
    end, born = start + timedelta(days=31), 3
    while True:
        upcoming = min(due for job in MONTH if (due := next_due(job, clock.now())) is not None)
        if upcoming > end:
            break
        clock.advance((upcoming - clock.now()).total_seconds() + dice.uniform(0, 20))
        dice.shuffle(planes)
        for plane in planes:
            plane.turn()
        if dice.random() < 0.2:
            leader = next(plane for plane in planes if plane.lease.is_trusted)
            leader.kill()
            planes.remove(leader)
            planes.append(Plane(f"p{born}", MONTH, database, clock, world))
            born += 1
    kept = Counter((run.job, run.due_key) for run in rows(database) if run.state is RunState.DONE)
    expected = {(job.id, one.key) for job in MONTH for week in range(5) for one in due_between(job, *_week(start, week, end))}
    assert set(kept) == expected
    assert set(kept.values()) == {1}
    assert Counter(begun(world)) == Counter(name for name, _key in expected)
    assert born > 10


def _week(start: datetime, number: int, end: datetime) -> tuple[datetime, datetime]:
    return start + timedelta(weeks=number), min(start + timedelta(weeks=number + 1), end)


def test_nothing_is_due_before_a_job_is_first_known(database: Database, clock: ManualClock, world: World) -> None:
    Plane("a", [HOURLY], database, clock, world).turn()
    clock.advance(60)
    assert (states(database), world.runs) == ([], [])


def test_what_is_for_a_start_runs_once_as_soon_as_it_is_known(database: Database, clock: ManualClock, world: World) -> None:
    """C6: a source whose key was just set is read now, not within the hour; a successor does not read it again."""
    reading = replace(HOURLY, id="reading", words=("reading",), is_for_a_start=True)
    plane = Plane("a", [HOURLY, reading], database, clock, world)
    plane.turn()
    plane.turn()
    assert begun(world) == ["reading"]
    plane.kill()
    clock.advance(60)
    Plane("b", [HOURLY, reading], database, clock, world).turn()
    assert begun(world) == ["reading"]


def test_after_hours_without_a_leader_one_is_caught_up_and_the_rest_reported(database: Database, clock: ManualClock, world: World) -> None:
    jobs = [HOURLY, SKIPPING]
    Plane("a", jobs, database, clock, world).turn()
    world.living.clear()
    clock.advance(3 * 3_600 + 600)
    plane = Plane("b", jobs, database, clock, world)
    plane.turn()
    assert states(database, "hourly") == [("hourly", 1, "missed"), ("hourly", 1, "missed"), ("hourly", 1, "done")]
    assert [run.state for run in rows(database, "skipping")] == [RunState.MISSED] * 3
    assert begun(world) == ["hourly"]
    assert list(plane.scheduler.causes()) == ["schedule:skipping"]
    clock.advance(1_200)
    plane.turn()
    assert plane.scheduler.causes() == {}, "the next run is as good"


@pytest.mark.parametrize(("job", "expected"), [(HOURLY, ["lost", "done"]), (SKIPPING, ["lost"])], ids=["once", "skip"])
def test_a_killed_runners_job_is_caught_up_once_or_reported_by_its_rule(
    database: Database, clock: ManualClock, world: World, job: Job, expected: list[str]
) -> None:
    world.judge = lambda _words: None
    first, second = Plane("a", [job], database, clock, world), Plane("b", [job], database, clock, world)
    first.turn()
    clock.advance(1_800 if job is SKIPPING else 3_600)
    first.turn()
    second.turn()
    assert (states(database), begun(world)) == ([(job.id, 1, "running")], [job.id])
    first.kill()
    world.judge = lambda _words: DONE
    for _ in range(5):
        second.turn()
    assert [run.state.value for run in rows(database)] == expected
    assert [run.attempt for run in rows(database)] == [1, 2][: len(expected)]
    assert bool(second.scheduler.causes()) is (job is SKIPPING), "a lost run is told, one that was caught up is not"


def test_a_run_that_is_lost_twice_is_not_tried_a_third_time(database: Database, clock: ManualClock, world: World) -> None:
    world.judge = lambda _words: None
    for name in ("a", "b", "c"):
        plane = Plane(name, [HOURLY], database, clock, world)
        plane.turn()
        clock.advance(3_600 if name == "a" else 1)
        plane.turn()
        plane.turn()
        plane.kill()
    assert states(database) == [("hourly", 1, "lost"), ("hourly", 2, "lost")]


def test_a_successor_waits_while_the_old_run_may_live(database: Database, clock: ManualClock, world: World) -> None:
    """Its holder lives and has only lost the lease: nothing is started a second time, and the holder writes how it ended."""
    world.judge = lambda _words: None
    first, second = Plane("a", [HOURLY], database, clock, world), Plane("b", [HOURLY], database, clock, world)
    first.turn()
    clock.advance(3_600)
    first.turn()
    first.lease.release()
    for _ in range(3):
        second.turn()
        clock.advance(60)
    assert begun(world) == ["hourly"]
    world.runs[0].outcome = DONE
    first.scheduler.turn()
    second.turn()
    assert states(database) == [("hourly", 1, "done")]


@pytest.mark.parametrize(("short_s", "again"), [(1.0, False), (0.0, True)])
def test_a_holder_that_cannot_be_seen_is_given_up_after_grace_and_more(
    database: Database, clock: ManualClock, world: World, short_s: float, again: bool
) -> None:
    """Another host: by then its keeper has ended it. Counted on the successor's own monotonic clock, which no jump moves."""
    world.judge = lambda _words: None
    first, second = Plane("a", [HOURLY], database, clock, world), Plane("b", [HOURLY], database, clock, world)
    first.turn()
    clock.advance(3_600)
    first.turn()
    first.lease.release()
    second.turn()
    clock.jump(1_000)
    second.turn()
    assert len(world.runs) == 1
    clock.advance(HOURLY.grace.total_seconds() + UNSEEN_S - short_s)
    second.turn()
    second.turn()
    assert (len(world.runs) == 2) is again


@pytest.mark.parametrize(("waited_s", "lost"), [(UNNAMED_S - 1, False), (UNNAMED_S, True)])
def test_a_claim_whose_keeper_was_not_named_is_lost_after_a_moment(
    database: Database, clock: ManualClock, world: World, waited_s: float, lost: bool
) -> None:
    plane = Plane("b", [HOURLY], database, clock, world)
    plane.turn()
    due = due_between(HOURLY, clock.now(), clock.now() + HOUR)[0]
    with database.write() as connection:
        store.claim(connection, clock.now(), "hourly", due, "killed in the midst of it")
    plane.turn()
    clock.advance(waited_s)
    plane.turn()
    assert (rows(database)[0].state is RunState.LOST) is lost


def test_a_job_that_fails_and_one_that_hangs_hold_up_no_other(database: Database, clock: ManualClock, world: World) -> None:
    jobs = [Job(id=name, summary="", trigger=Cron("*", "0"), words=(name,)) for name in ("fails", "hangs", "works")]
    ends = {"fails": Ended(1, "first\nno such host"), "hangs": None, "works": DONE}
    world.judge = lambda words: ends[words[0]]
    plane = Plane("a", jobs, database, clock, world)
    plane.turn()
    for _ in range(3):
        clock.advance(3_600)
        plane.turn()
    assert Counter(begun(world)) == {"fails": 3, "works": 3, "hangs": 1}
    causes = plane.scheduler.causes()
    assert list(causes) == ["schedule:fails"], "one key, so one episode, until it succeeds"
    assert "exit code 1: no such host" in causes["schedule:fails"][1]
    world.runs[begun(world).index("hangs")].outcome = Ended(-9, "", timed_out=True)
    plane.turn()
    assert "was ended after 600 s" in plane.scheduler.causes()["schedule:hangs"][1]
    world.runs[-1].outcome = DONE  # the hour that passed meanwhile was caught up
    ends.update(fails=DONE, hangs=DONE)
    clock.advance(3_600)
    plane.turn()
    assert plane.scheduler.causes() == {}


def test_so_many_at_once_and_the_others_wait_for_a_place(database: Database, clock: ManualClock, world: World) -> None:
    world.judge = lambda _words: None
    jobs = [Job(id=f"j{n}", summary="", trigger=Cron("*", "0"), words=(f"j{n}",)) for n in range(AT_ONCE + 2)]
    plane = Plane("a", jobs, database, clock, world)
    plane.turn()
    clock.advance(3_600)
    plane.turn()
    assert len(world.runs) == AT_ONCE
    world.runs[0].outcome = DONE
    plane.turn()
    assert len(world.runs) == AT_ONCE + 1
    for run in world.runs:
        run.outcome = DONE
    plane.turn()
    assert sorted(begun(world)) == [job.id for job in jobs]


def test_a_program_that_cannot_be_begun_is_a_failure(database: Database, clock: ManualClock, world: World) -> None:
    def judge(_words: object) -> Ended:
        raise FileNotFoundError(2, "No such file or directory")

    world.judge = judge
    plane = Plane("a", [HOURLY], database, clock, world)
    plane.turn()
    clock.advance(3_600)
    plane.turn()
    assert states(database) == [("hourly", 1, "failed")]


# The clock


def test_a_clock_set_back_fires_nothing_twice_and_stalls_nothing(database: Database, clock: ManualClock, world: World) -> None:
    """P1: set forth by a day and a half, then back."""
    plane = Plane("a", [HOURLY, LONDON], database, clock, world)
    plane.turn()
    clock.jump(36 * 3_600 + 60)
    plane.turn()
    assert Counter(begun(world)) == {"hourly": 1, "london": 1}, "at most one each"
    clock.jump(-36 * 3_600)
    plane.turn()
    for _ in range(48):
        clock.advance(3_600)
        plane.turn()
    done = Counter((run.job, run.due_key) for run in rows(database) if run.state is RunState.DONE)
    assert set(done.values()) == {1}
    assert Counter(begun(world)) == {"hourly": 48, "london": 2}, "each hour and each date once, though some were early"
    assert [run for run in rows(database) if run.state is RunState.MISSED] == [], "what seemed missed had its time"


def test_a_clock_that_was_wrong_by_years_does_not_stop_the_schedule(database: Database, clock: ManualClock, world: World) -> None:
    plane = Plane("a", [HOURLY], database, clock, world)
    clock.jump(20 * 365 * 86_400)
    plane.turn()
    clock.advance(3_600)
    plane.turn()
    clock.jump(-20 * 365 * 86_400)
    successor = Plane("b", [HOURLY], database, clock, world)
    plane.kill()
    successor.turn()
    clock.advance(3_600)
    successor.turn()
    assert begun(world) == ["hourly", "hourly"]


# A stop


def test_a_stop_ends_runs_and_the_next_start_catches_them_up(database: Database, clock: ManualClock, world: World) -> None:
    world.judge = lambda _words: None
    plane = Plane("a", [HOURLY], database, clock, world)
    plane.turn()
    clock.advance(3_600)
    plane.turn()
    plane.scheduler.close()
    assert world.runs[0].stopped
    assert states(database) == [("hourly", 1, "stopped")]
    plane.turn()
    assert len(world.runs) == 1, "what is closed begins nothing"
    plane.lease.release()
    plane.kill()
    world.judge = lambda _words: DONE
    Plane("b", [HOURLY], database, clock, world).turn()
    assert states(database) == [("hourly", 1, "stopped"), ("hourly", 2, "done")]


def test_a_job_that_was_off_is_not_caught_up_when_it_is_on_again(database: Database, clock: ManualClock, world: World) -> None:
    off = Job(id="hourly", summary="", trigger=Cron("*", "0"), words=("hourly",), off_because="SCHEDULE_OFF")
    for jobs in ([HOURLY], [off], [HOURLY]):
        plane = Plane(str(clock.now()), jobs, database, clock, world)
        plane.turn()
        clock.advance(10)
        plane.kill()
        clock.advance(7_200 if jobs == [off] else 10)
    assert (states(database), world.runs) == ([], [])


# The desk


@pytest.fixture
def desk(database: Database, clock: ManualClock) -> ScheduleDesk:
    return ScheduleDesk([HOURLY, *standard_jobs(Premises(off=["backup"]))], database, clock, lambda: None)


def test_a_run_that_is_asked_for_is_begun_once_by_the_leader(
    database: Database, clock: ManualClock, world: World, desk: ScheduleDesk
) -> None:
    """T3."""
    world.judge = lambda _words: None
    plane = Plane("a", [HOURLY], database, clock, world)
    answer = desk.run("hourly", "ana")
    with pytest.raises(Conflict, match="is at it already"):
        desk.run("hourly", "bob")
    plane.turn()
    with pytest.raises(Conflict):
        desk.run("hourly", "bob")
    world.runs[0].outcome = DONE
    plane.turn()
    (run,) = desk.runs("hourly", 10)["runs"]
    assert (run["id"], run["state"], run["asked_by"], run["output"]) == (answer["run_id"], "done", "ana", "done\n")
    assert desk.run("hourly", "ana")["run_id"] > run["id"]
    with database.read() as connection:
        assert [(line["what"], line["actor"]) for line in list_changes(connection, 5)] == [("schedule run", "ana")] * 2


def test_what_nobody_began_is_not_begun_much_later(database: Database, clock: ManualClock, world: World, desk: ScheduleDesk) -> None:
    desk.run("hourly", "ana")
    clock.advance(ASKED_FOR.total_seconds() + 1)
    Plane("a", [HOURLY], database, clock, world).turn()
    assert (states(database), world.runs) == ([("hourly", 1, "missed")], [])


def test_an_unknown_job_and_the_loops_own_cannot_be_run(desk: ScheduleDesk) -> None:
    with pytest.raises(NotFound):
        desk.run("nope", "ana")
    with pytest.raises(NotFound):
        desk.runs("nope", 1)
    with pytest.raises(GuardRefused, match="no second caller"):
        desk.run("watchdog", "ana")


def test_the_schedule_tells_each_jobs_next_time_state_and_last_run(
    database: Database, clock: ManualClock, world: World, desk: ScheduleDesk
) -> None:
    plane = Plane("a", [HOURLY], database, clock, world)
    plane.turn()
    clock.advance(3_600)
    plane.turn()
    jobs = {job["id"]: job for job in desk.schedule()["jobs"]}
    assert (jobs["hourly"]["state"], jobs["hourly"]["last_run"]["state"]) == ("waiting", "done")
    assert jobs["hourly"]["next_due_at"] == (clock.now() + HOUR).isoformat()
    assert (jobs["backup"]["state"], jobs["backup"]["off_because"], jobs["backup"]["next_due_at"]) == ("off", "SCHEDULE_OFF", None)
    assert (jobs["watchdog"]["state"], jobs["watchdog"]["next_due_at"], jobs["watchdog"]["last_at"]) == ("by_loop", None, None)
    assert jobs["retention"]["next_due_at"] == "2026-03-02T00:05:00+00:00"


def test_gaps_are_due_times_of_which_nothing_is_known(database: Database, clock: ManualClock, world: World) -> None:
    desk = ScheduleDesk([HOURLY], database, clock, lambda: None)
    assert desk.gaps() == (0, [])
    plane = Plane("a", [HOURLY], database, clock, world)
    plane.turn()
    clock.advance(3_600)
    plane.turn()
    clock.advance(3_600 + 300)
    assert desk.gaps() == (2, ["hourly due 2026-03-01T14:00:00+00:00"])
    plane.turn()
    assert desk.gaps() == (2, [])


def test_history_is_kept_for_90_days_and_what_is_open_longer(database: Database, clock: ManualClock, world: World) -> None:
    world.judge = lambda words: None if words[0] == "hourly" else DONE
    plane = Plane("a", [HOURLY, SKIPPING], database, clock, world)
    plane.turn()
    for _ in range(2):
        clock.advance(1_800)
        plane.turn()
    clock.advance(90 * 86_400 - 1_801)
    with database.write() as connection:
        store.purge_runs(connection, clock.now())
    assert len(rows(database)) == 2
    clock.advance(7_200)
    with database.write() as connection:
        store.purge_runs(connection, clock.now())
    assert states(database) == [("hourly", 1, "running")]
