"""Replacing a process that serves: the new one is begun first, and the old one ends only once the new one accepts (spec I5)."""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable

from levqor.agent.process import Child, Command
from levqor.ports import Clock

log = logging.getLogger(__name__)

ACCEPTS_WITHIN_S = 30.0
"""A successor that does not accept within this is ended, and the old process stays."""

READY_OPTION = "--ready-fd"
"""The child writes one line to this descriptor once it accepts connections."""


class Successor:
    """A process on its way to replace another one of the same service."""

    def __init__(self, spawn: Callable[[Command], Child], command: Command, clock: Clock) -> None:
        """Raises OSError when it cannot be begun."""
        self._clock = clock
        self._begun_at = clock.monotonic()
        self._reader, writer = os.pipe()
        try:
            os.set_blocking(self._reader, False)
            argv = [*command.argv, READY_OPTION, str(writer)]
            self.child = spawn(dataclasses.replace(command, argv=argv, pass_fds=(*command.pass_fds, writer)))
        except OSError:
            self.close()
            raise
        finally:
            os.close(writer)

    @property
    def accepts(self) -> bool:
        """Has it said so?"""
        try:
            return os.read(self._reader, 1) != b""
        except BlockingIOError:
            return False

    @property
    def is_hopeless(self) -> bool:
        """Did it end, or take too long?"""
        return not self.child.is_alive or self._clock.monotonic() - self._begun_at >= ACCEPTS_WITHIN_S

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._reader)


class Leaver:
    """The old process: it was asked to end, finishes its requests, and is killed if it takes too long."""

    def __init__(self, child: Child, within_s: float, clock: Clock) -> None:
        self.child, self._within_s, self._clock = child, within_s, clock
        self._asked_at = clock.monotonic()
        self._is_ending = False
        child.terminate()

    def is_gone(self) -> bool:
        """Move one moment on: True once nothing of it is left."""
        overdue = self._clock.monotonic() - self._asked_at >= self._within_s
        if overdue and not self._is_ending and self.child.is_alive:
            log.warning("%s did not end within %.0f s and is killed", self.child.name, self._within_s)
        self._is_ending = self._is_ending or overdue or not self.child.is_alive
        return self._is_ending and self.child.kill_family()
