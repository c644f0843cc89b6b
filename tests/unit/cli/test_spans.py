"""Spans and moments as people type them (spec L2)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from levqor.cli.spans import parse_moment, parse_span, say_span
from levqor.domain.errors import UsageError

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400), ("1h30m", 5_400), ("1.5h", 5_400), (" 10 M ", 600), ("366d", 366 * 86_400)],
)
def test_spans_are_read(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "15", "m", "-5m", "1w", "nan", "inf", "1e3s", "367d", "9" * 400 + "s", "1m!"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_span(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("now", NOW, id="now"),
        pytest.param("10m ago", NOW - timedelta(minutes=10), id="ago"),
        pytest.param("03:12", NOW.replace(hour=3, minute=12, second=0), id="earlier today"),
        pytest.param("12:00:30", NOW, id="this very second"),
        pytest.param("12:00:31", NOW.replace(second=31) - timedelta(days=1), id="not yet today is yesterday"),
        pytest.param("23:59", NOW.replace(hour=23, minute=59, second=0) - timedelta(days=1), id="yesterday"),
        pytest.param("3:05", NOW.replace(hour=3, minute=5, second=0), id="one digit"),
        pytest.param("2026-02-28T03:12", datetime(2026, 2, 28, 3, 12, tzinfo=NOW.tzinfo), id="local ISO"),
        pytest.param("2026-02-28T03:12Z", datetime(2026, 2, 28, 3, 12, tzinfo=UTC), id="ISO with a zone"),
    ],
)
def test_moments_are_read(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "25:00", "12:61", "yesterday", "ago", "2026-13-01", "1:2:3:4"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.44, "0.4 s"), (119, "119 s"), (120, "2 min"), (3_600, "1 h"), (5_400, "1 h 30 min"), (187_200, "2 d 4 h")],
)
def test_spans_are_said(seconds: float, words: str) -> None:
    assert say_span(seconds) == words
