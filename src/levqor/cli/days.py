"""Days as people type them."""

from datetime import date

from levqor.domain.errors import UsageError


def parse_day(text: str | None, option: str) -> date | None:
    """`2026-11-22`; None where nothing is given. Raises UsageError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: expected a day such as 2026-11-22") from None
