"""Figures and foreign words as a summary says them."""

from datetime import datetime
from decimal import Decimal

NOT_KNOWN = "unknown"


def told(text: str, most: int = 200) -> str:
    """Words from elsewhere: on one line, printable, of bounded length."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def whole(number: float | None) -> str:
    return NOT_KNOWN if number is None else f"{number:,.0f}"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def milliseconds(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,.0f} ms"


def percent(share: float | None, places: int = 2) -> str:
    return NOT_KNOWN if share is None else f"{share:.{places}%}".replace("%", " %")


def availability(share: float | None) -> str:
    """Never rounded up to 100 %: one failed probe of a million is seen."""
    if share is None:
        return NOT_KNOWN
    return "100 %" if share == 1 else percent(min(share, 0.99999), 3)


def money(amount: Decimal | float | None) -> str:
    return NOT_KNOWN if amount is None else f"{amount:,.2f}"


def change(now: float, before: float | None, than: str) -> str:
    """`+12 % from the day before`; nothing where there is nothing to compare with."""
    if before is None:
        return ""
    if before == now:
        return f"the same as {than}"
    return f"{now - before:+,.0f} from {than}" if before == 0 else f"{now / before - 1:+.0%} from {than}".replace("%", " %")


def size(number: int) -> str:
    return f"{number / 1e6:,.1f} MB" if number >= 100_000 else f"{number / 1e3:,.1f} kB"


def age(then: datetime, now: datetime) -> str:
    """How long ago; a moment in the future is a clock that was set."""
    hours = max(0.0, (now - then).total_seconds()) / 3_600
    if hours < 1:
        return f"{hours * 60:.0f} min ago"
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def listed(parts: list[str]) -> str:
    """The parts that say something, in one line."""
    return "; ".join(part for part in parts if part)
