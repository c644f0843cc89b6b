"""What people type for spans and moments (`15m`, `03:12`, `10m ago`), and how both are said back."""

import re
from datetime import datetime, time, timedelta

from levqor.domain.errors import UsageError

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN = re.compile(r"(?:\d{1,6}(?:\.\d{1,3})?[smhd])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
LONGEST_SPAN_S = 366 * 86_400.0


def parse_span(text: str) -> float:
    """Seconds of `90s`, `15m`, `2h`, `1d` or `1h30m`. Raises UsageError for anything else."""
    words = text.strip().lower().replace(" ", "")
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(words)) if _SPAN.fullmatch(words) else 0.0
    if not 0 < seconds <= LONGEST_SPAN_S:
        raise UsageError("expected a span such as 90s, 15m, 2h, 1d or 1h30m, above zero and of at most a year")
    return seconds


def parse_moment(text: str, now: datetime) -> datetime:
    """`now`, `10m ago`, `03:12` (the last time it was that o'clock, in the zone of `now`) or ISO 8601 (the same zone if it names none)."""
    words = text.strip().lower()
    if words == "now":
        return now
    if words.endswith("ago"):
        return now - timedelta(seconds=parse_span(words.removesuffix("ago")))
    clock = _time_of_day(words)
    if clock is not None:
        today = now.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
        return today if today <= now else today - timedelta(days=1)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError("expected a time such as 03:12, 2026-03-01T03:12, 2026-03-01T03:12Z or `10m ago`") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)


def _time_of_day(words: str) -> time | None:
    if not re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", words):
        return None
    try:
        return time.fromisoformat(words.zfill(len(words) + len(words.split(":")[0]) % 2))
    except ValueError as error:
        raise UsageError(f"{words} is no time of day") from error


def say_span(seconds: float) -> str:
    """A span in the coarsest two units that matter: `45 s`, `3 min`, `1 h 30 min`, `2 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} d" + (f" {hours} h" if hours else "")
