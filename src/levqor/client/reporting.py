"""What the middlewares of every protocol share: labels that clients cannot multiply, and a flusher in the process that serves."""

import os
import threading
import weakref
from collections.abc import Callable

from levqor.client import log
from levqor.client.flush import Flusher
from levqor.client.recorder import Recorder

ROUTE = "levqor.route"
"""Where an app of any framework, or of none, may put the template of its route: in the WSGI environ or the ASGI scope."""

UNMATCHED = "unmatched"
OTHER_METHOD = "OTHER"
METHODS = {method: method for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}

method_label: Callable[[str, str], str] = METHODS.get
"""With OTHER_METHOD as its second argument."""


class Reporting:
    """Starts the flusher in the process that serves: at its first request, so never in a master that only forks.

    A forked child that serves on starts its own, at its own first request. With a `recorder` handed in somebody else flushes.
    """

    def __init__(self, recorder: Recorder | None, redis_url: str | None) -> None:
        self.recorder = recorder or Recorder()
        self.recorder.announce("http")
        self.flusher: Flusher | None = None
        self.is_started = self._is_others = recorder is not None
        self._redis_url = redis_url
        self._starting = threading.Lock()
        _start_again_in_children(self)

    def start(self) -> None:
        """Raises nothing, whatever is missing; a second call changes nothing."""
        with self._starting:
            if self.is_started:
                return
            self.is_started = True
        # Not under the lock: where threads are greenlets, starting one lets other requests run.
        try:
            self._start()
        except Exception as error:
            log.warning("requests are not reported (%s); the app is not affected", type(error).__name__)

    def close(self) -> None:
        """Flushes a last time."""
        if self.flusher is not None:
            self.flusher.close()

    def _start(self) -> None:
        url = self._redis_url or os.environ.get("LEVQOR_REDIS_URL") or os.environ.get("REDIS_URL")
        if not url:
            log.warning("requests are not reported: give the middleware redis_url=, or set LEVQOR_REDIS_URL or REDIS_URL")
            return
        if self.flusher is None:
            writer_id = f"{os.uname().nodename}/{os.getpid()}/{os.urandom(6).hex()}"
            self.flusher = Flusher(self.recorder, url, writer_id, goes_on_in_children=False)
        try:
            self.flusher.start()
        except RuntimeError:
            log.warning("requests are not reported: no thread could be started for it")

    def _start_again(self) -> None:
        self._starting = threading.Lock()
        self.is_started = self._is_others


def _start_again_in_children(reporting: Reporting) -> None:
    reference = weakref.ref(reporting)

    def start_again() -> None:
        if (reporting := reference()) is not None:
            reporting._start_again()

    os.register_at_fork(after_in_child=start_again)
