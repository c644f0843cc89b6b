"""I8: when which alert goes through which channel."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from levqor.domain.alerts import Alert, Delivery, Kind, Severity, State
from levqor.domain.errors import DeliveryError
from levqor.policies.alerting import NOTHING_DUE, AlertRules, Bucket, choose, reminder_wait_s, retry_wait_s, verdict

RULES = AlertRules()
FULL = {"chat": Bucket(6.0, 0.0), "hook": Bucket(6.0, 0.0)}


def delivery(
    number: int,
    *,
    channel: str = "chat",
    severity: Severity = Severity.PAGE,
    kind: str = Kind.OPENED,
    state: State = State.PENDING,
    attempts: int = 0,
    due_in_s: float = 0.0,
    episode: int | None = None,
    is_open: bool = True,
) -> Delivery:
    alert = Alert(id=number, key="k", kind=kind, severity=severity, title="t", text="x", created_at=datetime(2026, 3, 1, tzinfo=UTC))
    return Delivery(
        id=number,
        alert=alert,
        channel=channel,
        state=state,
        attempts=attempts,
        due_in_s=due_in_s,
        episode_id=episode,
        is_episode_open=is_open,
    )


def chosen(*deliveries: Delivery, elapsed_s: float = 0.0) -> list[int]:
    return [each.id for each in choose(deliveries, FULL, elapsed_s)]


def test_the_promised_defaults() -> None:
    assert RULES.reminders_s == (3600.0, 14400.0, 86400.0)
    assert (RULES.retry_first_s, RULES.retry_most_s, RULES.per_minute, RULES.resolved_hold_s) == (5.0, 900.0, 6, 300.0)


@pytest.mark.parametrize(("told", "wait_s"), [(0, 3600.0), (1, 14400.0), (2, 86400.0), (3, 86400.0), (50, 86400.0)])
def test_reminders_grow_rarer(told: int, wait_s: float) -> None:
    assert reminder_wait_s(RULES, told) == wait_s


@pytest.mark.parametrize(
    ("attempts", "jitter", "wait_s"),
    [(1, 0.0, 5.0), (1, 1.0, 5.0), (2, 0.0, 10.0), (2, 1.0, 5.0), (8, 0.0, 640.0), (9, 0.0, 900.0), (9, 1.0, 450.0), (5000, 0.0, 900.0)],
)
def test_retries_wait_from_five_seconds_to_a_quarter_of_an_hour(attempts: int, jitter: float, wait_s: float) -> None:
    assert retry_wait_s(RULES, attempts, jitter) == wait_s


@pytest.mark.parametrize(
    ("before", "failure", "state", "due_in_s"),
    [
        pytest.param(delivery(1), None, State.SENT, NOTHING_DUE, id="delivered"),
        pytest.param(delivery(1, state=State.UNKNOWN, attempts=1), None, State.SENT, NOTHING_DUE, id="the repeat is delivered"),
        pytest.param(delivery(1), DeliveryError("x"), State.PENDING, 5.0, id="tried again"),
        pytest.param(delivery(1, attempts=98), DeliveryError("x"), State.PENDING, 900.0, id="the last but one"),
        pytest.param(delivery(1, attempts=99), DeliveryError("x"), State.FAILED, NOTHING_DUE, id="the last"),
        pytest.param(delivery(1), DeliveryError("x", retry_after_s=40.0), State.PENDING, 40.0, id="asked to wait"),
        pytest.param(delivery(1), DeliveryError("x", retry_after_s=1.0), State.PENDING, 5.0, id="asked to wait for less"),
        pytest.param(delivery(1), DeliveryError("x", retry_after_s=1e9), State.PENDING, 86400.0, id="asked to wait for years"),
        pytest.param(delivery(1), DeliveryError("x", permanent=True), State.FAILED, NOTHING_DUE, id="refused for good"),
        pytest.param(delivery(1), DeliveryError("x", unknown=True), State.UNKNOWN, 60.0, id="no answer: told once more"),
        pytest.param(
            delivery(1, state=State.UNKNOWN, attempts=1), DeliveryError("x", unknown=True), State.UNKNOWN, NOTHING_DUE, id="and no oftener"
        ),
        pytest.param(delivery(1, state=State.UNKNOWN, attempts=1), DeliveryError("x"), State.UNKNOWN, 10.0, id="the repeat is tried again"),
        pytest.param(
            delivery(1, state=State.UNKNOWN, attempts=1),
            DeliveryError("x", permanent=True),
            State.UNKNOWN,
            NOTHING_DUE,
            id="repeat refused",
        ),
        pytest.param(delivery(1, kind=Kind.TEST), DeliveryError("x"), State.FAILED, NOTHING_DUE, id="a test is tried once"),
    ],
)
def test_what_becomes_of_a_delivery(before: Delivery, failure: DeliveryError | None, state: State, due_in_s: float) -> None:
    judged = verdict(before, failure, RULES, 0.0)
    assert (judged.state, judged.due_in_s) == (state, due_in_s)
    assert judged.error == (None if failure is None else "x")


def test_the_gravest_goes_first_then_the_oldest() -> None:
    info, ticket = delivery(1, severity=Severity.INFO), delivery(2, severity=Severity.TICKET)
    page, later_page = delivery(3), delivery(4)
    assert chosen(info, ticket, page, later_page) == [3]
    assert chosen(info, ticket) == [2]
    assert chosen(later_page, page) == [3]


def test_channels_do_not_wait_for_each_other() -> None:
    assert sorted(chosen(delivery(1), delivery(2), delivery(3, channel="hook"))) == [1, 3]
    assert [each.id for each in choose([delivery(1), delivery(2, channel="hook")], {"hook": FULL["hook"]}, 0.0)] == [2]


@pytest.mark.parametrize(("due_in_s", "elapsed_s", "is_due"), [(0.0, 0.0, True), (10.0, 9.9, False), (10.0, 10.0, True)])
def test_what_is_not_due_waits(due_in_s: float, elapsed_s: float, is_due: bool) -> None:
    assert bool(chosen(delivery(1, due_in_s=due_in_s), elapsed_s=elapsed_s)) is is_due


def test_what_is_settled_is_not_sent_again() -> None:
    for state in (State.SENT, State.FAILED, State.UNKNOWN, State.SENDING):
        assert chosen(delivery(1, state=state, due_in_s=NOTHING_DUE)) == []
    assert chosen(delivery(1, state=State.UNKNOWN)) == [1]


def test_nobody_is_told_of_the_end_before_the_beginning() -> None:
    resolved = delivery(2, kind=Kind.RESOLVED, severity=Severity.PAGE, episode=1, is_open=False)
    waiting = delivery(1, severity=Severity.PAGE, episode=1, due_in_s=60.0)
    assert chosen(waiting, resolved) == []
    assert chosen(replace(waiting, state=State.SENDING, due_in_s=NOTHING_DUE), resolved) == []
    assert chosen(replace(waiting, state=State.FAILED, due_in_s=NOTHING_DUE), resolved) == [2]
    assert chosen(replace(waiting, channel="hook"), resolved) == [2], "another channel's story"


def test_a_reminder_is_due_only_while_its_episode_is_open() -> None:
    reminder = delivery(2, kind=Kind.REMINDER, episode=1)
    assert chosen(reminder) == [2]
    assert chosen(replace(reminder, is_episode_open=False)) == []
    resolved = delivery(3, kind=Kind.RESOLVED, episode=1, is_open=False)
    assert chosen(replace(reminder, is_episode_open=False), resolved) == [3], "a reminder holds up no end"


def test_a_channel_has_six_messages_a_minute() -> None:
    bucket, sent = Bucket(6.0, 0.0), 0
    for second in range(60):
        bucket = bucket.refilled(float(second), 6)
        while bucket.has_token:
            bucket, sent = bucket.spent(), sent + 1
    assert sent == 6 + 5, "six at once after a quiet time, then one each ten seconds"
    assert bucket.refilled(1e6, 6).tokens == 6.0
    assert choose([delivery(1)], {"chat": Bucket(0.99, 0.0)}, 0.0) == []
