"""A thread of its own that turns until it is stopped, and sooner than it would when it is woken."""

import threading
from abc import ABC, abstractmethod


class Loop(ABC):
    """What the autopilot and the courier have in common: `run` goes on while `is_stopping` is false, and rests by `rest`."""

    def __init__(self, name: str, stops_within_s: float) -> None:
        """`stops_within_s`: how long `stop` waits for the turn under way."""
        self._name, self._stops_within_s = name, stops_within_s
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def start(self) -> None:
        """Begin to turn."""
        self._thread = threading.Thread(target=self.run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop, and wait for it as long as it may take."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(self._stops_within_s)

    def wake(self) -> None:
        """There is work: do not rest until the next look."""
        self._wake.set()

    def rest(self, seconds: float) -> None:
        """Until so much time has passed, or somebody wakes it."""
        self._wake.wait(seconds)
        self._wake.clear()

    @abstractmethod
    def run(self) -> None:
        """The loop. It outlives any error of a turn."""
