"""Which summaries were sent: a period is claimed by a row before anything leaves, so that it is sent once (spec T2)."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from levqor.domain.summary import Period, SummaryState
from levqor.store.schema import summaries

KEEP = timedelta(days=400)
LOST_AFTER = timedelta(hours=1)
"""A sending of another machine that began so long ago is at an end: all attempts together take minutes."""
ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one period's summary, to all channels but those that have it."""

    period: Period
    token: str
    holder: str
    delivered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody has sent it, or is about to."""

    state: SummaryState
    at: datetime


def claim(
    connection: Connection, now: datetime, period: Period, holder: str, is_gone: Callable[[str], bool], *, anew: bool = False
) -> Claim | Taken:
    """Claim a period. One that failed, or whose sender has died, can be claimed again; `anew`: also one that was sent."""
    begun = {"state": SummaryState.SENDING, "token": str(uuid.uuid4()), "holder": holder, "claimed_at": now, "delivered": []}
    try:
        with connection.begin_nested():
            connection.execute(insert(summaries).values(kind=period.kind.value, period=period.key, **begun))
    except IntegrityError:
        return _claim_again(connection, now, period, holder, is_gone, anew=anew)
    return Claim(period, str(begun["token"]), holder)


def _claim_again(
    connection: Connection, now: datetime, period: Period, holder: str, is_gone: Callable[[str], bool], *, anew: bool
) -> Claim | Taken:
    # Locked on PostgreSQL; on SQLite a write transaction is alone from its start.
    row = connection.execute(select(summaries).where(*_of(period)).with_for_update()).one()
    state = SummaryState(row.state)
    if state is SummaryState.SENDING and not _has_died(row, now, is_gone):
        return Taken(state, row.claimed_at)
    if state is SummaryState.SENT and not anew:
        return Taken(state, row.sent_at)
    token, delivered = (str(uuid.uuid4()), ()) if state is SummaryState.SENT else (row.token, tuple(row.delivered))
    values = {"state": SummaryState.SENDING, "token": token, "holder": holder, "claimed_at": now, "delivered": list(delivered)}
    connection.execute(update(summaries).where(*_of(period)).values(**values, sent_at=None, error=None))
    return Claim(period, token, holder, delivered)


def _has_died(row: Row[tuple[object, ...]], now: datetime, is_gone: Callable[[str], bool]) -> bool:
    return is_gone(row.holder) or now - row.claimed_at > LOST_AFTER


def note_delivered(connection: Connection, mine: Claim, channels: Sequence[str]) -> None:
    """Write down which channels have it, as soon as they have it."""
    connection.execute(update(summaries).where(*_held(mine)).values(delivered=list(channels)))


def settle(connection: Connection, now: datetime, mine: Claim, state: SummaryState, error: str | None) -> bool:
    """Write what became of it; False where another has taken the claim for lost."""
    values = {"state": state, "sent_at": now if state is SummaryState.SENT else None, "error": error and error[:ERROR_LENGTH]}
    return connection.execute(update(summaries).where(*_held(mine)).values(**values)).rowcount == 1


def read_summary(connection: Connection, period: Period) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(summaries).where(*_of(period))).one_or_none()


def purge_summaries(connection: Connection, now: datetime) -> None:
    connection.execute(delete(summaries).where(summaries.c.claimed_at < now - KEEP))


def _of(period: Period) -> Sequence[ColumnElement[bool]]:
    return summaries.c.kind == period.kind.value, summaries.c.period == period.key


def _held(mine: Claim) -> Sequence[ColumnElement[bool]]:
    is_mine = summaries.c.holder == mine.holder, summaries.c.token == mine.token
    return *_of(mine.period), *is_mine, summaries.c.state == SummaryState.SENDING
