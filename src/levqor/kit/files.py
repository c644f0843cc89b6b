"""Files that are shown before they are written: what would change, and the write that is whole or not at all (spec P4)."""

import difflib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from levqor.domain.errors import LevqorError, UsageError
from levqor.store.manifest import sync

MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """A file and where it belongs."""

    place: Path
    text: str

    def inside(self, folder: Path) -> "File":
        """The same in another folder, under its own name."""
        return replace(self, place=folder / self.place.name)


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to be written over what is there (None: nothing)."""

    file: File
    before: bytes | None

    def diff(self) -> str:
        """A unified diff, whoever wrote what is there."""
        before = [] if self.before is None else self.before.decode("utf-8", "replace").splitlines(keepends=True)
        name = str(self.file.place)
        lines = difflib.unified_diff(before, self.file.text.splitlines(keepends=True), name if before else "/dev/null", name)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def changes(files: Sequence[File]) -> list[Change]:
    """What differs from what is there. Raises UsageError for a place that cannot be read."""
    compared = [(file, _content(file.place)) for file in files]
    return [Change(file, before) for file, before in compared if before != file.text.encode()]


def _content(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {place}: {error.strerror or error}") from error


def write(change: Change) -> None:
    """Replace the file by one rename; of a link, what it leads to. Raises UsageError; LevqorError where somebody changed it meanwhile."""
    place = change.file.place.resolve()
    if _content(place) != change.before:
        raise LevqorError(f"{place} was changed meanwhile and is left as it is: look again")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            _fill(handle, change.file.text, place.stat().st_mode & 0o777 if change.before is not None else MODE)
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
        sync(place.parent)
    except OSError as error:
        raise UsageError(f"cannot write {place}: {error.strerror or error}; --output names another folder") from error


def _fill(handle: int, text: str, mode: int) -> None:
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
