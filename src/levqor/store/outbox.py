"""The outbox: an alert is a row of the transaction that has cause for it, so neither is ever without the other (spec I8).

A row of `alert_deliveries` is one alert on one channel. Its `due_in_s` is the one timer it has, counted down on the leader's
monotonic clock: until the next attempt, or, once it is settled, until the next reminder; `NOTHING_DUE` where none is due.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from levqor.domain.alerts import Alert, Delivery, Kind, Severity, State
from levqor.policies.alerting import NOTHING_DUE, AlertRules, Verdict
from levqor.store.schema import alert_deliveries, alerts, episodes

UNROUTED = "*"
"""The channel of a delivery that the courier has yet to hand to the channels that there are."""
NO_CHANNEL = "none"
RESOLVED_HOLD_S = AlertRules().resolved_hold_s
KEEP = timedelta(days=90)
ERROR_LENGTH = 500

UNSETTLED = (State.PENDING, State.SENDING)


def enqueue(
    connection: Connection,
    now: datetime,
    *,
    key: str,
    kind: str,
    severity: str,
    title: str,
    text: str,
    episode_id: int | None = None,
    incident_id: int | None = None,
) -> int | None:
    """Have an alert told once this transaction commits; its number, or None where the same has been said already.

    The same: equal key, kind, episode and incident; without either of the latter two, only while the earlier one is on its way.
    """
    if kind == Kind.OPENED and episode_id is not None and _goes_on(connection, key, episode_id):
        return None
    if _is_said(connection, key, kind, episode_id, incident_id):
        return None
    values = {"key": key[:200], "kind": kind[:16], "severity": Severity(severity).value, "title": title[:200], "text": text[:4_000]}
    links = {"created_at": now, "episode_id": episode_id, "incident_id": incident_id}
    number = int(connection.execute(insert(alerts).values(**values, **links).returning(alerts.c.id)).scalar_one())
    add_delivery(connection, number, UNROUTED, RESOLVED_HOLD_S if kind == Kind.RESOLVED else 0.0)
    return number


def add_delivery(connection: Connection, alert_id: int, channel: str, due_in_s: float) -> None:
    """One more channel that an alert goes through."""
    values = {"alert_id": alert_id, "channel": channel, "state": State.PENDING, "attempts": 0, "due_in_s": due_in_s}
    connection.execute(insert(alert_deliveries).values(**values))


def _is_said(connection: Connection, key: str, kind: str, episode_id: int | None, incident_id: int | None) -> bool:
    query = select(alerts.c.id).where(alerts.c.key == key[:200], alerts.c.kind == kind[:16])
    if episode_id is None and incident_id is None:
        query = query.join(alert_deliveries, alert_deliveries.c.alert_id == alerts.c.id).where(alert_deliveries.c.state.in_(UNSETTLED))
    query = query.where(alerts.c.episode_id.is_not_distinct_from(episode_id), alerts.c.incident_id.is_not_distinct_from(incident_id))
    return connection.execute(query.limit(1)).first() is not None


def _goes_on(connection: Connection, key: str, episode_id: int) -> bool:
    """Has the cause come back before anybody was told that it had gone? Then the earlier alert speaks for this episode too."""
    tried = select(alert_deliveries.c.alert_id).where((alert_deliveries.c.state != State.PENDING) | (alert_deliveries.c.attempts > 0))
    held = (
        select(alerts.c.id, alerts.c.episode_id)
        .where(alerts.c.key == key[:200], alerts.c.kind == Kind.RESOLVED, alerts.c.id.not_in(tried))
        .order_by(alerts.c.id.desc())
    )
    row = connection.execute(held.limit(1)).first()
    if row is None:
        return False
    connection.execute(delete(alert_deliveries).where(alert_deliveries.c.alert_id == row.id))
    connection.execute(delete(alerts).where(alerts.c.id == row.id))
    moved = connection.execute(update(alerts).where(alerts.c.episode_id == row.episode_id).values(episode_id=episode_id))
    return moved.rowcount > 0


def unfinished(connection: Connection) -> list[Delivery]:
    """Every delivery that still has an attempt to come or under way, the oldest alert first."""
    open_states = (alert_deliveries.c.state.in_(UNSETTLED)) | (
        (alert_deliveries.c.state == State.UNKNOWN) & (alert_deliveries.c.due_in_s >= 0)
    )
    return [_delivery(row) for row in connection.execute(_joined().where(open_states).order_by(alerts.c.id, alert_deliveries.c.id))]


def _joined() -> Select[Any]:
    still_open = (episodes.c.id.is_not(None) & episodes.c.closed_at.is_(None)).label("is_episode_open")
    columns = [column.label(f"its_{column.name}") for column in alerts.c]
    return (
        select(alert_deliveries, *columns, still_open)
        .join(alerts, alerts.c.id == alert_deliveries.c.alert_id)
        .outerjoin(episodes, episodes.c.id == alerts.c.episode_id)
    )


def _delivery(row: Row[Any]) -> Delivery:
    alert = Alert(
        id=row.alert_id,
        key=row.its_key,
        kind=row.its_kind,
        severity=Severity(row.its_severity),
        title=row.its_title,
        text=row.its_text,
        created_at=row.its_created_at,
        is_repeat=row.state == State.UNKNOWN,
    )
    return Delivery(
        id=row.id,
        alert=alert,
        channel=row.channel,
        state=State(row.state),
        attempts=row.attempts,
        due_in_s=row.due_in_s,
        episode_id=row.its_episode_id,
        is_episode_open=bool(row.is_episode_open),
    )


def count_down(connection: Connection, elapsed_s: float) -> None:
    """Let time pass for every timer, within the leader's fenced transaction (spec P1)."""
    if elapsed_s <= 0:
        return
    due = alert_deliveries.c.due_in_s
    # Two statements, since the databases disagree on the name of the greater of two numbers; in this order no row is counted twice.
    connection.execute(update(alert_deliveries).where(due > 0, due <= elapsed_s).values(due_in_s=0.0))
    connection.execute(update(alert_deliveries).where(due > elapsed_s).values(due_in_s=due - elapsed_s))


