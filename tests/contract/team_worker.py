"""A worker class of a team's own, which reports."""

from typing import Any

import rq

import levqor.rq


class Mine(levqor.rq.Reported, rq.Worker):
    """Says something of its own at each job."""

    def execute_job(self, *args: Any, **kwargs: Any) -> Any:
        self.log.warning("my own worker")
        return super().execute_job(*args, **kwargs)
