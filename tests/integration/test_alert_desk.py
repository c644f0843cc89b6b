"""I8: asking what was told, a test that proves the whole way, and the loop whose episodes are told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.test_autopilot import TICK_S, Plane
from tests.integration.test_courier import Chat, Desk

from levqor.domain.errors import DeliveryError, DependencyDown, UsageError
from levqor.monitors.alert_desk import AlertDesk
from levqor.monitors.alerting import Courier
from levqor.store.audit import list_changes
from levqor.store.database import Database
from levqor.store.outbox import list_alerts


class Running:
    """A courier in its thread, and the desk of a web process."""

    def __init__(self, database: Database, *channels: Chat) -> None:
        self.leader = Desk(database, *channels)
        self.courier: Courier = self.leader.courier
        self.courier.start()
        self.desk = AlertDesk(database, self.leader.clock, [channel.name for channel in channels], self.courier.wake)


@pytest.fixture
def chats() -> tuple[Chat, Chat]:
    return Chat("one"), Chat("two")


@pytest.fixture
def running(database: Database, chats: tuple[Chat, Chat]) -> Iterator[Running]:
    running = Running(database, *chats)
    yield running
    running.courier.stop()


def test_a_test_goes_through_every_channel_and_is_audited(running: Running, chats: tuple[Chat, Chat], database: Database) -> None:
    answer = running.desk.test("ana")
    assert (answer["ok"], [(row["channel"], row["state"]) for row in answer["deliveries"]]) == (True, [("one", "sent"), ("two", "sent")])
    assert [chat.got[0].kind for chat in chats] == ["test", "test"]
    with database.read() as connection:
        assert [(row["actor"], row["what"]) for row in list_changes(connection, 5)] == [("ana", "alerts test")]


def test_a_test_says_why_a_channel_does_not_work_and_is_not_tried_again(running: Running, chats: tuple[Chat, Chat]) -> None:
    chats[1].failures = [DeliveryError("Telegram answered 401: TELEGRAM_BOT_TOKEN is not a bot's")]
    answer = running.desk.test("ana")
    assert answer["ok"] is False
    assert [(row["state"], row["error"]) for row in answer["deliveries"]] == [
        ("sent", None),
        ("failed", "Telegram answered 401: TELEGRAM_BOT_TOKEN is not a bot's"),
    ]
    listed = running.desk.list()
    assert listed["channels"][1] == {"channel": "two", "pending": 0, "sending": 0, "sent": 0, "failed": 1, "unknown": 0}
    assert listed["alerts"][0]["deliveries"] == answer["deliveries"]


def test_without_a_channel_there_is_nothing_to_test(database: Database) -> None:
    leader = Desk(database)
    with pytest.raises(UsageError, match="TELEGRAM_BOT_TOKEN"):
        AlertDesk(database, leader.clock, [], lambda: None).test("ana")
    assert leader.rows() == []


def test_without_a_leader_it_says_that_the_test_waits(database: Database) -> None:
    leader = Desk(database, Chat("one"))
    desk = AlertDesk(database, leader.clock, ["one"], lambda: None)
    desk._closing.wait = lambda timeout=None: leader.clock.advance(timeout or 0) is not None  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(DependencyDown, match="nobody leads"):
        desk.test("ana")
    leader.turn()
    assert leader.states() == ["sent"]


def test_an_episode_of_the_loop_is_told_once_in_the_tick_that_opens_it(database: Database, store_url: str, tmp_path: Path) -> None:
    plane = Plane(database, store_url, tmp_path)
    plane.ticks(1)
    plane.flags_path.write_text("{", encoding="utf-8")
    plane.ticks(20)
    with database.read() as connection:
        told = list_alerts(connection, 50)
    assert [(row["key"], row["kind"], row["severity"]) for row in told if row["key"] == "flags"] == [("flags", "opened", "ticket")]
    open_keys = {row["key"] for row in plane.operations.episodes()}
    assert {row["key"] for row in told} == open_keys
    plane.flags_path.write_text('{"WORKER_COUNT": 2}', encoding="utf-8")
    plane.ticks(int(40 / TICK_S))
    with database.read() as connection:
        kinds = [row["kind"] for row in list_alerts(connection, 50) if row["key"] == "flags"]
    assert kinds == ["resolved", "opened"]
