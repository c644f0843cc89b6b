"""The rule `wait` in the lab must not get worse unnoticed (spec A12); docs/decisions/0026 has the figures of whole traces."""

import pytest

from levqor.lab.own_rules import Wait
from levqor.lab.score import Contest, Score
from levqor.lab.simulator import Case
from levqor.lab.traces import Trace
from levqor.lab.workload import make_workload

MINUTE = 60.0


def score(counts: list[int], case: Case) -> Score:
    """Two hours whose minutes have these loads, one after another."""
    many = (counts * 120)[:120]
    trace = Trace("made", MINUTE, tuple(MINUTE * at for at in range(120)), tuple(many))
    return Contest(make_workload(trace, case.max_workers, seed=5), case).score(Wait())


STEPS = [20] * 10 + [100] * 10 + [50] * 10
WAVES = [20, 30, 45, 65, 85, 100, 85, 65, 45, 30]
FLASH = [10] * 25 + [100, 60, 35, 20, 15]


@pytest.mark.parametrize(
    ("counts", "case", "ratio", "actions"),
    [
        pytest.param(STEPS, Case(4, 2.0, 5.0, 2.0), 1.36, 55.0, id="steps"),
        pytest.param(WAVES, Case(4, 2.0, 5.0, 2.0), 1.37, 55.0, id="waves"),
        pytest.param(FLASH, Case(4, 2.0, 5.0, 2.0), 1.17, 40.0, id="flash crowds"),
        pytest.param(STEPS, Case(12, 2.0, 5.0, 2.0), 1.25, 50.0, id="steps of a larger fleet"),
        pytest.param(WAVES, Case(4, 30.0, 30.0, 5.0), 1.12, 34.0, id="slow starts"),
    ],
)
def test_it_passes_for_little_more_than_the_oracle_pays(counts: list[int], case: Case, ratio: float, actions: float) -> None:
    found = score(counts, case)
    assert found.miss <= 0.01
    assert found.ratio <= ratio
    assert found.actions_per_hour <= actions