def route(connection: Connection, channels: Sequence[str]) -> None:
    """Hand what was enqueued to each channel; without any, say that nobody was told."""
    rows = connection.execute(select(alert_deliveries).where(alert_deliveries.c.channel == UNROUTED)).all()
    for row in rows:
        connection.execute(delete(alert_deliveries).where(alert_deliveries.c.id == row.id))
        for channel in channels:
            add_delivery(connection, row.alert_id, channel, row.due_in_s)
        if not channels:
            _add_untold(connection, row.alert_id)


def _add_untold(connection: Connection, alert_id: int) -> None:
    values = {"alert_id": alert_id, "channel": NO_CHANNEL, "state": State.FAILED, "attempts": 0, "due_in_s": NOTHING_DUE}
    connection.execute(insert(alert_deliveries).values(**values, error="no channel is configured"))


def meet_channels(connection: Connection, channels: Sequence[str]) -> None:
    """Once per start: channels that have gone are given up, and each that there is learns of every episode that is open."""
    gone = alert_deliveries.c.channel.not_in([*channels, UNROUTED]) & (
        alert_deliveries.c.state.in_(UNSETTLED) | (alert_deliveries.c.due_in_s >= 0)
    )
    values = {"state": State.FAILED, "due_in_s": NOTHING_DUE, "error": "this channel is no longer configured"}
    connection.execute(update(alert_deliveries).where(gone).values(**values))
    query = (
        select(alerts.c.id)
        .join(episodes, episodes.c.id == alerts.c.episode_id)
        .where(episodes.c.closed_at.is_(None), alerts.c.kind == Kind.OPENED)
    )
    for alert_id in connection.execute(query.order_by(alerts.c.id)).scalars().all():
        _tell_untold(connection, alert_id, channels)


def _tell_untold(connection: Connection, alert_id: int, channels: Sequence[str]) -> None:
    here = alert_deliveries.c.alert_id == alert_id
    rows = connection.execute(select(alert_deliveries.c.channel, alert_deliveries.c.state).where(here)).all()
    states = {row.channel: row.state for row in rows}
    if UNROUTED in states:
        return
    for channel in channels:
        if channel not in states:
            add_delivery(connection, alert_id, channel, 0.0)
        elif states[channel] == State.FAILED:
            # The start may have mended what made it fail.
            again = here & (alert_deliveries.c.channel == channel)
            connection.execute(update(alert_deliveries).where(again).values(state=State.PENDING, attempts=0, due_in_s=0.0))


def claim(connection: Connection, delivery: Delivery, now: datetime) -> bool:
    """Say that an attempt begins, before it does; False where the row has changed meanwhile."""
    mine = (
        (alert_deliveries.c.id == delivery.id)
        & (alert_deliveries.c.state == delivery.state)
        & (alert_deliveries.c.attempts == delivery.attempts)
    )
    values = {"state": State.SENDING, "attempts": delivery.attempts + 1, "due_in_s": NOTHING_DUE, "last_at": now}
    return connection.execute(update(alert_deliveries).where(mine).values(**values)).rowcount == 1


def settle(connection: Connection, delivery: Delivery, judged: Verdict, now: datetime) -> bool:
    """Write what became of the attempt that `claim` began; False where a later leader has taken it for lost."""
    mine = (
        (alert_deliveries.c.id == delivery.id)
        & (alert_deliveries.c.state == State.SENDING)
        & (alert_deliveries.c.attempts == delivery.attempts + 1)
    )
    error = None if judged.error is None else judged.error[:ERROR_LENGTH]
    values = {"state": judged.state, "due_in_s": judged.due_in_s, "error": error, "last_at": now}
    return connection.execute(update(alert_deliveries).where(mine).values(**values)).rowcount == 1


def adopt(connection: Connection, in_flight: Sequence[int]) -> int:
    """Attempts that nobody is at any more: their leader died, so they are unknown and due at once; how many."""
    lost = (alert_deliveries.c.state == State.SENDING) & alert_deliveries.c.id.not_in(in_flight)
    values = {"state": State.UNKNOWN, "due_in_s": 0.0, "error": "the sender ended before an answer came"}
    return connection.execute(update(alert_deliveries).where(lost).values(**values)).rowcount


