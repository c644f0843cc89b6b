"""Paused queues, where the workers look for them."""

import redis

from levqor.client.rq_scripts import PAUSED
from levqor.domain.errors import StoreDown


def write_paused(broker: redis.Redis, queues: list[str]) -> None:
    """Have Levqor's own workers take no job from these queues, and from all others again; nothing is written that is so already.

    Raises StoreDown.
    """
    try:
        there = {member.decode() if isinstance(member, bytes) else member for member in broker.smembers(PAUSED)}
        if there == set(queues):
            return
        pipeline = broker.pipeline(transaction=True)
        pipeline.delete(PAUSED)
        if queues:
            pipeline.sadd(PAUSED, *queues)
        pipeline.execute()
    except redis.RedisError as error:
        raise StoreDown(f"the broker does not answer: {type(error).__name__}") from error
