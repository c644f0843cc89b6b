"""Logs of this host stay small: what programs write raw is turned over, what is too old goes (spec P5)."""

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from levqor.logfile import drop_old, turn_over_output
from levqor.ports import Clock

RAW = ("workers.log", "store.log")
"""Written by programs that keep the file open and rotate nothing."""

EVERY_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogCare:
    """Runs beside the agent's supervising."""

    folder: Path
    keep_days: int
    clock: Clock

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; a folder that cannot be tended is tried again."""
        while not stop.is_set():
            try:
                self.tend()
            except OSError as error:
                log.warning("logs cannot be tended: %s", error)
            stop.wait(EVERY_S)

    def tend(self) -> None:
        for name in RAW:
            turn_over_output(self.folder / name)
        for name in drop_old(self.folder, self.clock.now(), timedelta(days=self.keep_days)):
            log.info("removed the old log %s", name)
