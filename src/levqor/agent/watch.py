"""What the agent itself measures: availability through the listening socket, and jobs that lost their worker (spec S4)."""

import threading

from levqor.agent.agent import Background
from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder
from levqor.host import ProcessIdentity
from levqor.monitors.prober import Prober
from levqor.ports import Clock
from levqor.settings import Settings

PROBE_TIMEOUT_S = 2.0
LIVENESS = "/livez"


class Watch:
    """The agent's recorder, and what flushes and feeds it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.recorder = Recorder()

    def background(self, settings: Settings, is_up: threading.Event | None) -> Background:
        """Probes, once the service should answer (`is_up` None: there is none to probe); flushes all the while."""

        def run(stop: threading.Event) -> None:
            flusher = self._flusher(settings)
            try:
                self._work(settings, is_up, stop)
            finally:
                flusher.close()

        return run

    def _flusher(self, settings: Settings) -> Flusher:
        if settings.redis_url is None:
            raise RuntimeError("the store was not opened")
        flusher = Flusher(self.recorder, settings.redis_url.get_secret_value(), f"agent:{ProcessIdentity.current()}")
        flusher.start()
        return flusher

    def _work(self, settings: Settings, is_up: threading.Event | None, stop: threading.Event) -> None:
        if is_up is None:
            stop.wait()
            return
        while not is_up.wait(0.2):
            if stop.is_set():
                return
        Prober(settings.local_url + LIVENESS, self.recorder, self._clock, settings.probe_period_s, PROBE_TIMEOUT_S).run(stop)
