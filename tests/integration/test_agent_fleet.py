"""The `agent` fleet over a real store: targets under a term, heartbeats with an expiry, commands."""

import json
from dataclasses import replace
from typing import Any

import pytest
import redis
from tests.conftest import Valkey
from tests.waiting import eventually

from levqor.domain.errors import NotTheLeader, StoreDown
from levqor.domain.fleet import Room, Worker, WorkerState
from levqor.fleets.agent import AgentFleet, AgentSeat, Heartbeat, heartbeat_key, merge, registry_key, target_key


@pytest.fixture
def client(store_url: str) -> Any:
    with redis.Redis.from_url(store_url, socket_timeout=1) as client:
        yield client


def worker(name: str, state: WorkerState = WorkerState.IDLE) -> Worker:
    return Worker(name, "here", 1, state, None, ("default",))


def beat(agent_id: str = "a", *workers: Worker, **more: Any) -> Heartbeat:
    return Heartbeat(agent_id, workers=workers, **more)


def test_a_published_target_reaches_the_agents(client: redis.Redis) -> None:
    AgentFleet(client).publish(3, term=7)
    assert AgentSeat(client, "a").orders().target == 3


def test_no_target_is_not_a_target_of_zero(client: redis.Redis) -> None:
    """Spec S3: unknown is never zero."""
    assert AgentSeat(client, "a").orders().target is None
    AgentFleet(client).publish(0, term=1)
    assert AgentSeat(client, "a").orders().target == 0


@pytest.mark.parametrize(("term", "is_taken"), [(6, False), (7, True), (8, True)])
def test_an_earlier_term_writes_nothing(client: redis.Redis, term: int, is_taken: bool) -> None:
    """Spec P2: each write of a leader carries its term."""
    fleet = AgentFleet(client)
    fleet.publish(3, term=7)
    if is_taken:
        fleet.publish(4, term=term)
    else:
        with pytest.raises(NotTheLeader):
            fleet.publish(4, term=term)
    assert AgentSeat(client, "a").orders().target == (4 if is_taken else 3)


def test_a_target_that_is_no_number_is_no_target(client: redis.Redis) -> None:
    client.hset(target_key("default"), "target", "many")
    assert AgentSeat(client, "a").orders().target is None


def test_nobody_heard_is_unknown_not_zero(client: redis.Redis) -> None:
    """Spec S3."""
    report = AgentFleet(client).report()
    assert (report.agents, report.running, report.room, report.age_s, report.target_seen) == (0, None, None, None, None)


def test_an_agent_without_workers_is_heard(client: redis.Redis) -> None:
    AgentSeat(client, "a").beat(beat("a"))
    report = AgentFleet(client).report()
    assert (report.agents, report.running, report.starting, report.draining) == (1, 0, 0, 0)
    assert report.age_s is not None
    assert report.age_s < 3


def test_reports_of_several_agents_add_up(client: redis.Redis) -> None:
    states = [WorkerState.IDLE, WorkerState.BUSY, WorkerState.STARTING]
    AgentSeat(client, "a").beat(
        beat("a", *(worker(f"a{n}", state) for n, state in enumerate(states)), room=Room(500, 64, 1.0), deaths_10m=2, target_seen=4)
    )
    more = [WorkerState.UNKNOWN, WorkerState.DRAINING, WorkerState.LOST]
    AgentSeat(client, "b").beat(
        beat(
            "b",
            *(worker(f"b{n}", state) for n, state in enumerate(more)),
            room=Room(400, 90, None),
            crash_looping=True,
            target_seen=4,
            returned=2,
        )
    )
    report = AgentFleet(client).report()
    assert (report.agents, report.running, report.starting, report.draining) == (2, 3, 1, 1)
    assert {each.name for each in report.workers} == {"a0", "a1", "a2", "b0", "b1", "b2"}
    assert report.room == Room(400, 90, 1.0)
    assert (report.deaths_10m, report.crash_looping, report.returned, report.target_seen) == (2, True, 2, 4)


def test_a_target_counts_as_seen_once_all_agents_saw_it() -> None:
    assert merge([beat("a", target_seen=3), beat("b", target_seen=2)]).target_seen is None
    assert merge([beat("a", target_seen=3), beat("b", target_seen=2, is_leaving=True)]).target_seen == 3


