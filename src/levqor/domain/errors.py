"""The error tree.

LevqorError
├── UsageError            bad input or a wrong setting: exit code 2
│   └── SettingsError     every wrong setting at once
├── GuardRefused          a guard said no: exit code 3
├── ConditionNotMet       what was asked for has not come true: exit code 4
├── DependencyDown        store, database or service out of reach: exit code 69
│   ├── StoreDown
│   ├── DatabaseDown
│   ├── EngineDown
│   └── SourceDown        a source of spend gave no figures
├── DeliveryError         an alert was not delivered, or nobody can say whether it was
├── NotTheLeader          a write carried a term that is no longer the leader's
├── Conflict              someone else changed the same thing first
└── NotFound              no such job, hold, worker or queue
"""

from dataclasses import dataclass


class LevqorError(Exception):
    """Base of every error that Levqor raises on purpose; its text is fit to be shown."""

    exit_code = 1


class UsageError(LevqorError):
    """The caller asked for something that cannot be done as asked."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: its name, where the value came from and what was expected."""

    name: str
    source: str
    expected: str

    def __str__(self) -> str:
        return f"{self.name} ({self.source}): {self.expected}"


class SettingsError(UsageError):
    """One or more settings are wrong; `problems` holds all of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("wrong settings:\n" + "\n".join(f"  {problem}" for problem in problems))


class GuardRefused(LevqorError):
    """A guard (hold, spend, single flight) refused the act."""

    exit_code = 3


class ConditionNotMet(LevqorError):
    """What the caller waited for did not come true in time."""

    exit_code = 4


class DependencyDown(LevqorError):
    """Something Levqor depends on does not answer."""

    exit_code = 69


class StoreDown(DependencyDown):
    """The telemetry store does not answer."""


class DatabaseDown(DependencyDown):
    """The database does not answer."""


class EngineDown(DependencyDown):
    """The queue's broker does not answer."""


class SourceDown(DependencyDown):
    """A source of spend gave no figures; its text holds no secret. `permanent`: trying again cannot help until a setting changes."""

    def __init__(self, message: str, *, permanent: bool = False, retry_after_s: float | None = None) -> None:
        self.permanent, self.retry_after_s = permanent, retry_after_s
        super().__init__(message)


class DeliveryError(LevqorError):
    """An alert was not delivered. `permanent`: trying again cannot help; `unknown`: it may have arrived all the same."""

    def __init__(self, message: str, *, permanent: bool = False, unknown: bool = False, retry_after_s: float | None = None) -> None:
        self.permanent, self.unknown, self.retry_after_s = permanent, unknown, retry_after_s
        super().__init__(message)


class NotTheLeader(LevqorError):
    """The term that a write carried is no longer the leader's; the write was not made."""


class Conflict(LevqorError):
    """Someone else changed the same row first; nothing was written."""


class NotFound(LevqorError):
    """There is nothing by that name."""
