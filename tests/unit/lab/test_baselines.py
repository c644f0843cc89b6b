"""The baselines: small cases whose answers follow from the products' documentation."""

from dataclasses import replace

import pytest
from tests.unit.lab.ticking import CALM, targets

from levqor.domain.errors import UsageError
from levqor.lab.baselines.aws import BacklogPerWorker, BusyShare
from levqor.lab.baselines.celery import Celery
from levqor.lab.baselines.fixed import FullFleet, OneWorker
from levqor.lab.baselines.history import Beat, Window
from levqor.lab.baselines.hpa import Keda, hpa_depth, hpa_in_system
from levqor.lab.baselines.judoscale import Judoscale
from levqor.lab.baselines.knative import Knative
from levqor.lab.policies import POLICIES, make_policy
from levqor.lab.ticks import Tick

WIDE = replace(CALM, max_workers=40)


def every(step: float, until: float) -> list[float]:
    return [step * number for number in range(1, int(until / step) + 1)]


def loaded(**changes: float | None) -> Tick:
    return replace(WIDE, **changes)  # type: ignore[arg-type]


def test_fixed_fleets() -> None:
    assert (OneWorker().decide(WIDE), FullFleet().decide(WIDE)) == (1, 40)


def test_a_beat_is_due_once_a_period_and_a_window_forgets() -> None:
    beat = Beat(15.0)
    assert [t for t in every(5.0, 50.0) if beat.is_due(t)] == [5.0, 20.0, 35.0, 50.0]
    slow = Beat(15.0)
    assert all(slow.is_due(t) for t in every(60.0, 300.0))
    window = Window(60.0)
    for t in (0.0, 30.0, 60.0):
        window.add(t, t)
    assert window.values() == [30.0, 60.0]
    assert window.mean() == 45.0


def test_hpa_on_depth_jumps_to_the_demand_and_leaves_five_minutes_after_its_last_peak() -> None:
    def at(t: float) -> Tick:
        return loaded(depth=16 if t <= 5.0 else 0)

    answers = targets(hpa_depth(), every(5.0, 320.0), at)
    assert answers[0] == 4, "ceil(16 / 5)"
    assert answers[: int(300 / 5)] == [4] * 60
    assert answers[-1] == 1


def test_hpa_grows_by_four_or_twofold_in_a_step() -> None:
    assert targets(hpa_depth(), every(15.0, 60.0), lambda _t: loaded(depth=500)) == [5, 10, 20, 40]


def test_hpa_leaves_a_tenth_alone() -> None:
    assert hpa_depth().decide(loaded(depth=54, target=10)) == 10, "1.08 of the target is within the tolerance"
    assert hpa_depth().decide(loaded(depth=56, target=10)) == 12


def test_hpa_in_the_system_counts_running_jobs_too() -> None:
    assert hpa_in_system().decide(loaded(depth=1, busy=3, draining=1, target=3)) == 4


def test_hpa_holds_where_its_metric_is_not_known() -> None:
    assert hpa_depth().decide(loaded(depth=None, target=7)) == 7
    assert hpa_in_system().decide(loaded(depth=90, busy=None, target=7)) == 7


def test_keda_reads_every_thirty_seconds() -> None:
    answers = targets(Keda(), every(5.0, 40.0), lambda t: loaded(depth=0 if t <= 5.0 else 20))
    assert answers == [1, 1, 1, 1, 1, 1, 4, 4], "read at 5 and 35 s, and the HPA looks every 15"


def test_knative_wants_seventy_percent_of_a_slot_over_a_minute() -> None:
    answers = targets(Knative(), every(5.0, 60.0), lambda _t: loaded(depth=0, busy=7), target=10)
    assert set(answers) == {10}


def test_knative_panics_at_twice_its_capacity_and_does_not_shrink_for_a_minute() -> None:
    answers = targets(Knative(), every(5.0, 180.0), lambda t: loaded(depth=14 if t in (60.0, 65.0) else 0), target=4)
    assert answers[:11] == [2, *[1] * 10]
    assert answers[11:13] == [10, 20], "ceil(14 / 0.7), once both samples of 6 s show it"
    assert set(answers[12:24]) == {20}, "for 60 s"
    assert answers[24:29] == [10, 5, 2, 1, 1], "half, the largest step down"


