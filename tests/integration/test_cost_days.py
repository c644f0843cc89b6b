"""The last days by category on both databases: the same figures as today's, and unknown where a source is behind (spec C)."""

from datetime import timedelta

from tests.integration.spending import Money

from levqor.domain.spending import Category
from levqor.store.database import Database
from levqor.store.spend_sources import mark_failed, mark_synced


def test_an_empty_ledger_knows_no_day(database: Database) -> None:
    answer = Money(database).desk.daily(30)
    assert [len(answer["days"]), len(set(answer["days"]))] == [30, 30]
    assert answer["categories"] == {category.value: [None] * 30 for category in Category}


def test_whole_days_then_today_so_far(database: Database) -> None:
    """Today is the figure of `today`: a day's amount counts as far as the day has come."""
    money = Money(database)
    money.add_days("10", 3)
    money.add("24", days_ago=0)
    money.add("500", days_ago=1, currency="eur")
    answer = money.desk.daily(5)
    assert answer["days"][-1] == money.today.isoformat()
    assert answer["categories"]["infra"] == [None, 10.0, 10.0, 10.0, money.desk.today()["by_category"]["infra"]]
    assert 0 < answer["categories"]["infra"][-1] < 24


def test_a_source_that_is_behind_leaves_its_days_unknown(database: Database) -> None:
    """C6."""
    money = Money(database, sources=frozenset({"openai"}))
    money.write([money.entry("2", days_ago=n, category=Category.AI, source="openai") for n in (4, 3)])
    with database.write() as connection:
        mark_synced(connection, money.clock.now() - timedelta(days=2), "openai")
        mark_failed(connection, money.clock.now(), "openai", "it answered 500")
    assert money.desk.daily(6)["categories"]["ai"] == [None, 2.0, 2.0, None, None, None]
