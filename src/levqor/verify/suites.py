"""The suites by name, run stage after stage until one fails (spec V1)."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from levqor.ports import Clock
from levqor.verify.checks import Outcome, Result, Stage, perform
from levqor.verify.doors import own
from levqor.verify.integrity import Premises, integrity
from levqor.verify.ops import ops
from levqor.verify.public import public
from levqor.verify.target import Target
from levqor.verify.v6_2 import v6_2

OVERALL_S = 300.0
INTEGRITY_OVERALL_S = 1_500.0
"""Shorter than the schedule's patience with it."""


class Suite(StrEnum):
    """What can be asked for."""

    PUBLIC = "public"
    V6_2 = "v6_2"
    OPS = "ops"
    ALL = "all"
    INTEGRITY = "integrity"

    @property
    def overall_s(self) -> float:
        """The longest that all of it may take."""
        return INTEGRITY_OVERALL_S if self is Suite.INTEGRITY else OVERALL_S


def stages(suite: Suite, target: Target, premises: Premises) -> tuple[Stage, ...]:
    """What the suite is made of, in its order."""
    asked = {Suite.PUBLIC: (public(target, premises.clock),), Suite.V6_2: (v6_2(target),), Suite.OPS: (ops(target),)}
    if suite in asked:
        return asked[suite]
    is_local = target.place.is_local
    everything = (*(stage for found in asked.values() for stage in found), *own(premises.database, is_local=is_local))
    return everything if suite is Suite.ALL else (*everything, *integrity(premises, is_local=is_local))


def run(todo: Sequence[Stage], overall_s: float, clock: Clock, mask: Callable[[str], str]) -> Iterator[Result]:
    """Each check's result as it comes. The first stage with a FAIL is finished and is the last one.

    `mask` takes secrets out of what was seen: an answer may hold any.
    """
    deadline = clock.monotonic() + overall_s
    for stage in todo:
        has_failed = False
        for check in stage.checks:
            left_s = max(0.0, deadline - clock.monotonic())
            result = perform(check, stage.name, min(check.limit_s, left_s), clock, mask)
            has_failed = has_failed or result.outcome is Outcome.FAIL
            yield result
        if has_failed:
            return
