"""The summary over a real database: what it says, and that it is sent once a period whoever asks (spec T1, T2)."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from tests.integration.summarising import NASTY, NOW, Office, Post, busy_office

from levqor.domain.costs import CostRules
from levqor.domain.errors import DeliveryError
from levqor.domain.summary import Period, Summary, SummaryKind
from levqor.store import outbox
from levqor.store.database import Database, database_url
from levqor.store.ledger import ledger_revision
from levqor.store.schedule import ask, take_asked
from levqor.store.schema import summaries
from levqor.store.summaries import purge_summaries

DAILY, WEEKLY = SummaryKind.DAILY, SummaryKind.WEEKLY
TITLES = (
    "Service levels",
    "Incidents",
    "Decisions",
    "Spend",
    "Active users",
    "Dead jobs",
    "Backups and verification",
    "Schedule",
)


def lines(summary: Summary, title: str) -> dict[str, tuple[str, str, str]]:
    """Value, note and tone by label."""
    section = next(section for section in summary.sections if section.title == title)
    return {line.label: (line.value, line.note, line.tone.value) for line in section.lines}


def send(office: Office, *channels: Post, kind: SummaryKind = DAILY, holder: str = "host/boot/1/1", anew: bool = False) -> str:
    desk = office.desk(*channels, holder=holder)
    summary = desk.summary(kind)
    return str(desk.send(summary, desk.render(summary), anew=anew)["state"])


def alerts(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        return [(row["title"], row["text"]) for row in outbox.list_alerts(connection, 10)]


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """For what is the same on both."""
    opened = Database(database_url(None, tmp_path))
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def test_a_summary_says_everything_in_its_order(database: Database) -> None:
    summary = busy_office(database).desk().summary(DAILY)
    assert tuple(section.title for section in summary.sections) == TITLES
    assert summary.sentence.startswith("Act: 1 incident handed to a person. 2 of 2 workers")
    assert summary.subject == "Act: 1 incident handed to a person · 13.38 usd, 67 % of the limit · Levqor daily 2026-03-02"
    service = lines(summary, "Service levels")
    assert service["Requests"] == ("27,300", "by hour; of a part only: 1,320 of 1,440 minutes were measured", "unknown")
    assert service["Error rate < 0.500%"][0] == "0.22 %"
    assert service["Error rate < 0.500%"][1] == "95 % of the 30-day error budget left"
    incidents = lines(summary, "Incidents")
    assert incidents["Incident 2"][2] == "act"
    assert "automatic recovery: helped" in incidents["Incident 1"][1]
    decisions = lines(summary, "Decisions")
    assert [decisions[label][0] for label in ("Steps", "Held back", "Freezes")] == ["1 up, 1 down", "1 up, 0 down", "1"]
    spend = lines(summary, "Spend")
    assert spend["Spent in 24 hours"][0] == "13.38 usd"
    assert spend["Next 30 days"][0].endswith(" usd")
    users = lines(summary, "Active users")
    assert users["On the last whole day"] == ("9", "+12 % from the day before; +350 % from a week before; Sun 01 Mar UTC", "plain")
    assert users["In its 30 days"] == ("unknown", "the history is shorter", "unknown")
    assert lines(summary, "Dead jobs")["Dead letters now"][0] == "3"
    assert lines(summary, "Dead jobs")["Died in this time"][0] == "3"
    copies = lines(summary, "Backups and verification")
    assert copies["Newest backup"] == ("7 h ago", "proven to restore; 1.2 MB", "plain")
    assert copies["Verification"] == ("failed", "integrity, 6 h ago; failed: backup, logs", "act")
    assert lines(summary, "Schedule")["integrity"] == ("failed", "Mon 02 Mar 03:00; exit code 1", "watch")


def test_a_weekly_summary_has_a_row_for_each_whole_day(database: Database) -> None:
    summary = busy_office(database).desk().summary(WEEKLY)
    assert summary.period == "2026-W10"
    days = summary.sections[-1]
    assert days.title == "Day by day"
    assert days.table is not None
    assert [row[0] for row in days.table.rows] == ["Mon 23", "Tue 24", "Wed 25", "Thu 26", "Fri 27", "Sat 28", "Sun 01"]
    assert days.table.rows[-1] == ("Sun 01", "28,800", "146", "0.0 %", "+1 -1", "13.75", "9")
    assert lines(summary, "Decisions")["Steps"][0] == "2 up, 1 down"


def test_an_empty_installation_is_told_as_unknown_never_as_zero(office: Office) -> None:
    summary = office.desk().summary(WEEKLY)
    assert summary.sentence == "Act: no autopilot leads, so nothing automatic acts. ? of 2 workers, queue unknown."
    told = {line.label: line.value for section in summary.sections for line in section.lines}
    assert "0" not in told.values()
    assert told["Requests"] == told["Dead letters now"] == told["Died in this time"] == "unknown"
    assert told["Newest backup"] == "none"
    assert summary.sections[-1].table is not None
    assert {cell for row in summary.sections[-1].table.rows for cell in row[1:]} == {"–", "0"}
    assert all(row[1] == row[5] == row[6] == "–" for row in summary.sections[-1].table.rows)


def test_what_a_leader_last_read_is_not_told_as_present_once_nobody_leads(sqlite: Database) -> None:
    office = busy_office(sqlite)
    office.clock.advance(180)
    summary = office.desk().summary(DAILY)
    assert summary.sentence.startswith("Act: no autopilot leads")
    assert lines(summary, "Dead jobs")["Dead letters now"][:2] == ("unknown", "no autopilot reads the queues now")


def test_a_source_that_was_never_read_makes_the_spend_a_least_one(sqlite: Database) -> None:
    office = busy_office(sqlite)
    office.rules = replace(office.rules, sources=frozenset({"stripe"}))
    summary = office.desk().summary(DAILY)
    value, note, tone = lines(summary, "Spend")["Spent in 24 hours"]
    assert (value, tone) == ("at least 13.38 usd", "unknown")
    assert "never read, so in no figure: stripe" in note
    assert "at least 13.38 usd" in summary.subject


def test_a_part_that_cannot_be_read_spoils_no_other(sqlite: Database) -> None:
    office = busy_office(sqlite)
    office.activity_zone = "Asia/Tokyo"
    summary = office.desk().summary(DAILY)
    assert lines(summary, "Active users")["Active users"][0] == "unknown"
    assert lines(summary, "Spend")["Spent in 24 hours"][0] == "13.38 usd"


def test_foreign_words_are_shown_as_words(sqlite: Database) -> None:
    desk = busy_office(sqlite).desk()
    summary = desk.summary(DAILY)
    pages = desk.render(summary)
    assert "<script" not in pages.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Bcc: eve@example.com 20 of 100" in pages.html
    assert NASTY not in pages.text
    assert "\u202e" not in pages.text + pages.html + summary.subject
    assert summary.subject.isprintable()


def test_a_summary_is_sent_once_a_period(office: Office) -> None:
    post = Post()
    assert [send(office, post) for _ in range(2)] == ["sent", "already_sent"]
    assert send(office, post, kind=WEEKLY) == "sent"
    office.clock.advance(86_400)
    assert [send(office, post), send(office, post, kind=WEEKLY)] == ["sent", "already_sent"]
    office.clock.advance(6 * 86_400)
    assert send(office, post, kind=WEEKLY) == "sent"
    assert len(post.letters) == 4


@pytest.mark.parametrize(
    ("end", "zone", "key"),
    [
        pytest.param(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "Europe/London", "2026-03-29", id="before clocks go forward"),
        pytest.param(datetime(2026, 3, 29, 23, 30, tzinfo=UTC), "Europe/London", "2026-03-30", id="summer time's next day"),
        pytest.param(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Europe/London", "2026-10-25", id="first half past one"),
        pytest.param(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/London", "2026-10-25", id="second half past one"),
        pytest.param(datetime(2026, 1, 1, 9, 0, tzinfo=UTC), "UTC", "2026-01-01", id="new year"),
    ],
)
def test_a_period_is_a_local_date(end: datetime, zone: str, key: str) -> None:
    assert Period(DAILY, end, ZoneInfo(zone)).key == key
    assert Period(WEEKLY, datetime(2026, 1, 1, 9, 0, tzinfo=UTC), ZoneInfo(zone)).key == "2026-W01"


def test_asked_anew_it_goes_out_again_as_another_letter(office: Office) -> None:
    post = Post()
    assert [send(office, post), send(office, post, anew=True)] == ["sent", "sent"]
    assert post.letters[0].token != post.letters[1].token


def test_two_at_once_send_one(office: Office) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go_on.wait(10)

    first = Post(before=wait)
    second = Post()
    states: list[str] = []
    sender = threading.Thread(target=lambda: states.append(send(office, first)))
    sender.start()
    assert reached.wait(10)
    states.append(send(office, second, holder="host/boot/2/2"))
    states.append(send(office, second, holder="host/boot/2/2", anew=True))
    go_on.set()
    sender.join(10)
    assert states == ["being_sent", "being_sent", "sent"]
    assert (len(first.letters), len(second.letters)) == (1, 0)


def test_a_failed_sending_is_told_and_can_be_asked_for_again(office: Office) -> None:
    post = Post(answers=[DeliveryError("the server refused every recipient (554)", permanent=True)])
    assert send(office, post) == "failed"
    [(title, text)] = alerts(office.database)
    assert title == "The daily summary was not sent to all"
    assert text == "2026-03-02: post: the server refused every recipient (554). `levqor summary --type daily` tries again."
    assert [send(office, post), send(office, post)] == ["sent", "already_sent"]
    assert len(alerts(office.database)) == 1


def test_a_repeat_is_known_by_its_token_to_whoever_may_have_had_the_letter(office: Office) -> None:
    tokens: list[str] = []
    desk = office.desk(Keeping(tokens, DeliveryError("no answer within 30 s", unknown=True)))
    summary = desk.summary(DAILY)
    answer = desk.send(summary, desk.render(summary))
    assert answer["channels"][0]["problem"] == "no answer within 30 s; it may have arrived all the same"
    desk = office.desk(Keeping(tokens, None))
    assert desk.send(summary, desk.render(summary))["state"] == "sent"
    assert len(tokens) == 2
    assert tokens[0] == tokens[1]


class Keeping(Post):
    """Keeps the token of a letter that it may have lost."""

    def __init__(self, tokens: list[str], answer: DeliveryError | None) -> None:
        super().__init__(answers=[answer])
        self._tokens = tokens

    def send(self, letter: object) -> str | None:
        self._tokens.append(letter.token)  # type: ignore[attr-defined]
        return super().send(letter)  # type: ignore[arg-type]


def test_a_channel_that_has_it_is_left_out_when_the_others_try_again(office: Office) -> None:
    good, bad = Post("smtp"), Post("mailto-1", answers=[DeliveryError("busy")])
    assert [send(office, good, bad), send(office, good, bad)] == ["failed", "sent"]
    assert (len(good.letters), len(bad.letters)) == (1, 1)


def test_a_remark_is_told_although_it_was_sent(office: Office) -> None:
    assert send(office, Post(remark="1 of 2 recipients refused (550)")) == "sent"
    assert alerts(office.database)[0][0] == "The daily summary did not reach everybody"


def test_the_schedules_own_run_is_told_by_the_schedule(office: Office) -> None:
    with office.database.write() as connection:
        assert take_asked(connection, NOW, ask(connection, NOW, "summary", "ana"), "host/boot/1/1")
    assert send(office, Post(answers=[DeliveryError("busy", permanent=True)])) == "failed"
    assert alerts(office.database) == []


def test_a_sender_that_died_does_not_keep_the_period(office: Office) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(office, Post(before=die), holder="host/boot/9/9")
    assert send(office, Post()) == "being_sent"
    office.gone.add("host/boot/9/9")
    assert send(office, Post()) == "sent"


def test_a_sender_of_another_machine_is_given_an_hour(office: Office) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(office, Post(before=die), holder="other/boot/9/9")
    office.clock.advance(3_600)
    assert send(office, Post()) == "being_sent"
    office.clock.advance(1)
    assert send(office, Post()) == "sent"


def test_without_a_channel_nothing_is_claimed(office: Office) -> None:
    assert send(office) == "no_channel"
    with office.database.read() as connection:
        assert connection.execute(select(summaries)).all() == []


def test_rows_are_kept_for_400_days(office: Office) -> None:
    send(office, Post())
    for days, left in ((400, 1), (401, 0)):
        with office.database.write() as connection:
            purge_summaries(connection, NOW + timedelta(days=days))
            assert len(connection.execute(select(summaries)).all()) == left


def test_looking_claims_nothing_and_costs_no_entry(office: Office) -> None:
    office.rules = CostRules(daily_limit=Decimal(5))
    office.desk(Post()).summary(DAILY)
    with office.database.read() as connection:
        assert (connection.execute(select(summaries)).all(), ledger_revision(connection)) == ([], 0)