def test_celery_grows_to_what_it_has_reserved_and_shrinks_half_a_minute_after_it_grew() -> None:
    never_grown = targets(Celery(), every(5.0, 120.0), lambda _t: loaded(), target=3)
    assert set(never_grown) == {3}
    answers = targets(Celery(), every(5.0, 60.0), lambda t: loaded(depth=5 if t == 5.0 else 0, busy=1))
    assert answers[:7] == [6] * 7
    assert answers[7] == 1
    assert Celery().decide(replace(CALM, depth=1000)) == 4


def test_judoscale_like_steps_up_once_a_minute_and_down_after_ten_quiet_ones() -> None:
    up = targets(Judoscale(), every(5.0, 130.0), lambda _t: loaded(oldest_wait_s=2.6))
    assert (up[0], up[11], up[12], up[-1]) == (2, 2, 3, 4)
    assert set(targets(Judoscale(), every(5.0, 100.0), lambda _t: loaded(oldest_wait_s=2.5))) == {1}, "half the SLO is within the range"
    down = targets(Judoscale(), every(10.0, 1300.0), lambda _t: loaded(oldest_wait_s=0.4), target=5)
    assert down.count(5) == 60
    assert down[-1] == 3
    assert set(targets(Judoscale(), every(10.0, 1300.0), lambda _t: loaded(oldest_wait_s=0.5), target=5)) == {5}


def test_target_tracking_goes_out_in_proportion_after_three_minutes_and_in_by_one_after_fifteen() -> None:
    out = targets(BacklogPerWorker(), every(5.0, 240.0), lambda _t: loaded(depth=30), target=2)
    assert out[:35] == [2] * 35
    assert out[35] == 6, "15 waiting a worker, 5 are the target"
    inwards = targets(BusyShare(), every(5.0, 1195.0), lambda _t: loaded(utilisation=0.62), target=5)
    assert inwards.count(5) == 15 * 12 - 1
    assert inwards[-1] == 4, "and 300 s to the next"
    assert set(targets(BusyShare(), every(5.0, 1200.0), lambda _t: loaded(utilisation=0.64), target=5)) == {5}


@pytest.mark.parametrize("name", list(POLICIES))
def test_no_policy_falls_over_an_unknown_signal_nor_shrinks_by_one(name: str) -> None:
    unknown = replace(
        WIDE,
        target=3,
        workers=3,
        depth=None,
        busy=None,
        oldest_wait_s=None,
        arrivals=None,
        started=None,
        mean_service_s=None,
        utilisation=None,
    )
    answers = targets(make_policy(name), every(5.0, 900.0), lambda _t: unknown, target=3)
    if not name.startswith("static"):
        assert set(answers) == {3}


@pytest.mark.parametrize("name", list(POLICIES))
def test_no_policy_falls_over_an_empty_pool(name: str) -> None:
    policy = make_policy(name)
    for t in every(5.0, 120.0):
        policy.decide(replace(WIDE, t=t, target=0, workers=0, min_workers=0, depth=3, oldest_wait_s=t, utilisation=None))


def test_an_unknown_name_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match=r"no policy; expected one of: threshold, .*aws-busy"):
        make_policy("nope")


def test_threshold_is_the_live_rule_at_its_own_pace() -> None:
    deep = targets(make_policy("threshold"), every(5.0, 40.0), lambda _t: loaded(depth=11))
    assert deep == [2, 2, 2, 3, 3, 3, 4, 4], "one step a tick of 15 s"
    assert set(targets(make_policy("threshold"), every(5.0, 40.0), lambda _t: loaded(depth=10, p95_wait_s=0.150))) == {1}
    assert targets(make_policy("threshold"), [5.0], lambda _t: loaded(depth=0, p95_wait_s=0.151)) == [2]
    calm = targets(make_policy("threshold"), every(5.0, 1300.0), lambda _t: loaded(depth=0, p95_wait_s=0.039), target=3)
    assert calm.index(2) * 5 + 5 == pytest.approx(605, abs=15)
    assert calm[-1] == 1
    assert set(targets(make_policy("threshold"), every(5.0, 1300.0), lambda _t: loaded(p95_wait_s=0.040), target=3)) == {3}
