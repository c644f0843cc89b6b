"""Which value of a flag is in force when a person edits the file while the database changes too (spec F1)."""

from collections.abc import Mapping

from levqor.domain.errors import UsageError
from levqor.domain.flags import DEFAULTS, WORKER_COUNT, FlagValue


def check_flag(name: str, value: object, min_workers: int, max_workers: int) -> FlagValue:
    """The value, if the flag exists and may have it. Raises UsageError that says what is expected."""
    if name not in DEFAULTS:
        raise UsageError(f"no such flag; there are {', '.join(DEFAULTS)}")
    if name != WORKER_COUNT:
        if not isinstance(value, bool):
            raise UsageError(f"{name}: expected true or false")
        return value
    # bool is an int in Python: `true` workers are none.
    if isinstance(value, bool) or not isinstance(value, int) or not min_workers <= value <= max_workers:
        raise UsageError(f"{name}: expected a whole number from {min_workers} (WORKERS_MIN) to {max_workers} (WORKERS_MAX)")
    return value


def merge_flag(file: FlagValue, synced: FlagValue | None, database: FlagValue) -> FlagValue:
    """The value in force, given what the file says, what it said at the last sync, and what the database says.

    Where both changed, off wins; a worker count typed into the file is a person's word and wins over the database's.
    """
    if synced is None or database == synced:
        return file
    if file == synced:
        return database
    if isinstance(file, bool) and isinstance(database, bool):
        return file and database
    return file


def merge_flags(
    file: Mapping[str, FlagValue], synced: Mapping[str, FlagValue | None], database: Mapping[str, FlagValue]
) -> dict[str, FlagValue]:
    """`merge_flag` for every flag; one that the file does not name has its default there."""
    return {name: merge_flag(file.get(name, default), synced.get(name), database.get(name, default)) for name, default in DEFAULTS.items()}
