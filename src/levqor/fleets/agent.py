"""The `agent` fleet through the store: the target goes to the agents, their heartbeats come back."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis

from levqor.domain.errors import NotTheLeader, StoreDown
from levqor.domain.fleet import Room, Worker, WorkerState
from levqor.fleets.paused import write_paused

HEARTBEAT_TTL_MS = 6_000
"""An agent that was silent for longer is not counted."""

REGISTRY_KEEP_S = 3_600
COMMAND_KEEP_S = 60
COMMANDS_MAX = 1_000

T = TypeVar("T")

# KEYS target; ARGV target, term. 1: written, 0: the store knows a later term.
_PUBLISH = """
local known = tonumber(redis.call('HGET', KEYS[1], 'term') or '-1')
if tonumber(ARGV[2]) < known then return 0 end
redis.call('HSET', KEYS[1], 'target', ARGV[1], 'term', ARGV[2])
return 1
"""

# KEYS registry, heartbeat; ARGV agent, payload, ttl ms, keep s. The store's clock dates the registry: hosts need not agree on the time.
_BEAT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[4]))
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
"""

# KEYS registry; ARGV prefix of heartbeats. Each living agent's heartbeat with the milliseconds it has left.
_HEARTBEATS = """
local found = {}
for _, agent in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local payload = redis.call('GET', ARGV[1] .. agent)
  if payload then table.insert(found, {agent, payload, redis.call('PTTL', ARGV[1] .. agent)}) end
end
return found
"""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one agent says of its host, each second."""

    agent_id: str
    workers: tuple[Worker, ...] = ()
    room: Room | None = None
    deaths_10m: int = 0
    crash_looping: bool = False
    returned: int = 0
    target_seen: int | None = None
    is_leaving: bool = False
    age_s: float = 0.0
    web: Mapping[str, int] = field(default_factory=dict)
    """Process ids of the web processes that this agent can replace, by name."""

    def as_json(self) -> str:
        room = self.room and {
            "free_bytes": self.room.free_bytes,
            "worker_p95_bytes": self.room.worker_p95_bytes,
            "stalled_percent": self.room.stalled_percent,
        }
        return json.dumps(
            {
                "workers": [worker.as_dict() for worker in self.workers],
                "room": room,
                "deaths_10m": self.deaths_10m,
                "crash_looping": self.crash_looping,
                "returned": self.returned,
                "target_seen": self.target_seen,
                "leaving": self.is_leaving,
                "web": dict(self.web),
            }
        )

    @classmethod
    def parse(cls, agent_id: str, payload: str, left_ms: int) -> "Heartbeat":
        data: dict[str, Any] = json.loads(payload)
        return cls(
            agent_id=agent_id,
            workers=tuple(Worker.from_dict(worker) for worker in data["workers"]),
            room=None if data["room"] is None else Room.from_dict(data["room"]),
            deaths_10m=data["deaths_10m"],
            crash_looping=data["crash_looping"],
            returned=data["returned"],
            target_seen=data["target_seen"],
            is_leaving=data["leaving"],
            age_s=max(0, HEARTBEAT_TTL_MS - left_ms) / 1_000,
            web={str(name): int(pid) for name, pid in (data.get("web") or {}).items()},
        )


@dataclass(frozen=True, slots=True)
class FleetReport:
    """All agents together. `running` are workers that can take a job or have one; starting, draining and lost ones are apart.

    None where no agent is heard: then nobody knows, which is not the same as no workers.
    """

    agents: int
    workers: list[Worker]
    running: int | None
    starting: int
    draining: int
    room: Room | None
    deaths_10m: int
    crash_looping: bool
    age_s: float | None
    target_seen: int | None
    returned: int = 0
    web: Mapping[str, int] = field(default_factory=dict)
    """Process ids of the web processes that an agent can replace, by agent and name."""
    outside: int | None = None
    """The count that somebody else set since Levqor's last act; None: nobody did."""
    problems: tuple[str, ...] = ()
    """What is wrong with the workers, or why nobody knows of them."""
    why_not: str | None = None
    """Why the fleet does not follow its target for the moment."""


class AgentFleet:
    """The control plane's side."""

    def __init__(self, client: redis.Redis, fleet: str = "default", broker: redis.Redis | None = None) -> None:
        """`broker`: where the queues are, if not in the store; the workers look there for what is paused."""
        self._client = client
        self._broker = client if broker is None else broker
        self._fleet = fleet

    def start(self) -> None:
        """Nothing: the agents follow by themselves."""

    def close(self) -> None:
        """Nothing: the agents follow by themselves."""

    def publish(self, target: int, term: int) -> None:
        """Make `target` the one that all agents follow. Raises NotTheLeader if a later term has published, StoreDown."""
        if not _asked(lambda: self._client.eval(_PUBLISH, 1, target_key(self._fleet), str(target), str(term))):
            raise NotTheLeader(f"a later leader than term {term} has published the fleet's target")

    def publish_paused(self, queues: list[str]) -> None:
        """Have the workers take no job from these queues, and from all others again. Raises StoreDown."""
        write_paused(self._broker, queues)

    def report(self) -> FleetReport:
        """What the agents said last, merged. Raises StoreDown."""
        return merge(heartbeats(self._client, self._fleet))

    def restart(self, worker_name: str | None) -> int:
        """Have one worker, or all one after another, drained and replaced; how many agents were told."""
        told = [
            beat.agent_id
            for beat in heartbeats(self._client, self._fleet)
            if worker_name is None or any(worker.name == worker_name for worker in beat.workers)
        ]
        for agent_id in told:
            _push(self._client, commands_key(agent_id), {"command": "restart", "worker": worker_name})
        return len(told)

    def rotate(self) -> int:
        """Have the web processes replaced, one after another; how many agents were told. Raises StoreDown."""
        told = [beat.agent_id for beat in heartbeats(self._client, self._fleet) if beat.web]
        for agent_id in told:
            _push(self._client, commands_key(agent_id), {"command": "rotate"})
        return len(told)


