"""Which backups go, and which never do."""

from datetime import UTC, datetime, timedelta

import pytest

from levqor.domain.backups import Backup
from levqor.policies.backups import superfluous

MONDAY = datetime(2026, 2, 2, 2, tzinfo=UTC)


def backup(day: float, verified: bool | None = None) -> Backup:
    at = MONDAY + timedelta(days=day)
    return Backup(f"{day:g}", at, size=1, verified=verified)


def gone(backups: list[Backup], daily: int = 2, weekly: int = 1) -> list[str]:
    return [one.name for one in superfluous(backups, daily=daily, weekly=weekly)]


@pytest.mark.parametrize(
    ("backups", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([backup(0)], [], id="one"),
        pytest.param([backup(0), backup(1)], [], id="as-many-days-as-are-kept"),
        pytest.param([backup(0), backup(1), backup(2), backup(3)], ["0"], id="of-a-week-beyond-the-days-its-newest"),
        pytest.param([backup(0), backup(0.1), backup(0.2)], ["0", "0.1"], id="of-a-day-the-newest"),
        pytest.param([backup(0, True), backup(0.1), backup(1)], ["0.1"], id="of-a-day-the-newest-verified"),
        pytest.param([backup(0, True), backup(0.1, False), backup(1)], ["0.1"], id="what-failed-takes-no-day"),
        pytest.param([backup(0), backup(1), backup(2, False)], [], id="the-newest-stays-even-if-it-failed"),
        pytest.param([backup(0, True), *(backup(n) for n in range(8, 12))], ["8"], id="the-last-good-stays-beyond-days-and-weeks"),
        pytest.param([backup(0, True), *(backup(n, False) for n in range(1, 9))], [str(n) for n in range(1, 8)], id="good-outlives-failed"),
        pytest.param([backup(4), backup(1), backup(3), backup(2)], ["1"], id="in-whatever-order"),
    ],
)
def test_superfluous(backups: list[Backup], expected: list[str]) -> None:
    assert gone(backups) == expected


def test_no_weeks_keeps_days_alone() -> None:
    assert gone([backup(n) for n in range(5)], daily=3, weekly=0) == ["0", "1"]


def test_a_clock_that_jumped_a_year_ahead_deletes_no_day_that_is_kept() -> None:
    """Spec P1."""
    before = [backup(n, True) for n in range(7)]
    assert gone([*before, backup(400)], daily=7, weekly=4) == []


def test_a_year_of_nights_keeps_eleven_and_reaches_back_at_least_three_weeks() -> None:
    kept: list[Backup] = []
    for day in range(365):
        kept.append(backup(day, verified=True))
        going = superfluous(kept, daily=7, weekly=4)
        kept = [one for one in kept if one not in going]
        assert len(kept) <= 11
        assert day < 28 or (kept[-1].at - kept[0].at) >= timedelta(days=22), day


@pytest.mark.parametrize("seed", range(20))
def test_the_newest_and_the_newest_good_are_never_deleted(seed: int) -> None:
    import random

    dice = random.Random(seed)
    backups = [backup(n / 3, dice.choice([True, False, None])) for n in range(dice.randint(1, 60))]
    going = superfluous(backups, daily=dice.randint(1, 4), weekly=dice.randint(0, 3))
    good = [one for one in backups if one.verified]
    assert backups[-1] not in going
    assert not good or good[-1] not in going
