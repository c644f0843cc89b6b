"""The rows of a CSV file of costs."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from levqor.domain.errors import UsageError

LARGEST_BYTES = 20_000_000
TOO_MANY = "more fields than the header line"


def read_rows(file: Path, defaults: Mapping[str, str | None]) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Each row with the number of its line; an empty field has its default. Raises UsageError for a file that is none."""
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise UsageError("FILE: expected at most 20 MB: divide it")
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if reader.fieldnames is None or "amount" not in reader.fieldnames:
                raise UsageError("FILE: expected CSV whose header line names at least amount, and day or at")
            for row in reader:
                # The csv module puts what has no column under None, as a list; the row is refused for its column's name.
                named = {name or TOO_MANY: value if isinstance(value, str) else None for name, value in row.items()}
                if None in row:
                    named[TOO_MANY] = TOO_MANY
                filled = {name: default for name, default in defaults.items() if not (named.get(name) or "").strip()}
                yield reader.line_num, {**named, **filled}
    except (OSError, UnicodeDecodeError):
        raise UsageError("FILE: expected a readable file of UTF-8 text") from None
    except csv.Error:
        raise UsageError("FILE: expected CSV with balanced quotes and short fields") from None
