"""The summary: put together, and sent once a period whoever asks (spec T2)."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from levqor.domain.alerts import Severity
from levqor.domain.errors import DeliveryError
from levqor.domain.schedule import RunState
from levqor.domain.summary import Letter, Pages, Period, Summary, SummaryKind, SummaryState
from levqor.monitors.summary_reading import Sources, gather
from levqor.policies.summary import compose
from levqor.ports import Clock, Letters
from levqor.store.outbox import enqueue
from levqor.store.schedule import open_runs
from levqor.store.summaries import Claim, Taken, claim, note_delivered, settle

RETRY_WAITS_S = (5.0, 30.0)
"""A server that is busy for a moment is asked again after these."""
TRIES_AT_MOST_S = 300.0
"""Nothing is tried anew after so long: the schedule ends a run after ten minutes."""
JOBS = {SummaryKind.DAILY: "summary", SummaryKind.WEEKLY: "summary-weekly"}
ALERT = "summary"

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SummaryParts:
    """What the desk works with; `bootstrap` hands it in."""

    sources: Sources
    channels: Sequence[Letters]
    render: Callable[[Summary], Pages]
    clock: Clock
    zone: ZoneInfo
    holder: str
    is_gone: Callable[[str], bool]
    retry_waits_s: tuple[float, ...] = RETRY_WAITS_S


class SummaryDesk:
    """What the command line asks; needs no running service."""

    def __init__(self, parts: SummaryParts) -> None:
        self._parts = parts
        self._pause = threading.Event()

    @property
    def has_channel(self) -> bool:
        return bool(self._parts.channels)

    def summary(self, kind: SummaryKind) -> Summary:
        """Of the last 24 hours or 7 days. Changes nothing. Raises DatabaseDown."""
        period = Period(kind, self._parts.clock.now(), self._parts.zone)
        return compose(gather(self._parts.sources, period), period)

    def render(self, summary: Summary) -> Pages:
        return self._parts.render(summary)

    def send(self, summary: Summary, pages: Pages, *, anew: bool = False) -> Answer:
        """Send it, unless its period's was sent or is being sent; `anew`: also if it was sent. Raises DatabaseDown.

        `state`: sent, failed, already_sent, being_sent or no_channel; `channels`: what each came to.
        """
        if not self._parts.channels:
            return {"state": "no_channel", "channels": []}
        parts, now = self._parts, self._parts.clock.now()
        period = Period(summary.kind, summary.at, parts.zone)
        with parts.sources.database.write() as connection:
            mine = claim(connection, now, period, parts.holder, parts.is_gone, anew=anew)
        if isinstance(mine, Taken):
            state = "already_sent" if mine.state is SummaryState.SENT else "being_sent"
            return {"state": state, "channels": [], "at": mine.at.isoformat()}
        letter = Letter(summary.subject, pages, mine.token, now)
        outcomes = self._deliver(mine, letter)
        return self._settle(mine, outcomes)

    def _deliver(self, mine: Claim, letter: Letter) -> list[Answer]:
        """Each channel that does not have it yet; what was taken is written down at once."""
        deadline = self._parts.clock.monotonic() + TRIES_AT_MOST_S
        delivered, outcomes = list(mine.delivered), []
        for channel in self._parts.channels:
            if channel.name in mine.delivered:
                continue
            outcome = self._try(channel, letter, deadline)
            outcomes.append(outcome)
            if outcome["is_sent"]:
                delivered.append(channel.name)
                with self._parts.sources.database.write() as connection:
                    note_delivered(connection, mine, delivered)
        return outcomes

    def _try(self, channel: Letters, letter: Letter, deadline: float) -> Answer:
        clock, problem = self._parts.clock, ""
        for wait_s in (0.0, *self._parts.retry_waits_s):
            if wait_s and (clock.monotonic() + wait_s > deadline or self._pause.wait(wait_s)):
                break
            try:
                remark = channel.send(letter)
            except DeliveryError as error:
                problem = f"{error}; it may have arrived all the same" if error.unknown else str(error)
                if error.permanent or error.unknown:
                    break
            else:
                return {"channel": channel.name, "is_sent": True, "problem": remark}
        return {"channel": channel.name, "is_sent": False, "problem": problem}

    def _settle(self, mine: Claim, outcomes: Sequence[Answer]) -> Answer:
        is_sent = all(outcome["is_sent"] for outcome in outcomes)
        state = SummaryState.SENT if is_sent else SummaryState.FAILED
        said = "; ".join(f"{outcome['channel']}: {outcome['problem']}" for outcome in outcomes if outcome["problem"])
        now = self._parts.clock.now()
        with self._parts.sources.database.write() as connection:
            settle(connection, now, mine, state, said or None)
            by_schedule = {run.job for run in open_runs(connection) if run.state is RunState.RUNNING}
            # A run of the schedule that fails is told by the schedule.
            if said and JOBS[mine.period.kind] not in by_schedule:
                kind = mine.period.kind
                how = "was not sent to all" if not is_sent else "did not reach everybody"
                enqueue(
                    connection,
                    now,
                    key=f"summary:{kind}",
                    kind=ALERT,
                    severity=Severity.TICKET,
                    title=f"The {kind} summary {how}",
                    text=f"{mine.period.key}: {said}. `levqor summary --type {kind}` tries again.",
                )
        return {"state": state.value, "channels": list(outcomes)}
