"""Is the service within its objectives over its shortest window? What a recovery is judged by (spec W5)."""

from dataclasses import dataclass

from levqor.monitors.slo_watchdog import ERRORS, Watchdog
from levqor.policies.recovery import ERROR_RATE
from levqor.policies.slo import Count, Objective, Standing, judge
from levqor.store.telemetry import Telemetry

ATTEMPTS = Objective("attempts", ERROR_RATE, "attempts of jobs failed")


@dataclass(frozen=True, slots=True)
class SloHealth:
    """The watchdog's judgement of requests and probes, and the same kind of judgement of jobs."""

    watchdog: Watchdog
    telemetry: Telemetry

    def standing(self) -> Standing:
        """Availability that nobody probes is not held against a recovery; requests that nobody counts are. Raises StoreDown."""
        series, width = min(self.watchdog.objectives.series.items(), key=lambda item: item[1])
        judged = self.watchdog.now()[series]
        jobs = self.telemetry.jobs_window(width.total_seconds())
        count = Count(None, None, jobs.problem) if jobs.problem is not None else Count(max(jobs.runs.total, jobs.failures), jobs.failures)
        attempts = judge(count, ATTEMPTS)
        if Standing.BREACHED in {attempts.state, *(found.state for found in judged.values())}:
            return Standing.BREACHED
        is_unknown = Standing.UNKNOWN in (attempts.state, judged[ERRORS].state)
        return Standing.UNKNOWN if is_unknown else Standing.MET
