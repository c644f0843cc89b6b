"""Which due time is kept, which were missed (spec T2), and when local times are due around a change of clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from levqor.domain.schedule import JOB_IDS, WATCHDOG, ByLoop, CatchUp, Cron, Job, Premises, RunState, standard_jobs
from levqor.monitors.calendar import LOOK_BACK, due_between, next_due
from levqor.policies.schedule import ON_TIME, Due, may_try_again, plan
from levqor.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def job(rule: CatchUp = CatchUp.ONCE, late_at_most: timedelta | None = None) -> Job:
    return Job(id="j", summary="", trigger=Cron("*", "0"), words=(), catch_up=rule, late_at_most=late_at_most)


def due(hours_ago: float, key: str | None = None) -> Due:
    at = NOW - timedelta(hours=hours_ago)
    return Due(at, key or at.isoformat())


def test_of_many_missed_the_newest_is_caught_up_and_the_others_are_told() -> None:
    found = plan(job(), [due(3), due(2), due(1)], (), NOW)
    assert (found.run, list(found.missed)) == (due(1), [due(3), due(2)])


def test_what_was_claimed_is_neither_run_nor_missed() -> None:
    found = plan(job(), [due(2), due(1)], {due(1).key}, NOW)
    assert (found.run, list(found.missed)) == (due(2), [])


def test_two_due_times_of_one_local_date_are_one() -> None:
    found = plan(job(), [due(2, "d"), due(1, "d")], (), NOW)
    assert (found.run, list(found.missed)) == (due(2, "d"), [])


@pytest.mark.parametrize(("late", "runs"), [(ON_TIME, True), (ON_TIME + SECOND, False)])
def test_a_job_that_skips_runs_only_on_time(late: timedelta, runs: bool) -> None:
    one = Due(NOW - late, "k")
    found = plan(job(CatchUp.SKIP), [one], (), NOW)
    assert (found.run, list(found.missed)) == ((one, []) if runs else (None, [one]))


@pytest.mark.parametrize(("late", "runs"), [(timedelta(hours=12), True), (timedelta(hours=12) + SECOND, False)])
def test_a_bound_on_lateness_is_heeded(late: timedelta, runs: bool) -> None:
    assert (plan(job(late_at_most=timedelta(hours=12)), [Due(NOW - late, "k")], (), NOW).run is not None) is runs


@pytest.mark.parametrize(
    ("rule", "state", "attempt", "again"),
    [
        pytest.param(CatchUp.ONCE, RunState.LOST, 1, True, id="killed"),
        pytest.param(CatchUp.ONCE, RunState.STOPPED, 1, True, id="stopped"),
        pytest.param(CatchUp.ONCE, RunState.LOST, 2, False, id="killed twice"),
        pytest.param(CatchUp.ONCE, RunState.FAILED, 1, False, id="failed by itself"),
        pytest.param(CatchUp.ONCE, RunState.TIMED_OUT, 1, False, id="too slow"),
        pytest.param(CatchUp.SKIP, RunState.LOST, 1, False, id="skips"),
    ],
)
def test_only_a_run_that_was_cut_off_is_repeated_and_once(rule: CatchUp, state: RunState, attempt: int, again: bool) -> None:
    assert may_try_again(job(rule), state, attempt, NOW, NOW) is again


def test_the_jobs_are_those_of_the_contract() -> None:
    """T1."""
    jobs = {one.id: one for one in standard_jobs(Premises(analytics_zone="Asia/Tokyo", has_cost_source=True, has_activity_sql=True))}
    assert tuple(jobs) == JOB_IDS
    told = {name: (str(one.trigger), one.zone, " ".join(one.words)) for name, one in jobs.items() if name != WATCHDOG}
    assert told == {
        "retention": ("5 0 * * *", "Asia/Tokyo", "retention aggregate"),
        "summary": ("0 9 * * *", "Europe/London", "summary --type daily"),
        "summary-weekly": ("5 9 * * mon", "Europe/London", "summary --type weekly"),
        "backup": ("0 2 * * tue-sun", "UTC", "backup create"),
        "backup-cycle": ("0 2 * * mon", "UTC", "backup cycle"),
        "forecast": ("10 2 * * mon", "UTC", "costs forecast --persist"),
        "integrity": ("0 3 * * *", "UTC", "verify --suite integrity"),
        "costs-sync": ("7 * * * *", "UTC", "costs sync"),
        "activity-pull": ("*/15 * * * *", "UTC", "retention pull"),
    }
    assert isinstance(jobs[WATCHDOG].trigger, ByLoop)
    assert not jobs[WATCHDOG].is_on, "it has no second caller"


def test_jobs_without_their_source_and_those_left_out_are_off_with_a_reason() -> None:
    off = {one.id: one.off_because for one in standard_jobs(Premises(off=["backup"])) if one.off_because}
    assert set(off) == {"backup", "costs-sync", "activity-pull"}
    assert off["backup"] == "SCHEDULE_OFF"
    assert "STRIPE_SECRET_KEY" in str(off["costs-sync"])
    assert not any(one.is_on for one in standard_jobs(Premises(off=["*"])))


@pytest.mark.parametrize("wrong", ["nope", WATCHDOG, "backup,nope"])
def test_an_unknown_id_in_schedule_off_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="expected ids of retention, summary,"):
        Settings(schedule_off=wrong)


def test_a_local_time_must_be_once_per_local_date() -> None:
    with pytest.raises(ValueError, match="once per local date"):
        Job(id="j", summary="", trigger=Cron("9", "0"), zone="Europe/London", words=())


def local(zone: str, hour: str, minute: str) -> Job:
    return Job(id="j", summary="", trigger=Cron(hour, minute), zone=zone, words=(), once_per_local_date=True)


@pytest.mark.parametrize(
    ("zone", "hour", "minute", "first", "times"),
    [
        pytest.param("Europe/London", "1", "30", "2026-10-24", ["24T00:30", "25T00:30", "26T01:30"], id="a time that comes twice"),
        pytest.param("America/New_York", "2", "30", "2026-03-07", ["07T07:30", "08T07:30", "09T06:30"], id="a time that does not come"),
        pytest.param("Africa/Cairo", "0", "5", "2026-04-23", ["22T22:05", "23T22:05", "24T21:05"], id="midnight does not come"),
        pytest.param("Africa/Cairo", "0", "5", "2026-10-30", ["29T22:05", "30T22:05", "31T22:05"], id="midnight comes twice"),
        pytest.param("Australia/Lord_Howe", "1", "45", "2026-04-05", ["04T14:45", "05T15:15", "06T15:15"], id="half an hour twice"),
    ],
)
def test_a_local_time_is_due_once_on_each_local_date(zone: str, hour: str, minute: str, first: str, times: list[str]) -> None:
    """T2, though APScheduler alone gives the first twice and leaves the third out."""
    one = local(zone, hour, minute)
    after = datetime.fromisoformat(first).replace(tzinfo=UTC) - timedelta(days=1)
    found = [each for each in due_between(one, after, after + timedelta(days=6)) if each.key >= first][:3]
    dates = [datetime.fromisoformat(first).date() + timedelta(days=n) for n in range(3)]
    assert [each.key for each in found] == [date.isoformat() for date in dates]
    assert [f"{each.at:%dT%H:%M}" for each in found] == times


def test_due_times_are_after_the_one_and_not_after_the_other_moment() -> None:
    one = job()
    assert [each.at for each in due_between(one, NOW, NOW + timedelta(hours=1))] == [NOW + timedelta(hours=1)]
    assert due_between(one, NOW, NOW + timedelta(hours=1) - SECOND) == []
    assert due_between(one, NOW, NOW - timedelta(days=400)) == []
    assert next_due(one, NOW) == NOW + timedelta(hours=1)


def test_a_clock_that_went_forth_by_years_lists_no_more_than_days() -> None:
    found = due_between(job(), NOW - timedelta(days=4_000), NOW)
    assert len(found) == LOOK_BACK / timedelta(hours=1)
