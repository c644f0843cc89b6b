"""`levqor look` at real workers of RQ 1.16, 2.12 and 3.0, and under a prefix (spec L2, X4)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.team import INSTALLED, VERSIONS, Team, make_team
from tests.waiting import eventually

from levqor.engines.rq_facts import Facts
from levqor.engines.rq_findings import findings
from levqor.engines.rq_look import look
from levqor.host import SystemClock


@pytest.fixture
def team(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> Iterator[Team]:
    made = make_team(request.param, store_url, tmp_path / "team")
    yield made
    made.close()


def seen(team: Team, prefix: str = "rq") -> Facts:
    return look(team.url, clock=SystemClock(), prefix=prefix)


def severities(facts: Facts) -> dict[str, str]:
    return {finding.code: finding.severity for finding in findings(facts)}


@pytest.mark.parametrize("team", VERSIONS, indirect=True)
def test_each_version_is_seen_for_what_it_is(team: Team, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    dead, _, _ = team.enqueue(
        {"function": "need", "path": str(gate)}, {"function": "add", "queue": "low"}, {"function": "add", "queue": "high", "delay_s": 3600}
    )
    worker = team.begin_worker("--name", "shop-1", queues=("high", "default"))
    team.until(dead, "failed")
    idle = eventually(lambda: [known for known in seen(team).living if known.state == "idle"], what="an idle worker")[0]
    assert idle.wakes_every_s == 405, "worker-ttl 420, less 15 s"
    assert severities(seen(team))["takes_back"] == "warn"
    assert "up to 810 s" in next(finding.text for finding in findings(seen(team)) if finding.code == "takes_back")

    (running,) = team.enqueue({"function": "wait_for", "path": str(tmp_path / "never")})
    busy = eventually(lambda: [known for known in seen(team).living if known.job_id == running], what="a busy worker")[0]
    assert (busy.state, busy.pid, busy.queues) == ("busy", worker.pid, ("high", "default"))
    facts = seen(team)
    assert facts.workers[0].function == "tests.contract.team_jobs.wait_for"
    assert facts.workers[0].rq_version is not None
    assert facts.workers[0].rq_version.startswith(team.version)
    queues = {queue.name: queue for queue in facts.queues}
    assert (queues["default"].running, queues["default"].dead, queues["low"].waiting, queues["high"].delayed) == (1, 1, 1, 1)
    [group] = facts.dead.groups
    assert (group.function, group.error, group.sample) == ("tests.contract.team_jobs.need", "LookupError", dead)
    found = severities(facts)
    assert {found[code] for code in ("unserved", "scheduler")} == {"fail"}
    assert found["abandoned"] == "ok"
    assert found["rq_version"] == ("warn" if team.version == "1.16" else "ok")

    team.end(worker)
    with team.client as client:
        client.delete("rq:worker:shop-1")
    assert {severities(seen(team))[code] for code in ("abandoned", "lost")} == {"fail", "warn"}


@pytest.mark.parametrize("team", VERSIONS, indirect=True)
def test_a_scheduler_that_runs_is_seen(team: Team) -> None:
    team.enqueue({"function": "add", "delay_s": 3600})
    team.begin_worker("--with-scheduler")
    eventually(lambda: severities(seen(team)).get("scheduler") == "ok", what="a scheduler")


def test_a_team_with_a_prefix_of_its_own(store_url: str, tmp_path: Path) -> None:
    team = make_team(INSTALLED, store_url, tmp_path / "team", RQ_KEY_PREFIX="shop:{a}")
    try:
        team.enqueue({"function": "add", "queue": "low"})
        team.begin_worker("--name", "shop-1")
        eventually(lambda: seen(team, "shop:{a}").living, what="the worker")
        facts = seen(team, "shop:{a}")
        assert [queue.name for queue in facts.unserved] == ["low"]
        mends = {finding.code: finding.mend for finding in findings(facts)}
        assert mends["unserved"] == "`RQ_KEY_PREFIX='shop:{a}' rq worker --url \"$REDIS_URL\" low`"
        assert not seen(team).has_rq
    finally:
        team.close()
