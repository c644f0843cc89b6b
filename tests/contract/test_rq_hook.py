"""`levqor.rq`: what a team's own workers of RQ 1.16, 2.12 and 3.0 tell of their jobs, and that they never wait for it (spec S1, S2, P7)."""

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import Valkey
from tests.contract.team import INSTALLED, VERSIONS, Team, make_team
from tests.waiting import eventually

from levqor.store.telemetry import Telemetry

TOTALS = "levqor:telemetry:total:"
NEED, ADD, DIE, AGAIN, WAIT = (f"tests.contract.team_jobs.{name}" for name in ("need", "add", "die", "come_again", "wait_for"))


Make = Callable[[str], Team]


@pytest.fixture
def make(store_url: str, valkey: Valkey, tmp_path: Path) -> Iterator[Make]:
    """A team on the shared broker, with Levqor's store on a server of its own."""
    made: list[Team] = []

    def team(version: str) -> Team:
        made.append(make_team(version, store_url, tmp_path / "team", LEVQOR_REDIS_URL=valkey.url))
        return made[-1]

    yield team
    for each in made:
        each.close()


def totals(valkey: Valkey) -> dict[tuple[str, ...], Counter[str]]:
    """Each series with its sums."""
    with valkey.client as client:
        return {
            tuple(json.loads(key.decode().removeprefix(TOTALS))): Counter(
                {name.decode(): float(n) for name, n in client.hgetall(key).items()}
            )
            for key in client.scan_iter(f"{TOTALS}*")
        }


def jobs(valkey: Valkey) -> dict[tuple[str, ...], int]:
    return {series[1:]: int(sums["n"]) for series, sums in totals(valkey).items() if series[0] == "job"}


def observations(valkey: Valkey, *series: str) -> tuple[int, int]:
    """How many, and how many of them failed."""
    sums = totals(valkey).get(series, Counter())
    return int(sum(n for name, n in sums.items() if name[0] == "b")), int(sums["f"])


def assert_the_broker_holds_nothing_of_levqors(team: Team) -> None:
    with team.client as client:
        assert list(client.scan_iter("levqor:*")) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_waits_runs_and_outcomes_of_every_job_are_counted(make: Make, valkey: Valkey, version: str, tmp_path: Path) -> None:
    """I1: the same families as those of Levqor's own workers, so they are read as any fleet's failures."""
    team = make(version)
    never = str(tmp_path / "never")
    # A job that returns a `Retry` is RQ 2's; to RQ 1 it is a result.
    asks_again = [] if version == "1.16" else [{"function": "come_again", "times": 1}]
    ids = team.enqueue(
        {"function": "add"},
        {"function": "add"},
        {"function": "need", "path": never},
        {"function": "need", "path": never, "retries": 1},
        {"function": "die"},
        {"function": "die", "retries": 1},
        *asks_again,
    )
    worker = team.begin_worker("-w", "levqor.rq.Worker")
    for job_id, status in zip(ids, ["finished"] * 2 + ["failed"] * (len(ids) - 2), strict=True):
        team.until(job_id, status)
    expected = {
        ("default", ADD, "succeeded"): 2,
        ("default", NEED, "dead"): 2,
        ("default", NEED, "failed"): 1,
        ("default", DIE, "dead"): 2,
        ("default", DIE, "lost"): 1,
        **({("default", AGAIN, "failed"): 1, ("default", AGAIN, "dead"): 1} if asks_again else {}),
    }
    with valkey.client as client:
        telemetry = Telemetry(client, lambda writer: False)
        raised = sum(count for (_, function, _), count in expected.items() if function in (NEED, AGAIN))
        eventually(lambda: not telemetry.jobs_window(300).problem and telemetry.jobs_window(300).failures == raised, 20)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0, team.log
    assert jobs(valkey) == expected
    assert observations(valkey, "run", "default", ADD) == (2, 0)
    assert observations(valkey, "wait", "default", ADD) == (2, 0)
    assert observations(valkey, "run", "default", NEED) == (3, 3)
    assert observations(valkey, "wait", "default", NEED) == (3, 0)
    assert observations(valkey, "run", "default", DIE) == (0, 0), "nobody lived to tell"
    assert team.fetch(ids[0]) == [{"status": "finished", "result": "Decimal('3.5')"}]
    assert "is not reported" not in team.log
    assert_the_broker_holds_nothing_of_levqors(team)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_that_hangs_or_is_gone_makes_no_job_wait(make: Make, valkey: Valkey, version: str) -> None:
    """P7: the store is stopped in the midst of its life; jobs end, and the worker does when it is told to."""
    team = make(version)
    worker = team.begin_worker("-w", "levqor.rq.Worker")
    (first,) = team.enqueue({"function": "add"})
    team.until(first, "finished")
    with valkey.client as client:
        eventually(lambda: client.zcard("levqor:telemetry:writers:jobs"), 15, what="the worker's first report")
    valkey.pause()
    ids = team.enqueue(*[{"function": "add"}] * 5)
    for job_id in ids:
        team.until(job_id, "finished")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0, team.log
    valkey.resume()
    assert [fetched["result"] for fetched in team.fetch(first, *ids)] == ["Decimal('3.5')"] * 6
    assert team.log.count("telemetry does not reach its store") <= 1


def test_without_a_store_it_is_rqs_own_worker(store_url: str, tmp_path: Path) -> None:
    """REDIS_URL is the team's broker here: it is not written to."""
    team = make_team(INSTALLED, store_url, tmp_path / "team", REDIS_URL=store_url)
    try:
        (job_id,) = team.enqueue({"function": "add"})
        team.begin_worker("-w", "levqor.rq.Worker", "--burst").wait(15)
        assert team.status(job_id) == "finished"
        assert "jobs are not reported: set LEVQOR_REDIS_URL" in team.log
        assert_the_broker_holds_nothing_of_levqors(team)
    finally:
        team.close()


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        pytest.param("1.16", "levqor.rq.SimpleWorker", id="simple-1.16"),
        pytest.param(INSTALLED, "levqor.rq.SimpleWorker", id="simple-3.0"),
        pytest.param("2.12", "tests.contract.team_worker.Mine", id="own-2.12"),
    ],
)
def test_other_worker_classes_report_as_well(make: Make, valkey: Valkey, version: str, kind: str, tmp_path: Path) -> None:
    team = make(version)
    team.enqueue({"function": "add"}, {"function": "need", "path": str(tmp_path / "never")})
    worker = team.begin_worker("-w", kind, "--burst")
    assert worker.wait(15) == 0, team.log
    assert jobs(valkey) == {("default", ADD, "succeeded"): 1, ("default", NEED, "dead"): 1}
    assert ("my own worker" in team.log) == kind.endswith("Mine")


def test_a_job_that_is_stopped_by_hand_is_dead(make: Make, valkey: Valkey, tmp_path: Path) -> None:
    from rq.command import send_stop_job_command

    team = make(INSTALLED)
    (job_id,) = team.enqueue({"function": "wait_for", "path": str(tmp_path / "never"), "retries": 3})
    worker = team.begin_worker("-w", "levqor.rq.Worker")
    team.until(job_id, "started")
    with team.client as client:
        eventually(lambda: client.pubsub_numsub(*client.pubsub_channels())[0][1] if client.pubsub_channels() else 0)
        send_stop_job_command(client, job_id)
    team.until(job_id, "stopped")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert jobs(valkey) == {("default", WAIT, "dead"): 1}
