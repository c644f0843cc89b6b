"""What a drill is: a fault, a run that makes it and looks on, and the promises that several drills share."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from levqor.lab.stage import Stage
from levqor.lab.verdicts import Jobs, Promise, Verdict, nothing_of

WORKERS = 2
BACK_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a drill's run saw; the verdict adds what all drills look at."""

    promises: tuple[Promise, ...]
    jobs: Jobs = field(default_factory=Jobs)
    detect_s: float | None = None
    recover_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault. `settings` and `flags` are put over those that all drills share."""

    fault: str
    run: Callable[[Stage], Found]
    settings: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)
    team: str | None = None
    """The kind of fleet of a team that has a queue and workers of its own; None: everything is Levqor's."""


def perform(name: str, drill: Drill, stage: Stage) -> Verdict:
    """Make the fault on a stage that is ready, and judge."""
    begin = stage.clock.monotonic()
    found = drill.run(stage)
    return Verdict(
        name,
        drill.fault,
        stage.clock.monotonic() - begin,
        found.promises,
        found.jobs,
        found.detect_s,
        found.recover_s,
        tuple(stage.actions()),
        tuple(message.line for message in stage.receiver.arrived),
    )


def same_workers(stage: Stage, before: Iterable[int]) -> Promise:
    stage.until(lambda: stage.serving() == frozenset(before), BACK_WITHIN_S)
    after = stage.serving()
    return Promise("no worker is restarted", bool(after) and after == frozenset(before), f"{sorted(before)} -> {sorted(after)}")


def nothing_automatic(stage: Stage) -> tuple[Promise, Promise]:
    """Levqor may repair processes of its own, and otherwise keeps its hands off and its mouth shut."""
    opened = [f"incident {incident['id']}: {incident['cause']}" for incident in stage.incidents()]
    return (
        nothing_of("no incident is opened, no recovery begins, no step is made", [*opened, *stage.actions()]),
        nothing_of("no alert is told", [*stage.opened_alerts(), *(episode["key"] for episode in stage.episodes())]),
    )


def told_once(stage: Stage) -> Promise:
    """Flapping or not, each episode is told, and once."""

    def untold() -> list[str]:
        told = {message.key for message in stage.receiver.arrived}
        return [episode["key"] for episode in stage.episodes() if episode["key"] not in told]

    stage.until(lambda: not untold(), BACK_WITHIN_S, 0.5)
    times = Counter((message.key, message.kind) for message in stage.receiver.arrived)
    wrong = [f"{kind} {key}: {count} times" for (key, kind), count in times.items() if count > 1]
    wrong += [f"{key} was not told" for key in untold()]
    found = "; ".join(wrong) or f"{len(times)} messages"
    return Promise("each episode is told once, signed", bool(times) and not wrong and stage.receiver.are_signed, found)


def worst(seconds: Iterable[float | None]) -> float | None:
    """The longest; None where one was never seen."""
    found = list(seconds)
    known = [one for one in found if one is not None]
    return max(known) if known and len(known) == len(found) else None
