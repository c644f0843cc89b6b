"""Files of activity: CSV or a JSON object a line, perhaps packed, read a line at a time with the place after each."""

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from levqor.domain.errors import UsageError

MAX_LINE_BYTES = 1_000_000
HEAD_BYTES = 65_536
"""So much of a file's beginning tells whether it is still the same file."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read."""

    kind: str
    """`csv` or `ndjson`."""
    delimiter: str
    """One character; a blank stands for any run of them."""
    columns: tuple[str, ...] | None
    """Names of the columns where the file has no header."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file: how many bytes, and their fingerprint."""

    length: int
    digest: str


@dataclass(frozen=True, slots=True)
class Row:
    """What one line holds, or why it holds nothing."""

    line: int
    fields: dict[str, Any] | ValueError


@dataclass(slots=True)
class Lines:
    """The lines of a stream, each bounded. What cannot be read as text is left in `bad`."""

    stream: io.BufferedReader
    offset: int = 0
    number: int = 0
    bad: list[Row] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        while raw := self.stream.readline(MAX_LINE_BYTES):
            self.number, self.offset = self.number + 1, self.offset + len(raw)
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                self._skip()
                continue
            try:
                yield raw.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError:
                self.bad.append(Row(self.number, ValueError("not UTF-8")))

    def _skip(self) -> None:
        """Pass over the rest of a line without holding it."""
        self.bad.append(Row(self.number, ValueError(f"longer than {MAX_LINE_BYTES} bytes")))
        while raw := self.stream.readline(MAX_LINE_BYTES):
            self.offset += len(raw)
            if raw.endswith(b"\n"):
                return


class EventFile:
    """One file, or standard input, opened for reading."""

    def __init__(self, stream: io.BufferedReader, packed: io.BufferedReader, size: int | None) -> None:
        self._stream, self._packed = stream, packed
        self.size = size
        """Bytes on disk; None for standard input."""
        self.lines = Lines(stream)

    @property
    def is_resumable(self) -> bool:
        return self.size is not None

    def read_so_far(self) -> int:
        """Bytes of `size`, for a progress bar."""
        return self._packed.tell() if self.size is not None else 0

    def head(self, length: int) -> Head:
        """A fingerprint of the first bytes, as they are unpacked. Goes back to the start."""
        self._stream.seek(0)
        found = self._stream.read(length)
        self._stream.seek(0)
        return Head(len(found), hashlib.sha256(found).hexdigest())

    def go_to(self, offset: int, number: int) -> None:
        """Read on from there."""
        self._stream.seek(offset)
        self.lines.offset, self.lines.number = offset, number

    def first_byte(self) -> bytes:
        return self._stream.peek(1)[:1]

    def header(self, layout: Layout) -> tuple[str, ...]:
        """The columns' names. Raises UsageError where there are none."""
        if layout.columns is not None:
            return layout.columns
        for cells in _cells(iter(self.lines), layout.delimiter):
            return tuple(cell.strip() for cell in cells)
        raise UsageError("the file is empty: the first line must name the columns, or --columns")

    def rows(self, layout: Layout, names: Sequence[str]) -> Iterator[Row]:
        """Each line's fields; after each, `lines` is at its end."""
        found = self._json_rows() if layout.kind == "ndjson" else self._csv_rows(layout.delimiter, names)
        for row in found:
            yield from self._bad()
            yield row
        yield from self._bad()

    def _bad(self) -> Iterator[Row]:
        while self.lines.bad:
            yield self.lines.bad.pop(0)

    def _json_rows(self) -> Iterator[Row]:
        for text in self.lines:
            if text.strip():
                yield Row(self.lines.number, _object(text))

    def _csv_rows(self, delimiter: str, names: Sequence[str]) -> Iterator[Row]:
        for cells in _cells(iter(self.lines), delimiter):
            if isinstance(cells, ValueError):
                yield Row(self.lines.number, cells)
            elif len(cells) < len(names):
                yield Row(self.lines.number, ValueError(f"expected {len(names)} columns, found {len(cells)}"))
            elif cells:
                yield Row(self.lines.number, dict(zip(names, (cell.strip() for cell in cells), strict=False)))


def _cells(lines: Iterator[str], delimiter: str) -> Iterator[Any]:
    """Each line's cells, or a ValueError; empty lines are passed over."""
    if delimiter == " ":
        yield from (cells for line in lines if (cells := line.split()))
        return
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield ValueError("not CSV; is a quotation mark not closed?")
            continue
        if cells:
            yield cells


def _object(text: str) -> dict[str, Any] | ValueError:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return ValueError(f"not JSON at column {error.colno}")
    except (ValueError, RecursionError):
        return ValueError("not JSON that is taken here")
    return value if isinstance(value, dict) else ValueError("expected an object")


@contextmanager
def opened(path: str) -> Iterator[EventFile]:
    """The file, unpacked if it is gzip; `-` is standard input. Raises UsageError where it cannot be read."""
    with _bytes_of(path) as packed:
        is_packed = packed.peek(2)[:2] == b"\x1f\x8b"
        unpacked = cast("io.RawIOBase", gzip.GzipFile(fileobj=packed)) if is_packed else None
        stream = packed if unpacked is None else cast("io.BufferedReader", io.BufferedReader(unpacked))
        try:
            yield EventFile(stream, packed, None if path == "-" else Path(path).stat().st_size)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise UsageError(f"{path}: the gzip is broken; whole batches before that place are taken") from None


@contextmanager
def _bytes_of(path: str) -> Iterator[io.BufferedReader]:
    if path == "-":
        yield cast("io.BufferedReader", sys.stdin.buffer)
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 (closed below; an error inside is not one of opening)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    with file:
        yield file
