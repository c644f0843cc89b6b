"""A worker that is told to stop loses no job, with RQ 1.16 to 3.

RQ's own worker is torn out of its wait by SIGTERM; a job that the broker handed to it in that instant is then in no queue any more, and
nobody runs it. Here the wait is short instead, and a worker that is to stop looks for no further job once it is over.
"""

from typing import Any

import rq.exceptions
import rq.worker

StopRequested: type[Exception] = getattr(rq.exceptions, "StopRequested", None) or vars(rq.worker)["StopRequested"]
"""RQ 1 keeps it beside its worker."""

WAIT_S = 1
"""One wait for a job; a worker that is told to stop while it waits ends at most so much later."""


class Drained:
    """For a worker class of your own: `class Mine(levqor.rq.Drained, rq.Worker)`."""

    _is_draining = False

    @property
    def dequeue_timeout(self) -> int:
        return WAIT_S

    def _shutdown(self, *args: Any, **kwargs: Any) -> None:
        """Called by RQ's handler of SIGTERM: in a job as RQ does, else nothing but a note."""
        self._is_draining = self._stop_requested = True
        if self._is_at_work:
            super()._shutdown(*args, **kwargs)  # type: ignore[misc]

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """RQ asks this before each wait for a job, and never between a job's arrival and its start."""
        if self._is_draining and not self._is_at_work:
            raise StopRequested
        return bool(super().should_run_maintenance_tasks)  # type: ignore[misc]

    @property
    def _is_at_work(self) -> bool:
        return str(self.get_state()) in ("busy", "WorkerStatus.BUSY")  # type: ignore[attr-defined]
