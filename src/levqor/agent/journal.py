"""`agent.json`: who our children are, for the agent that comes after us if we are killed (spec P7)."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from levqor.agent.premises import write_private
from levqor.agent.process import Child
from levqor.host import ProcessIdentity

log = logging.getLogger(__name__)

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One child as it was last recorded."""

    role: str
    name: str
    identity: ProcessIdentity
    mark: str
    is_draining: bool = False

    def adopted(self) -> Child:
        return Child(self.role, self.name, self.identity, self.mark)


@dataclass(frozen=True, slots=True)
class Record:
    """What an agent leaves to its successor."""

    target: int | None = None
    children: tuple[Entry, ...] = ()


class Journal:
    """The file. It is written only when something changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: str | None = None

    def read(self) -> Record:
        """The last record. A broken file is set aside: marked processes are found without it."""
        if not self._path.exists():
            return Record()
        try:
            return _parse(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            aside = self._path.with_suffix(".json.broken")
            log.warning("%s is not readable (%s) and is set aside as %s", self._path, error, aside.name)
            self._path.replace(aside)
            return Record()

    def write(self, target: int | None, children: Iterable[Child], draining: frozenset[str] = frozenset()) -> None:
        text = json.dumps(
            {
                "schema": SCHEMA,
                "target": target,
                "children": [
                    {
                        "role": child.role,
                        "name": child.name,
                        "identity": str(child.identity),
                        "mark": child.mark,
                        "draining": child.name in draining,
                    }
                    for child in children
                ],
            },
            indent=1,
        )
        if text != self._written:
            write_private(self._path, text + "\n")
            self._written = text


def _parse(data: dict[str, object]) -> Record:
    target, children = data["target"], data["children"]
    if not (target is None or (isinstance(target, int) and target >= 0)) or not isinstance(children, list):
        raise ValueError("target or children are of the wrong type")
    return Record(
        target,
        tuple(
            Entry(str(row["role"]), str(row["name"]), ProcessIdentity.parse(row["identity"]), str(row["mark"]), bool(row["draining"]))
            for row in children
        ),
    )