@dataclass(frozen=True, slots=True)
class Orders:
    """What the store told an agent: the fleet's target (None: none published), the agents that share it, commands."""

    target: int | None
    agents: tuple[str, ...]
    commands: tuple[dict[str, Any], ...]


class AgentSeat:
    """An agent's side: its place in the fleet."""

    def __init__(self, client: redis.Redis, agent_id: str, fleet: str = "default") -> None:
        self._client = client
        self._fleet = fleet
        self.agent_id = agent_id

    def beat(self, heartbeat: Heartbeat) -> None:
        """Raises StoreDown."""
        keys = (registry_key(self._fleet), heartbeat_key(self._fleet, self.agent_id))
        values = (self.agent_id, heartbeat.as_json(), str(HEARTBEAT_TTL_MS), str(REGISTRY_KEEP_S))
        _asked(lambda: self._client.eval(_BEAT, 2, *keys, *values))

    def orders(self) -> Orders:
        """Raises StoreDown."""
        told = _asked(lambda: self._client.hget(target_key(self._fleet), "target"))
        taken = _asked(lambda: self._client.lpop(commands_key(self.agent_id), COMMANDS_MAX))
        sharing = (agent_id for agent_id, payload, _ in _rows(self._client, self._fleet) if not _is_leaving(payload))
        return Orders(
            target=_target(told),
            agents=tuple(sharing),
            commands=tuple(json.loads(command) for command in taken or []),
        )

    def leave(self) -> None:
        """Be counted no more. Raises StoreDown."""
        _asked(lambda: self._client.zrem(registry_key(self._fleet), self.agent_id))
        _asked(lambda: self._client.delete(heartbeat_key(self._fleet, self.agent_id)))


def target_key(fleet: str) -> str:
    return f"levqor:target:{fleet}"


def registry_key(fleet: str) -> str:
    return f"levqor:agents:{fleet}"


def heartbeat_key(fleet: str, agent_id: str) -> str:
    return f"levqor:agent:{fleet}:{agent_id}"


def commands_key(agent_id: str) -> str:
    return f"levqor:commands:{agent_id}"


def heartbeats(client: redis.Redis, fleet: str) -> list[Heartbeat]:
    """Of every agent that is alive. Raises StoreDown."""
    try:
        return [Heartbeat.parse(agent_id, payload, left_ms) for agent_id, payload, left_ms in _rows(client, fleet)]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDown(f"an agent's heartbeat is not readable: {type(error).__name__}") from error


def _rows(client: redis.Redis, fleet: str) -> list[tuple[str, str, int]]:
    rows = _asked(lambda: client.eval(_HEARTBEATS, 1, registry_key(fleet), heartbeat_key(fleet, "")))
    return [(_text(agent_id), _text(payload), int(left_ms)) for agent_id, payload, left_ms in rows]


def _is_leaving(payload: str) -> bool:
    """Read leniently: an agent of another version has its share too."""
    try:
        return bool(json.loads(payload).get("leaving"))
    except (ValueError, AttributeError):
        return False


def merge(beats: Iterable[Heartbeat]) -> FleetReport:
    """Counts are sums; age and room are the worst, since nobody knows which host the next worker starts on."""
    beats = list(beats)
    workers = [worker for beat in beats for worker in beat.workers]
    by_state = [worker.state for worker in workers]
    apart = sum(by_state.count(state) for state in (WorkerState.STARTING, WorkerState.DRAINING, WorkerState.LOST))
    return FleetReport(
        agents=len(beats),
        workers=workers,
        running=len(workers) - apart if beats else None,
        starting=by_state.count(WorkerState.STARTING),
        draining=by_state.count(WorkerState.DRAINING),
        room=_worst_room([beat.room for beat in beats if beat.room is not None]),
        deaths_10m=sum(beat.deaths_10m for beat in beats),
        crash_looping=any(beat.crash_looping for beat in beats),
        age_s=max((beat.age_s for beat in beats), default=None),
        target_seen=_agreed([beat.target_seen for beat in beats if not beat.is_leaving]),
        returned=sum(beat.returned for beat in beats),
        web={f"{beat.agent_id}/{name}": pid for beat in beats for name, pid in beat.web.items()},
    )


def _worst_room(rooms: list[Room]) -> Room | None:
    if not rooms:
        return None
    return Room(
        free_bytes=min((room.free_bytes for room in rooms if room.free_bytes is not None), default=None),
        worker_p95_bytes=max((room.worker_p95_bytes for room in rooms if room.worker_p95_bytes is not None), default=None),
        stalled_percent=max((room.stalled_percent for room in rooms if room.stalled_percent is not None), default=None),
    )


def _agreed(seen: list[int | None]) -> int | None:
    """The target that all agents have seen; None while they differ."""
    return seen[0] if seen and all(target == seen[0] for target in seen) else None


def _target(told: bytes | str | None) -> int | None:
    text = "" if told is None else _text(told)
    return int(text) if text.isdecimal() else None


def _push(client: redis.Redis, key: str, command: dict[str, Any]) -> None:
    pipeline = client.pipeline(transaction=True)
    pipeline.rpush(key, json.dumps(command))
    pipeline.ltrim(key, -COMMANDS_MAX, -1)
    pipeline.expire(key, COMMAND_KEEP_S)
    _asked(pipeline.execute)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except redis.RedisError as error:
        raise StoreDown(f"the store does not answer: {type(error).__name__}") from error
