"""Which versions of RQ a team's workers run, and so what Levqor may do beside them.

Workers say it themselves, in the facts that each registers with the broker. Levqor reads what it has been tried with, and moves
jobs only where its steps have been tried against that version's own workers (`tests/contract/test_rq_versions.py`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from levqor.domain.errors import GuardRefused

OBSERVED_FROM = (1, 16)
ACTED_FROM = (2, 12)
REFUSED_FROM = (4,)
"""A major that nobody has tried: its keys may mean something else."""

VERSION_FIELD, PYTHON_FIELD = "version", "python_version"
"""The fields of a worker's facts in the broker."""

_NUMBERS = re.compile(r"\d{1,6}(?:\.\d{1,6})*")
_SHOWN = 20


class Support(StrEnum):
    """What Levqor does beside workers of a version."""

    ACTED = "acted"
    OBSERVED = "observed"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from all workers' versions, the strictest first. `sentence` says what to do; empty where all is well."""

    support: Support
    rq_versions: tuple[str, ...]
    python_versions: tuple[str, ...]
    sentence: str = ""

    def check_readable(self) -> None:
        """Raises GuardRefused where the broker's keys may not mean what Levqor takes them for."""
        if self.support is Support.REFUSED:
            raise GuardRefused(self.sentence)

    def allows_act(self, *, unseen: bool = False) -> bool:
        """May jobs be moved? `unseen`: yes as well where no worker tells a version."""
        return self.support is Support.ACTED or (unseen and self.support is Support.UNKNOWN)

    def check_act(self, *, unseen: bool = False) -> None:
        """Raises GuardRefused where jobs may not be moved."""
        if not self.allows_act(unseen=unseen):
            raise GuardRefused(self.sentence)


def support_of(version: str | None) -> Support:
    """What may be done beside a worker of this version of RQ; None: it does not tell."""
    found = _NUMBERS.match(version or "")
    if found is None:
        return Support.UNKNOWN
    numbers = tuple(int(part) for part in found[0].split("."))
    if numbers < OBSERVED_FROM or numbers >= REFUSED_FROM:
        return Support.REFUSED
    return Support.ACTED if numbers >= ACTED_FROM else Support.OBSERVED


def standing_of(workers: Iterable[tuple[str | None, str | None]]) -> Standing:
    """The standing of a broker by each living worker's version of RQ and of Python."""
    known = list(workers)
    by_support: dict[Support, list[str]] = {}
    for version, _ in known:
        by_support.setdefault(support_of(version), []).append(_shown(version))
    support = next((each for each in (Support.REFUSED, Support.OBSERVED, Support.UNKNOWN, Support.ACTED) if each in by_support), None)
    return Standing(
        support=support or Support.UNKNOWN,
        rq_versions=_distinct(_shown(version) for version, _ in known if version),
        python_versions=_distinct(_shown((python or "").split(" ")[0]) for _, python in known if python),
        sentence=_sentence(support, _distinct(by_support.get(support, ())) if support else ()),
    )


def _sentence(support: Support | None, versions: Sequence[str]) -> str:
    named = ", ".join(versions)
    if support is None:
        return "no RQ worker is listed, so its version is not known and Levqor only observes: start one of your workers"
    if support is Support.UNKNOWN:
        return "a worker does not tell its version of RQ, so Levqor only observes: start your workers with RQ 2.12 or later"
    if support is Support.OBSERVED:
        return f"workers run RQ {named}, which Levqor only observes: upgrade them to RQ 2.12 or later (below 4) to let it act"
    if support is Support.REFUSED:
        return f"workers run RQ {named}, which this Levqor does not know: it reads RQ 1.16 to 3.x; {_mend(versions)}"
    return ""


def _mend(versions: Sequence[str]) -> str:
    is_old = any(tuple(int(part) for part in found[0].split(".")) < OBSERVED_FROM for each in versions if (found := _NUMBERS.match(each)))
    return "upgrade those workers to RQ 2.12 or later" if is_old else "upgrade Levqor, or run those workers with RQ 3.x"


def _shown(version: str | None) -> str:
    """What a worker wrote about itself, as far as it is a version."""
    return "".join(letter for letter in (version or "") if letter.isalnum() or letter in ".+-_")[:_SHOWN]


def _distinct(versions: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({version for version in versions if version}))
