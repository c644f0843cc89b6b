"""What is to be mended, by what was found: each verdict on both sides of its boundary (spec L2; unknown is never fine, S3)."""

from dataclasses import replace
from typing import Any

import pytest

from levqor.domain.dead_letters import DeadLetter
from levqor.engines.rq_facts import LOST, Facts, Queue, Server, Worker, dead_groups
from levqor.engines.rq_findings import Finding, findings, looked_for_after_s, snapshot_gap_s
from levqor.engines.rq_look import _job_of, _shares

GOOD = Server(
    product="Valkey",
    version="8.1.8",
    memory_used=100,
    memory_limit=1_000,
    eviction="noeviction",
    is_appending=True,
    append_failed=False,
    snapshot_failed=False,
    save_points="",
    role="master",
    is_cluster=False,
    clients=3,
    clients_limit=10_000,
    skew_s=0.0,
    round_trip_s=0.001,
)
QUEUE = Queue("high", 0, None, 0, 0, 0, 0, 0, 0, False, None)
WORKER = Worker("w", "idle", queues=("high",), silent_s=10.0, good_for_s=80.0, rq_version="3.0.0", python_version="3.11.7")
FACTS = Facts(
    place="redis://broker:6379/0",
    typed="redis://broker:6379/0",
    is_near=False,
    has_password=True,
    prefix="rq",
    server=GOOD,
    keys=9,
    has_rq=True,
    queues=(QUEUE,),
    workers=(WORKER,),
)


def found(code: str, server: dict[str, Any] | None = None, **facts: Any) -> Finding:
    judged = findings(replace(FACTS, server=replace(GOOD, **(server or {})), **facts))
    return next(finding for finding in judged if finding.code == code)


def test_where_all_is_well_nothing_is_to_be_mended() -> None:
    assert {(finding.severity, finding.mend) for finding in findings(FACTS)} == {("ok", "")}


@pytest.mark.parametrize(
    ("code", "server", "severity"),
    [
        ("version", {"version": "6.2.0"}, "ok"),
        ("version", {"version": "6.1.9"}, "fail"),
        ("version", {"version": "10.0"}, "ok"),
        ("version", {"version": None}, "unknown"),
        ("eviction", {"eviction": "allkeys-lru"}, "fail"),
        ("eviction", {"eviction": "volatile-ttl"}, "fail"),
        ("eviction", {"eviction": None}, "unknown"),
        ("durability", {"is_appending": None}, "unknown"),
        ("durability", {"append_failed": True}, "fail"),
        ("durability", {"is_appending": True, "snapshot_failed": True}, "ok"),
        ("durability", {"is_appending": False, "save_points": ""}, "fail"),
        ("durability", {"is_appending": False, "save_points": None}, "unknown"),
        ("durability", {"is_appending": False, "save_points": "3600 1 300 100 60 10000"}, "warn"),
        ("durability", {"is_appending": False, "save_points": "60 1"}, "ok"),
        ("durability", {"is_appending": False, "save_points": "61 1"}, "warn"),
        ("durability", {"is_appending": False, "save_points": "60 1", "snapshot_failed": True}, "fail"),
        ("memory", {"memory_used": 749}, "ok"),
        ("memory", {"memory_used": 750}, "warn"),
        ("memory", {"memory_used": 899}, "warn"),
        ("memory", {"memory_used": 900}, "fail"),
        ("memory", {"memory_limit": 0, "memory_of_host": 125}, "warn"),
        ("memory", {"memory_limit": 0, "memory_of_host": None}, "ok"),
        ("memory", {"memory_limit": None}, "unknown"),
        ("memory", {"memory_used": None}, "unknown"),
        ("clock", {"skew_s": 2.0}, "ok"),
        ("clock", {"skew_s": -2.1}, "warn"),
        ("clock", {"skew_s": 30.1}, "fail"),
        ("clock", {"skew_s": None}, "unknown"),
        ("role", {"role": "slave"}, "warn"),
        ("role", {"is_cluster": True}, "fail"),
        ("latency", {"round_trip_s": 0.11}, "warn"),
        ("clients", {"clients": 9_000}, "warn"),
    ],
)
def test_the_server_is_judged_by_what_it_says(code: str, server: dict[str, Any], severity: str) -> None:
    finding = found(code, server)
    assert finding.severity == severity
    assert bool(finding.mend) == (severity != "ok")


@pytest.mark.parametrize(("code", "server"), [("latency", {"round_trip_s": 0.1}), ("clients", {"clients": 8_999}), ("role", {})])
def test_what_is_not_worth_a_word_gets_none(code: str, server: dict[str, Any]) -> None:
    assert code not in {finding.code for finding in findings(replace(FACTS, server=replace(GOOD, **server)))}


