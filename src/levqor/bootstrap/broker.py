"""What the workers of the queues' broker say of themselves, before anything is begun beside them."""

from levqor.bootstrap.store import broker_url
from levqor.engines.rq import RqEngine
from levqor.engines.rq_version import Standing
from levqor.host import SystemClock
from levqor.settings import Settings


def broker_standing(settings: Settings) -> Standing:
    """What Levqor may do beside the workers that are listed now. Raises EngineDown."""
    engine = RqEngine(broker_url(settings), clock=SystemClock(), prefix=settings.rq_key_prefix)
    try:
        return engine.standing()
    finally:
        engine.close()
