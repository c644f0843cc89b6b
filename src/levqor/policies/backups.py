"""Which backups go. Days and weeks that have a backup are counted, never ages: a clock that jumps deletes nothing (spec P1)."""

from collections.abc import Callable, Hashable, Sequence

from levqor.domain.backups import Backup


def superfluous(backups: Sequence[Backup], *, daily: int, weekly: int) -> list[Backup]:
    """Those to delete, the oldest first.

    Kept are the best backup of each of the `daily` newest days, beyond these the best of each of the `weekly` newest
    weeks, and whatever their number the newest of all and the newest that was verified.
    """
    oldest_first = sorted(backups, key=lambda backup: (backup.at, backup.name))
    usable = [backup for backup in oldest_first if backup.verified is not False]
    days = _best_of_each(usable, lambda backup: backup.at.date())
    by_day, beyond = days[-daily:], days[:-daily]
    by_week = _best_of_each(beyond, lambda backup: backup.at.isocalendar()[:2])[-weekly:] if weekly else []
    good = [backup for backup in usable if backup.verified]
    kept = {backup.name for backup in [*by_day, *by_week, *good[-1:], *oldest_first[-1:]]}
    return [backup for backup in oldest_first if backup.name not in kept]


def _best_of_each(backups: Sequence[Backup], period: Callable[[Backup], Hashable]) -> list[Backup]:
    """For each period the newest verified backup, else the newest; the oldest period first."""
    best: dict[Hashable, Backup] = {}
    for backup in backups:
        known = best.get(period(backup))
        if known is None or backup.verified or not known.verified:
            best[period(backup)] = backup
    return list(best.values())