def test_a_server_that_tells_nothing_passes_no_check() -> None:
    judged = findings(replace(FACTS, server=Server()))
    server = [finding for finding in judged if finding.code in ("version", "eviction", "durability", "memory", "clock")]
    assert {finding.severity for finding in server} == {"unknown"}
    assert len(server) == 5


@pytest.mark.parametrize(
    ("is_near", "has_password", "severity"), [(False, False, "warn"), (True, False, "ok"), (False, True, "ok"), (True, True, "ok")]
)
def test_an_open_server_on_the_network_is_warned_of(is_near: bool, has_password: bool, severity: str) -> None:
    assert found("password", is_near=is_near, has_password=has_password).severity == severity


@pytest.mark.parametrize(
    ("save_points", "gap_s"), [("", None), ("3600 1 300 100", 3600), ("60 1 900 1", 60), ("300 10", 300), ("900 1 60 0", 60)]
)
def test_how_long_a_lone_job_waits_for_its_snapshot(save_points: str, gap_s: int | None) -> None:
    assert snapshot_gap_s(save_points) == gap_s


@pytest.mark.parametrize(
    ("waiting", "delayed", "queues", "severity"),
    [(1, 0, ("high",), "ok"), (1, 0, ("low",), "fail"), (0, 1, ("low",), "fail"), (0, 0, ("low",), "ok"), (None, 0, ("low",), "unknown")],
)
def test_jobs_in_a_queue_that_no_worker_serves(waiting: int | None, delayed: int, queues: tuple[str, ...], severity: str) -> None:
    queue = replace(QUEUE, waiting=waiting, delayed=delayed, has_scheduler=True)
    assert found("unserved", queues=(queue,), workers=(replace(WORKER, queues=queues),)).severity == severity


def test_a_worker_that_is_lost_serves_nothing() -> None:
    lost = replace(WORKER, state=LOST)
    finding = found("unserved", queues=(replace(QUEUE, waiting=1),), workers=(lost,))
    assert (finding.severity, finding.mend) == ("fail", "`rq worker --url redis://broker:6379/0 high`")
    assert "no worker lives" in finding.text
    assert found("lost", workers=(lost,)).severity == "warn"


def test_with_workers_unread_nobody_can_say_what_is_served() -> None:
    assert found("unserved", queues=(replace(QUEUE, waiting=1),), workers_unread=1).severity == "unknown"


def test_a_line_to_type_is_quoted_and_carries_the_prefix() -> None:
    queue = replace(QUEUE, name="it's; $(x)", waiting=1)
    finding = found("unserved", queues=(queue,), prefix="shop", typed='"$REDIS_URL"')
    assert finding.mend == "`RQ_KEY_PREFIX=shop rq worker --url \"$REDIS_URL\" 'it'\"'\"'s; $(x)'`"


@pytest.mark.parametrize(
    ("delayed", "has_scheduler", "overdue", "severity"),
    [
        (0, False, 0, "ok"),
        (1, True, 0, "ok"),
        (1, False, 0, "fail"),
        (1, True, 1, "warn"),
        (1, None, 0, "unknown"),
        (None, None, 0, "unknown"),
    ],
)
def test_a_retry_wants_a_scheduler(delayed: int | None, has_scheduler: bool | None, overdue: int, severity: str) -> None:
    queue = replace(QUEUE, delayed=delayed, has_scheduler=has_scheduler, overdue=overdue)
    assert found("scheduler", queues=(queue,)).severity == severity


def test_levqors_own_workers_need_no_scheduler_of_rqs_and_no_advice() -> None:
    ours = replace(WORKER, is_levqors=True, good_for_s=470.0)
    judged = findings(replace(FACTS, queues=(replace(QUEUE, delayed=1, has_scheduler=False),), workers=(ours,)))
    assert {finding.severity for finding in judged} == {"ok"}
    assert "takes_back" not in {finding.code for finding in judged}


@pytest.mark.parametrize(
    ("wakes_every_s", "tidied_within_s", "after_s"),
    [
        pytest.param(405.0, None, 810.0, id="RQ's defaults"),
        pytest.param(405.0, 599.0, 810.0, id="RQ 3's defaults, just tidied"),
        pytest.param(15.0, None, 15.0, id="a short worker-ttl"),
        pytest.param(15.0, 14.0, 15.0, id="all short"),
        pytest.param(15.0, 599.0, 600.0, id="a short worker-ttl alone"),
        pytest.param(120.0, 120.0, 120.0, id="on the boundary"),
        pytest.param(121.0, None, 605.0, id="beyond it"),
        pytest.param(700.0, None, 700.0, id="a long worker-ttl"),
    ],
)
def test_when_an_abandoned_job_is_looked_for(wakes_every_s: float, tidied_within_s: float | None, after_s: float) -> None:
    assert looked_for_after_s(wakes_every_s, tidied_within_s) == after_s


