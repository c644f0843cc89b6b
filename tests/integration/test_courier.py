"""I8, P1, P2: an alert is told, or it is known that it may not have been; on both databases, with real channels where it matters."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.clock import ManualClock
from tests.integration.alert_servers import Receiver, TelegramApi, silent_server
from tests.waiting import eventually

from levqor.alerts.telegram import Telegram
from levqor.alerts.webhook import Webhook
from levqor.domain.alerts import Alert
from levqor.domain.errors import DatabaseDown, DeliveryError, NotTheLeader
from levqor.monitors.alerting import CHECKPOINT_S, Courier, CourierParts, tell_episodes
from levqor.ports import Alerts
from levqor.store import outbox
from levqor.store.database import Database
from levqor.store.episodes import open_episodes, sync_episodes
from levqor.store.leases import TTL_S, Lease
from levqor.store.schema import alert_deliveries, alerts

HOUR_S = 3600.0


class Chat:
    """A channel in memory. `failures` are raised one after another; `gate` holds a message until it is set."""

    def __init__(self, name: str = "chat") -> None:
        self.name = name
        self.got: list[Alert] = []
        self.failures: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def send(self, alert: Alert) -> None:
        self.got.append(alert)
        self.gate.wait(20)
        if self.failures:
            raise self.failures.pop(0)

    @property
    def titles(self) -> list[str]:
        return [alert.title for alert in self.got]


class Desk:
    """A leader and its courier, time in the test's hand."""

    def __init__(self, database: Database, *channels: Alerts, name: str = "one", clock: ManualClock | None = None) -> None:
        self.database, self.clock, self.channels = database, clock or ManualClock(), channels
        self.lease = Lease(database, self.clock, name, is_dead=lambda holder: holder != name)
        self.lease.attempt()
        self.lease.attempt()
        self.courier = Courier(CourierParts(database, self.lease, channels, self.clock, jitter=lambda: 0.0))

    def sync(self, wanted: dict[str, tuple[str, str]]) -> None:
        """What a tick does with the causes that it found."""
        with self.lease.fenced() as connection:
            before, now = open_episodes(connection), self.clock.now()
            opened, closed = sync_episodes(connection, now, wanted)
            tell_episodes(connection, now, opened, closed, before, open_episodes(connection))

    def tell(self, key: str = "k", kind: str = "recovery", severity: str = "page") -> int | None:
        with self.lease.fenced() as connection:
            return outbox.enqueue(connection, self.clock.now(), key=key, kind=kind, severity=severity, title=f"{kind} {key}", text="x")

    def turn(self) -> None:
        """One turn, and whatever it sent written down."""
        self.lease.attempt()
        self.courier.turn()
        eventually(lambda: self.courier._ended.qsize() == len(self.courier._in_flight), what="the channels' answers")
        self.courier.turn()

    def pass_time(self, seconds: float, step_s: float = 60.0) -> None:
        for _ in range(int(seconds // step_s)):
            self.clock.advance(step_s)
            self.turn()

    def rows(self) -> list[dict[str, Any]]:
        query = select(alerts.c.key, alerts.c.kind, alert_deliveries).join(alert_deliveries, alert_deliveries.c.alert_id == alerts.c.id)
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query.order_by(alerts.c.id, alert_deliveries.c.channel)).mappings()]

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows()]


SICK = {"agent": ("page", "no agent reports its workers")}


def test_an_episode_is_told_once_when_it_opens_and_once_when_it_has_stayed_away(database: Database) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    for _ in range(5):
        desk.sync(SICK)
        desk.turn()
        desk.clock.advance(2.0)
    assert chat.titles == ["Open: agent"]
    desk.sync({})
    desk.pass_time(240)
    assert chat.titles == ["Open: agent"], "it may come back at once"
    desk.pass_time(120)
    assert chat.titles == ["Open: agent", "Resolved: agent"]
    desk.pass_time(48 * HOUR_S, step_s=HOUR_S)
    assert len(chat.got) == 2
    assert desk.states() == ["sent", "sent"]