def count_reminders(connection: Connection, episode_id: int, channel: str) -> tuple[int, bool]:
    """How many reminders an episode has had on a channel, and whether one is still to come."""
    query = (
        select(alert_deliveries.c.state)
        .join(alerts, alerts.c.id == alert_deliveries.c.alert_id)
        .where(alerts.c.episode_id == episode_id, alerts.c.kind == Kind.REMINDER, alert_deliveries.c.channel == channel)
    )
    states = connection.execute(query).scalars().all()
    return len(states), State.PENDING in states


def add_reminder(connection: Connection, now: datetime, of: Delivery, number: int, due_in_s: float) -> None:
    """The next reminder of an episode on a channel; channels share the alert of the same number."""
    title = f"Still open, reminder {number}: {of.alert.key}"[:200]
    query = select(alerts.c.id).where(alerts.c.episode_id == of.episode_id, alerts.c.kind == Kind.REMINDER, alerts.c.title == title)
    alert_id = connection.execute(query).scalar_one_or_none()
    if alert_id is None:
        values = {"key": of.alert.key, "kind": Kind.REMINDER, "severity": of.alert.severity.value, "title": title, "text": of.alert.text}
        links = {"created_at": now, "episode_id": of.episode_id}
        alert_id = connection.execute(insert(alerts).values(**values, **links).returning(alerts.c.id)).scalar_one()
    add_delivery(connection, int(alert_id), of.channel, due_in_s)


def drop_reminders(connection: Connection, episode_id: int, channel: str) -> None:
    """Reminders to come of an episode whose end is being told."""
    ids = select(alerts.c.id).where(alerts.c.episode_id == episode_id, alerts.c.kind == Kind.REMINDER)
    to_come = (alert_deliveries.c.alert_id.in_(ids)) & (alert_deliveries.c.channel == channel) & (alert_deliveries.c.state == State.PENDING)
    connection.execute(delete(alert_deliveries).where(to_come))
    _drop_bare(connection, ids)


def _drop_bare(connection: Connection, ids: Select[Any]) -> None:
    """Alerts among `ids` that no channel has anything to do with any more."""
    connection.execute(delete(alerts).where(alerts.c.id.in_(ids), alerts.c.id.not_in(select(alert_deliveries.c.alert_id))))


def list_alerts(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Alerts with their deliveries, the newest first."""
    rows = connection.execute(select(alerts).order_by(alerts.c.id.desc()).limit(limit)).mappings().all()
    deliveries = _deliveries_of(connection, [row["id"] for row in rows])
    return [{**row, "created_at": row["created_at"].isoformat(), "deliveries": deliveries.get(row["id"], [])} for row in rows]


def read_deliveries(connection: Connection, alert_id: int) -> list[dict[str, Any]]:
    """What has become of one alert, by channel."""
    return _deliveries_of(connection, [alert_id]).get(alert_id, [])


def _deliveries_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    query = select(alert_deliveries).where(alert_deliveries.c.alert_id.in_(ids)).order_by(alert_deliveries.c.channel)
    for row in connection.execute(query):
        found.setdefault(row.alert_id, []).append(
            {
                "channel": None if row.channel == UNROUTED else row.channel,
                "state": row.state,
                "attempts": row.attempts,
                "due_in_s": row.due_in_s if row.due_in_s >= 0 else None,
                "last_at": row.last_at and row.last_at.isoformat(),
                "error": row.error,
            }
        )
    return found


def channel_states(connection: Connection, channels: Sequence[str]) -> list[dict[str, Any]]:
    """For each channel how many deliveries are in which state, and the last attempt's outcome."""
    counted = select(alert_deliveries.c.channel, alert_deliveries.c.state, func.count().label("number"))
    counts = connection.execute(counted.group_by(alert_deliveries.c.channel, alert_deliveries.c.state)).all()
    return [
        {"channel": name, **{state.value: 0 for state in State}, **{row.state: row.number for row in counts if row.channel == name}}
        for name in channels
    ]


def purge_alerts(connection: Connection, now: datetime) -> None:
    """Drop what has been kept long enough, and reminders of episodes that ended without a word."""
    living = select(episodes.c.id).where(episodes.c.closed_at.is_(None) | (episodes.c.closed_at > now - timedelta(days=2)))
    stale = select(alerts.c.id).where(alerts.c.kind == Kind.REMINDER, alerts.c.episode_id.not_in(living))
    pending = alert_deliveries.c.alert_id.in_(stale) & (alert_deliveries.c.state == State.PENDING)
    connection.execute(delete(alert_deliveries).where(pending))
    on_its_way = select(alert_deliveries.c.alert_id).where(alert_deliveries.c.state.in_(UNSETTLED) | (alert_deliveries.c.due_in_s >= 0))
    old = select(alerts.c.id).where(alerts.c.created_at < now - KEEP)
    connection.execute(delete(alert_deliveries).where(alert_deliveries.c.alert_id.in_(old.where(alerts.c.id.not_in(on_its_way)))))
    _drop_bare(connection, old)
    _drop_bare(connection, stale)