@pytest.mark.parametrize(
    ("workers", "severity"),
    [
        pytest.param((replace(WORKER, good_for_s=470.0),), "warn", id="RQ's defaults"),
        pytest.param((WORKER,), "ok", id="worker-ttl 30"),
        pytest.param((WORKER, replace(WORKER, good_for_s=470.0)), "warn", id="one of two"),
        pytest.param((replace(WORKER, state="busy", good_for_s=80.0),), "unknown", id="all busy"),
        pytest.param((replace(WORKER, good_for_s=None),), "unknown", id="not told"),
    ],
)
def test_the_abandoned_job_defaults_are_found_by_idle_workers(workers: tuple[Worker, ...], severity: str) -> None:
    finding = found("takes_back", workers=workers)
    assert finding.severity == severity
    assert ("--worker-ttl 30 --maintenance-interval 15 --job-monitoring-interval 5 high" in finding.mend) == (severity != "ok")


@pytest.mark.parametrize(("abandoned", "severity"), [(0, "ok"), (1, "fail"), (None, "unknown")])
def test_a_job_without_a_worker(abandoned: int | None, severity: str) -> None:
    assert found("abandoned", queues=(replace(QUEUE, abandoned=abandoned),)).severity == severity


@pytest.mark.parametrize(
    ("version", "severity"),
    [("2.12.0", "ok"), ("3.0.0", "ok"), ("1.16.2", "warn"), ("1.15.1", "fail"), ("4.0.0", "fail"), (None, "unknown")],
)
def test_which_versions_of_rq_are_read_and_acted_on(version: str | None, severity: str) -> None:
    assert found("rq_version", workers=(replace(WORKER, rq_version=version),)).severity == severity


def test_suspended_workers_and_queues_that_nobody_knows() -> None:
    assert found("suspended", is_suspended=True).mend == "`rq resume --url redis://broker:6379/0`"
    assert found("missing", missing=("hihg",)).severity == "warn"
    assert not {"suspended", "missing"} & {finding.code for finding in findings(FACTS)}


def test_without_rq_only_the_server_is_judged() -> None:
    assert {finding.code for finding in findings(replace(FACTS, has_rq=False))} == {
        "version", "eviction", "durability", "memory", "clock", "password",
    }  # fmt: skip


def test_what_fails_comes_first_and_what_is_well_last() -> None:
    weights = [
        finding.severity for finding in findings(replace(FACTS, server=replace(GOOD, eviction="allkeys-lru", version=None, skew_s=3)))
    ]
    assert weights[:3] == ["fail", "warn", "unknown"]
    assert set(weights[3:]) == {"ok"}


@pytest.mark.parametrize(
    ("member", "job_id"),
    [
        pytest.param("abc", "abc", id="RQ 1: the job alone"),
        pytest.param("user:5", "user:5", id="RQ 1: a colon of the team's"),
        pytest.param(f"abc:{'0f' * 16}", "abc", id="with its execution"),
        pytest.param(f"user:5:{'0f' * 16}", "user:5", id="both"),
    ],
)
def test_a_running_job_is_known_by_its_entry(member: str, job_id: str) -> None:
    assert _job_of(member) == job_id


@pytest.mark.parametrize(
    ("counts", "room", "shares"),
    [
        ({}, 10, {}),
        ({"a": 0}, 10, {}),
        ({"a": 3, "b": 7}, 10, {"a": 3, "b": 7}),
        ({"a": 3, "b": 100}, 10, {"a": 3, "b": 7}),
        ({"a": 100, "b": 100}, 10, {"a": 5, "b": 5}),
        ({str(number): 9 for number in range(20)}, 10, {str(number): 1 for number in range(20)}),
    ],
)
def test_each_queue_has_its_share_of_what_is_read(counts: dict[str, int], room: int, shares: dict[str, int]) -> None:
    got = _shares(counts, room)
    assert sum(got.values()) <= room
    if len(counts) < room:
        assert got == shares


def test_a_group_shows_its_newest_job_and_where_its_jobs_were() -> None:
    from datetime import UTC, datetime

    def letter(job_id: str, queue: str, day: int | None) -> DeadLetter:
        died_at = None if day is None else datetime(2026, 1, day, tzinfo=UTC)
        return DeadLetter(job_id, queue, "shop.f", "ValueError: no", died_at, None, None, 0, is_foreign=True)

    [group] = dead_groups([letter("unknown", "b", None), letter("old", "a", 1), letter("new", "b", 3), letter("middle", "a", 2)])
    assert (group.sample, group.queues, group.count) == ("new", ("a", "b"), 4)
    assert (group.oldest, group.newest) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