def test_a_silent_agent_expires_and_one_that_leaves_is_gone_at_once(client: redis.Redis) -> None:
    seat = AgentSeat(client, "a")
    seat.beat(beat())
    assert 0 < client.pttl(heartbeat_key("default", "a")) <= 6_000
    client.pexpire(heartbeat_key("default", "a"), 1)
    eventually(lambda: AgentFleet(client).report().running is None, what="the silent agent's expiry")
    seat.beat(beat())
    seat.leave()
    assert AgentFleet(client).report().agents == 0
    assert client.zcard(registry_key("default")) == 0


def test_heartbeats_survive_the_journey() -> None:
    sent = beat("a", worker("w", WorkerState.BUSY), room=Room(1, None, 0.5), deaths_10m=1, returned=3, target_seen=2, is_leaving=True)
    assert Heartbeat.parse("a", sent.as_json(), 6_000) == sent
    assert Heartbeat.parse("a", sent.as_json(), 4_500) == replace(sent, age_s=1.5)


def test_an_agent_that_is_leaving_has_no_share(client: redis.Redis) -> None:
    AgentSeat(client, "a").beat(beat("a", is_leaving=True))
    AgentSeat(client, "b").beat(beat("b"))
    assert AgentSeat(client, "b").orders().agents == ("b",)


def test_an_unreadable_heartbeat_is_unknown_yet_its_agent_has_its_share(client: redis.Redis) -> None:
    client.zadd(registry_key("default"), {"a": 1})
    client.set(heartbeat_key("default", "a"), "{", px=6_000)
    with pytest.raises(StoreDown):
        AgentFleet(client).report()
    assert AgentSeat(client, "b").orders().agents == ("a",)


def test_restart_of_all_tells_every_agent_and_of_one_its_own(client: redis.Redis) -> None:
    seats = {name: AgentSeat(client, name) for name in ("a", "b")}
    for name, seat in seats.items():
        seat.beat(beat(name, worker(f"{name}1")))
    fleet = AgentFleet(client)
    assert fleet.restart("b1") == 1
    assert fleet.restart("nobody") == 0
    assert seats["a"].orders().commands == ()
    assert seats["b"].orders().commands == ({"command": "restart", "worker": "b1"},)
    assert seats["b"].orders().commands == ()
    assert fleet.restart(None) == 2


def test_commands_that_nobody_takes_expire(client: redis.Redis) -> None:
    """Spec P5."""
    AgentSeat(client, "a").beat(beat())
    AgentFleet(client).restart(None)
    assert 0 < client.ttl("levqor:commands:a") <= 60


def test_fleets_are_apart(client: redis.Redis) -> None:
    AgentFleet(client, "one").publish(2, term=1)
    AgentSeat(client, "a", "one").beat(beat())
    assert AgentSeat(client, "b", "two").orders().target is None
    assert AgentFleet(client, "two").report().running is None


def test_a_store_that_is_gone_or_hangs_is_down_within_its_time_limit(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url, socket_timeout=0.3, retry=None) as client:
        fleet, seat = AgentFleet(client), AgentSeat(client, "a")
        seat.beat(beat())
        valkey.pause()
        for ask in (fleet.report, seat.orders, lambda: fleet.publish(1, 1), lambda: seat.beat(beat())):
            with pytest.raises(StoreDown):
                ask()
        valkey.resume()
        eventually(lambda: _answers(fleet), what="the store's return")
        valkey.kill()
        with pytest.raises(StoreDown) as down:
            fleet.report()
        assert valkey.password not in str(down.value)


def _answers(fleet: AgentFleet) -> bool:
    try:
        return fleet.report().agents >= 0
    except StoreDown:
        return False


def test_every_key_is_levqors_own(client: Any) -> None:
    AgentFleet(client).publish(1, 1)
    AgentSeat(client, "a").beat(beat())
    AgentFleet(client).restart(None)
    assert all(key.startswith(b"levqor:") for key in client.scan_iter())
    assert json.loads(client.get(heartbeat_key("default", "a")))["workers"] == []
