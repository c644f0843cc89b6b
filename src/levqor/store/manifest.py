"""`manifest.json` of a backup: what belongs to it, byte for byte; and files that are on the disk when a call returns (spec P4)."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a backup."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "FileFacts":
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return cls(size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup's list of contents. It carries a checksum of its own, so that a change of any byte of it shows."""

    created_at: datetime
    version: str
    revision: str | None
    database: str
    rows: Mapping[str, int]
    files: Mapping[str, FileFacts]

    def render(self) -> bytes:
        """The file's only right content."""
        facts = self._facts()
        return (json.dumps({**facts, "checksum": _checksum(facts)}, indent=2) + "\n").encode()

    @property
    def checksum(self) -> str:
        return _checksum(self._facts())

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Raises ValueError where any byte is not as it was written, or where a newer Levqor wrote it."""
        try:
            found = json.loads(data)
            if found["format"] != FORMAT:
                raise ValueError(f"of format {found['format']}, this version reads {FORMAT}")
            manifest = cls(
                created_at=datetime.fromisoformat(found["created_at"]),
                version=found["version"],
                revision=found["revision"],
                database=found["database"],
                rows=dict(found["rows"]),
                files={name: FileFacts(facts["size"], facts["sha256"]) for name, facts in found["files"].items()},
            )
            is_whole = manifest.render() == data
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise ValueError("not readable") from None
        if not is_whole:
            raise ValueError("altered since it was written")
        return manifest

    def _facts(self) -> dict[str, Any]:
        files = {name: {"size": facts.size, "sha256": facts.sha256} for name, facts in sorted(self.files.items())}
        return {
            "format": FORMAT,
            "created_at": self.created_at.isoformat(),
            "version": self.version,
            "revision": self.revision,
            "database": self.database,
            "rows": dict(sorted(self.rows.items())),
            "files": files,
        }


def _checksum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def create_private(path: Path) -> None:
    """An empty file for our eyes only. Raises FileExistsError where there is one."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def write_private(path: Path, data: bytes) -> None:
    """Write a new file for our eyes only; on the disk when this returns."""
    create_private(path)
    with path.open("r+b") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """What was written to a file, or renamed in a folder, is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