def test_a_cause_that_flaps_is_one_story(database: Database) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    for _ in range(60):
        desk.sync(SICK)
        desk.pass_time(60)
        desk.sync({})
        desk.pass_time(120)
    assert chat.titles[0] == "Open: agent"
    assert [title for title in chat.titles if title.startswith("Resolved")] == []
    desk.pass_time(600)
    assert chat.titles.count("Open: agent") == chat.titles.count("Resolved: agent") == 1
    assert len(chat.got) <= 4, "and its reminders: sixty episodes in three hours"


def test_reminders_grow_rarer_and_end_with_the_episode(database: Database) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    desk.sync(SICK)
    desk.turn()
    told_at: list[float] = []
    for quarter in range(1, 3 * 24 * 4):
        desk.clock.advance(900.0)
        desk.turn()
        if len(chat.got) > len(told_at) + 1:
            told_at.append(quarter / 4)
    assert told_at == [1, 5, 29, 53]
    assert chat.titles[1:3] == ["Still open, reminder 1: agent", "Still open, reminder 2: agent"]
    desk.sync({})
    desk.pass_time(600)
    desk.pass_time(48 * HOUR_S, step_s=HOUR_S)
    assert chat.titles[-1] == "Resolved: agent"
    assert len(chat.got) == 6
    assert set(desk.states()) == {"sent"}, "no reminder is left waiting"


def test_the_same_is_not_said_twice(database: Database) -> None:
    desk = Desk(database, Chat())
    assert desk.tell("recovery:1") is not None
    assert desk.tell("recovery:1") is None
    assert desk.tell("recovery:1", kind="escalated") is not None
    desk.turn()
    desk.pass_time(60, step_s=20)
    assert desk.tell("recovery:1") is not None, "what was told and belongs to no episode may be told again"
    with desk.lease.fenced() as connection:
        facts: dict[str, Any] = {"key": "i", "kind": "escalated", "severity": "page", "title": "t", "text": "x", "incident_id": 3}
        assert outbox.enqueue(connection, desk.clock.now(), **facts) is not None
    desk.pass_time(60, step_s=20)
    with desk.lease.fenced() as connection:
        assert outbox.enqueue(connection, desk.clock.now(), **facts) is None, "one escalation per incident"


