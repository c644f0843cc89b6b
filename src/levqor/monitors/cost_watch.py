"""The leader's work about money beside the tick: keep the forecast good, tell budgets. In a thread, so that no decision waits for it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from levqor.domain.errors import DatabaseDown, NotTheLeader
from levqor.monitors.autoscale import Duty
from levqor.monitors.budget_alerts import BudgetAlerts
from levqor.monitors.episodes import TICKET, Causes
from levqor.monitors.forecasting import Forecasts
from levqor.ports import Clock
from levqor.store.leases import Lease

PERIOD_S = 2.0
BUDGETS_S = 60.0
IDLE_SHARE, IDLE_MOST_S = 20.0, 5.0
"""After a forecast that took 50 ms the next one waits a second, and never more than five: ledger writes may pour in."""
AFTER_FAILURE_S = 30.0

WORDS = {
    "forecast": "the forecast cannot be made, so the spend guard goes by the last one",
    "budgets": "the budget cannot be watched, so nothing would be told of it",
}
"""What stands still while one of them fails."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CostWatchParts:
    """What it works with; `bootstrap` hands it in."""

    forecasts: Forecasts
    budgets: BudgetAlerts
    lease: Lease
    clock: Clock


class CostWatch:
    """One per autopilot."""

    def __init__(self, parts: CostWatchParts) -> None:
        self._parts = parts
        self._thread: threading.Thread | None = None
        self._forecast_due = self._budgets_due = parts.clock.monotonic()
        self._work: dict[str, Callable[[], None]] = {"forecast": self._forecast, "budgets": self._tell}
        self._failed: dict[str, str] = {}

    def causes(self) -> Causes:
        """What an alert is due for: work that failed for a reason which waiting does not mend."""
        return {f"money:{name}": (TICKET, f"{WORDS[name]} ({why}); the log has it whole") for name, why in list(self._failed.items())}

    @property
    def duty(self) -> Duty:
        return Duty("costs", PERIOD_S, self.turn)

    def turn(self) -> None:
        """Begin what is due, unless the last work still goes on. Raises DatabaseDown."""
        if not self._parts.lease.is_trusted or (self._thread is not None and self._thread.is_alive()):
            return
        due = self._due()
        if due:
            self._thread = threading.Thread(target=lambda: self.work(due), name="costs", daemon=True)
            self._thread.start()

    def _due(self) -> list[str]:
        now, due = self._parts.clock.monotonic(), []
        if now >= self._forecast_due and not self._parts.forecasts.is_good():
            due.append("forecast")
        if now >= self._budgets_due:
            due.append("budgets")
        return due

    def work(self, due: list[str]) -> None:
        """Do it. It outlives any error: it logs, opens an alert where the error is none of a dependency's, and tries again."""
        for name in due:
            try:
                self._work[name]()
            except (DatabaseDown, NotTheLeader) as error:
                log.warning("money waits", work=name, reason=str(error))
            except Exception as error:
                self._failed[name] = type(error).__name__
                log.exception("money failed", work=name)
            else:
                self._failed.pop(name, None)

    def _forecast(self) -> None:
        clock = self._parts.clock
        began = clock.monotonic()
        self._forecast_due = began + AFTER_FAILURE_S
        self._parts.forecasts.renew(self._parts.lease.fenced, even_if_good=False)
        took_s = clock.monotonic() - began
        self._forecast_due = clock.monotonic() + min(took_s * IDLE_SHARE, IDLE_MOST_S)
        log.info("forecast made", took_ms=round(took_s * 1000))

    def _tell(self) -> None:
        self._budgets_due = self._parts.clock.monotonic() + BUDGETS_S
        self._parts.budgets.check()

    def close(self, within_s: float = 5.0) -> None:
        """Wait for the work under way."""
        if self._thread is not None:
            self._thread.join(within_s)