def test_an_alert_is_a_part_of_the_transaction_that_has_cause_for_it(database: Database) -> None:
    desk = Desk(database, Chat())

    def tick_that_fails() -> None:
        with desk.lease.fenced() as connection:
            outbox.enqueue(connection, desk.clock.now(), key="k", kind="opened", severity="page", title="t", text="x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        tick_that_fails()
    assert desk.rows() == []


def test_a_failure_is_tried_again_later_and_later(database: Database) -> None:
    chat = Chat()
    chat.failures = [DeliveryError("the server refused the connection") for _ in range(4)]
    desk = Desk(database, chat)
    desk.tell()
    desk.turn()
    waits = []
    while desk.states() != ["sent"]:
        waits.append(desk.rows()[0]["due_in_s"])
        assert desk.rows()[0]["error"] == "the server refused the connection"
        desk.clock.advance(waits[-1] - 0.5)
        before = len(chat.got)
        desk.turn()
        assert len(chat.got) == before, "not yet"
        desk.clock.advance(0.5 + 10.0)
        desk.turn()
    assert waits == [5, 10, 20, 40]
    assert not any(alert.is_repeat for alert in chat.got), "a refused connection delivered nothing"


def test_a_refusal_for_good_is_failed_and_tried_no_more(database: Database) -> None:
    chat = Chat()
    chat.failures = [DeliveryError("Telegram answered 401", permanent=True)]
    desk = Desk(database, chat)
    desk.tell()
    desk.pass_time(3 * HOUR_S, step_s=HOUR_S)
    assert (len(chat.got), desk.states()) == (1, ["failed"])


def test_no_answer_is_unknown_and_told_once_more_as_a_possible_repeat(database: Database) -> None:
    chat = Chat()
    chat.failures = [DeliveryError("no answer", unknown=True), DeliveryError("no answer", unknown=True)]
    desk = Desk(database, chat)
    desk.tell()
    desk.turn()
    assert desk.states() == ["unknown"]
    desk.pass_time(HOUR_S)
    assert [alert.is_repeat for alert in chat.got] == [False, True]
    assert "(possible repeat)" in chat.got[1].heading
    assert chat.got[0].token == chat.got[1].token
    assert desk.states() == ["unknown"]


def test_a_bug_in_a_channel_is_unknown_and_its_words_are_not_written(database: Database) -> None:
    """X2."""
    chat = Chat()
    chat.failures = [RuntimeError("https://hunter2@host")]
    desk = Desk(database, chat)
    desk.tell()
    desk.turn()
    assert desk.states() == ["unknown"]
    assert "hunter2" not in json.dumps(desk.rows(), default=str)


def test_a_flood_is_six_a_minute_with_the_gravest_first(database: Database) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    desk.pass_time(60)
    for number in range(20):
        desk.tell(f"t{number:02}", severity="ticket")
    desk.tell("urgent", severity="page")
    for _ in range(10):
        desk.turn()
    assert chat.titles == ["recovery urgent", *(f"recovery t{number:02}" for number in range(5))]
    desk.pass_time(60, step_s=1.0)
    assert len(chat.got) == 12
    desk.pass_time(180, step_s=10.0)
    assert len(chat.got) == 21, "none is lost"


def test_telegram_asks_to_wait_and_the_whole_channel_does(database: Database) -> None:
    api = TelegramApi()
    desk = Desk(database, Telegram(api.TOKEN, api.CHAT, api.url))
    desk.pass_time(60)
    api.flood_s = 40
    desk.tell("one")
    desk.tell("two")
    desk.turn()
    desk.pass_time(39, step_s=3.0)
    assert len(api.requests) == 1
    desk.pass_time(30, step_s=3.0)
    assert [message["text"].splitlines()[0] for message in api.messages] == ["[page] recovery one", "[page] recovery two"]
    api.close()


def test_a_silent_channel_holds_up_neither_the_others_nor_the_turns(database: Database) -> None:
    slow, quick = Chat("slow"), Chat("quick")
    slow.gate.clear()
    desk = Desk(database, slow, quick)
    desk.tell("one")
    desk.lease.attempt()
    desk.courier.turn()
    for number in range(3):
        desk.tell(f"more{number}")
        for _ in range(2):
            desk.clock.advance(10.0)
            desk.lease.attempt()
            eventually(lambda: desk.courier._ended.qsize() > 0 or "quick" not in desk.courier._in_flight)
            desk.courier.turn()
    eventually(lambda: len(quick.got) == 4)
    assert len(slow.got) == 1
    slow.gate.set()
    desk.pass_time(60, step_s=10.0)
    assert len(slow.got) == 4


def test_without_a_channel_it_is_written_that_nobody_was_told_and_a_new_channel_learns_what_is_open(database: Database) -> None:
    desk = Desk(database)
    desk.sync(SICK)
    desk.tell("gone")
    desk.turn()
    assert [(row["channel"], row["state"], row["error"]) for row in desk.rows()] == [("none", "failed", "no channel is configured")] * 2
    chat = Chat()
    later = Desk(database, chat, name="two", clock=desk.clock)
    later.turn()
    later.pass_time(60, step_s=20)
    assert chat.titles == ["Open: agent"]


def test_a_start_tries_again_what_it_may_have_mended_and_gives_up_what_it_lacks(database: Database) -> None:
    broken, gone = Chat("broken"), Chat("gone")
    broken.failures = [DeliveryError("Telegram answered 401", permanent=True)]
    gone.failures = [DeliveryError("refused")] * 9
    desk = Desk(database, broken, gone)
    desk.sync(SICK)
    desk.turn()
    assert desk.states()[:2] == ["failed", "pending"]
    mended = Chat("broken")
    later = Desk(database, mended, name="two", clock=desk.clock)
    later.turn()
    assert mended.titles == ["Open: agent"]
    told = {row["channel"]: (row["state"], row["error"]) for row in later.rows() if row["kind"] == "opened"}
    assert told == {"broken": ("sent", None), "gone": ("failed", "this channel is no longer configured")}
    assert [row["channel"] for row in later.rows() if row["kind"] == "reminder" and row["state"] == "pending"] == ["broken"]


def test_timers_go_on_with_a_successor_and_no_gap_is_credited(database: Database) -> None:
    """P1: what was counted is checkpointed; a jump of the wall clock and the time without a leader count for nothing."""
    chat = Chat()
    desk = Desk(database, chat)
    desk.sync(SICK)
    desk.turn()
    desk.pass_time(1800)
    desk.clock.jump(30 * 86_400)
    desk.pass_time(60)
    assert len(chat.got) == 1
    desk.lease.release()
    desk.clock.advance(10 * HOUR_S)
    later_chat = Chat()
    later = Desk(database, later_chat, name="two", clock=desk.clock)
    later.turn()
    later.pass_time(1600)
    assert later_chat.got == []
    later.pass_time(60 + 60 + 2 * CHECKPOINT_S + 60)
    assert later_chat.titles == ["Still open, reminder 1: agent"]


def test_who_does_not_lead_sends_nothing_and_who_led_writes_nothing(database: Database) -> None:
    """P2."""
    chat = Chat()
    chat.gate.clear()
    desk = Desk(database, chat)
    desk.tell()
    desk.courier.turn()
    eventually(lambda: len(chat.got) == 1)
    desk.clock.advance(TTL_S + 1)
    other = Chat()
    later = Desk(database, other, name="two", clock=desk.clock)
    later.turn()
    assert [alert.is_repeat for alert in other.got] == [True], "the first one's fate is not known to the second"
    chat.gate.set()
    eventually(lambda: desk.courier._ended.qsize() == 1)
    desk.courier.turn()
    assert desk.states() == ["sent"]
    with pytest.raises(NotTheLeader):
        desk.tell("late")
    assert len(chat.got) + len(other.got) == 2


def test_a_database_that_is_away_for_a_moment_loses_no_outcome(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    desk.tell()
    desk.courier.turn()
    eventually(lambda: desk.courier._ended.qsize() == 1)
    with monkeypatch.context() as patch:
        patch.setattr(desk.lease, "fenced", lambda: (_ for _ in ()).throw(DatabaseDown("away")))
        with pytest.raises(DatabaseDown):
            desk.courier.turn()
    desk.turn()
    assert (desk.states(), len(chat.got)) == (["sent"], 1)


def test_that_the_database_is_gone_is_told_without_it_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store or database down: one alert. The outbox cannot hold this one."""
    chat, stubborn = Chat("chat"), Chat("stubborn")
    stubborn.failures = [DeliveryError("refused")]
    desk = Desk(database, chat, stubborn)
    desk.turn()

    def gone() -> Any:
        raise DatabaseDown("database postgresql://host: connection refused")

    def looks(seconds: int) -> None:
        for _ in range(seconds):
            desk.clock.advance(1.0)
            desk.courier._guarded_turn()

    with monkeypatch.context() as patch:
        patch.setattr(database, "read", gone)
        patch.setattr(database, "write", gone)
        looks(29)
        assert chat.got == []
        looks(2)
        eventually(lambda: len(chat.got) == len(stubborn.got) == 1)
        eventually(lambda: "chat" in desk.courier._last_word._told and not stubborn.failures)
        looks(3600)
        eventually(lambda: len(stubborn.got) == 2)
    assert chat.titles == ["Open: database"]
    assert not desk.lease.is_trusted, "it does not lead any more, and told all the same"
    looks(1)
    eventually(lambda: chat.titles == ["Open: database", "Resolved: database"])
    eventually(lambda: len(stubborn.got) == 3)
    looks(100)
    assert len(chat.got) == 2


def test_a_short_absence_of_the_database_wakes_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    desk.turn()
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(database, "read", lambda: (_ for _ in ()).throw(DatabaseDown("away")))
            for _ in range(20):
                desk.clock.advance(1.0)
                desk.courier._guarded_turn()
        desk.lease.attempt()
        desk.courier._guarded_turn()
    assert chat.got == []


COURIER = """
import random, sys, threading
from sqlalchemy import make_url
from levqor.alerts.webhook import Webhook
from levqor.host import SystemClock
from levqor.monitors.alerting import Courier, CourierParts
from levqor.store.database import Database
from levqor.store.leases import Lease
url, hook, secret = sys.argv[1:]
database, clock = Database(make_url(url)), SystemClock()
lease = Lease(database, clock, "the first", is_dead=lambda holder: True)
lease.attempt(); lease.attempt()
courier = Courier(CourierParts(database, lease, [Webhook(hook, secret, clock, deadline_s=60.0)], clock, random.random))
courier.start()
print("started", flush=True)
threading.Event().wait(60)
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    clock = ManualClock()
    server = Receiver(lambda: clock.now().timestamp())
    yield server
    server.close()


def test_kill_9_between_claim_and_answer_is_unknown_and_told_once_more(database: Database, receiver: Receiver, tmp_path: Path) -> None:
    """I8: never lost; a receiver that had it knows it again by its id."""
    with database.write() as connection:
        outbox.enqueue(connection, ManualClock().now(), key="k", kind="recovery", severity="page", title="t", text="x")
    url = database.url.render_as_string(hide_password=False)
    with silent_server() as port, (tmp_path / "errors").open("wb") as errors:
        arguments = [sys.executable, "-c", COURIER, url, f"http://127.0.0.1:{port}/", Receiver.SECRET]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"

        def is_sending() -> bool:
            with database.read() as connection:
                return "sending" in connection.execute(select(alert_deliveries.c.state)).scalars().all()

        eventually(is_sending, within_s=20)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
    desk = Desk(database, Webhook(receiver.url, Receiver.SECRET, ManualClock()), name="two")
    desk.lease.attempt()
    assert desk.states() == ["sending"]
    desk.turn()
    assert desk.states() == ["sent"]
    ((number, document),) = receiver.taken.items()
    assert (number.startswith("levqor-"), document["data"]["is_repeat"]) == (True, True)
    desk.pass_time(HOUR_S)
    assert (receiver.repeats, len(receiver.requests)) == (0, 1)


def test_the_thread_delivers_and_stops_with_what_it_sent_written_down(database: Database) -> None:
    chat = Chat()
    desk = Desk(database, chat)
    desk.tell()
    desk.courier.start()
    desk.courier.wake()
    eventually(lambda: desk.states() == ["sent"])
    desk.courier.stop()
    assert desk.courier._thread is not None
    assert not desk.courier._thread.is_alive()


def test_what_is_old_goes_and_what_is_on_its_way_stays(database: Database) -> None:
    """P5."""
    chat = Chat()
    desk = Desk(database, chat)
    desk.tell("old")
    desk.turn()
    desk.sync(SICK)
    with desk.lease.fenced() as connection:
        long_ago = desk.clock.now() - outbox.KEEP * 2
        connection.execute(update(alerts).values(created_at=long_ago))
        outbox.purge_alerts(connection, desk.clock.now())
    assert [row["key"] for row in desk.rows()] == ["agent"]
    with database.read() as connection:
        assert [row["key"] for row in outbox.list_alerts(connection, 10)] == ["agent"]
