"""Reading traces and splitting their bins into arrivals."""

import math
import statistics
from pathlib import Path

import pytest

from levqor.domain.errors import UsageError
from levqor.lab.traces import MOST_ARRIVALS, Plan, Trace, find_trace, parse_trace, plan_arrivals, read_trace, shipped_names

FLAT = Trace("flat", 10.0, tuple(at * 10.0 for at in range(100)), (20,) * 100)


def test_a_trace_is_read_with_its_width() -> None:
    trace = parse_trace("t", ["seconds,count\n", "60,3\n", "65,0\n", "\n", "75,4\n"])
    assert (trace.width_s, trace.starts_s, trace.counts) == (5.0, (0.0, 5.0, 15.0), (3, 0, 4))
    assert (trace.length_s, trace.total, trace.peak_rate) == (20.0, 7, 0.8)


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        pytest.param([], "line 1", id="empty"),
        pytest.param(["time,value"], "line 1", id="other columns"),
        pytest.param(["seconds,count", "0,1", "5,x"], "line 3", id="no number"),
        pytest.param(["seconds,count", "0,1", "5,1.5"], "line 3", id="no whole count"),
        pytest.param(["seconds,count", "0,1", "5,-1"], "line 3", id="negative"),
        pytest.param(["seconds,count", "0,1", "nan,1"], "line 3", id="nan"),
        pytest.param(["seconds,count", "0,1", "inf,1"], "line 3", id="infinite"),
        pytest.param(["seconds,count", "0,1", "5,1,2"], "line 3", id="three columns"),
        pytest.param(["seconds,count", "0,1", "0,1"], "line 3", id="time stands still"),
        pytest.param(["seconds,count", "5,1", "0,1"], "line 3", id="time runs back"),
        pytest.param(["seconds,count", "0,1"], "two bins", id="one bin"),
        pytest.param(["seconds,count", "0,0", "5,0"], "one arrival", id="nothing arrives"),
        pytest.param(["seconds,count", "0,1", "5," + "9" * 5000], "line 3", id="an endless number"),
    ],
)
def test_what_is_no_trace_is_refused_by_its_line(lines: list[str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        parse_trace("t", lines)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError):
        read_trace(path)
    with pytest.raises(UsageError, match="tweets_crm"):
        find_trace(str(tmp_path / "missing.csv"))


@pytest.mark.parametrize("name", ["azure_llm_conv", "elb_requests", "tweets_crm"])
def test_the_shipped_traces_can_be_played(name: str) -> None:
    assert name in shipped_names()
    assert find_trace(name).total > 1_000


def test_the_same_seed_plays_the_same_jobs() -> None:
    assert plan_arrivals(FLAT, Plan(seed=4)) == plan_arrivals(FLAT, Plan(seed=4))
    assert plan_arrivals(FLAT, Plan(seed=4)) != plan_arrivals(FLAT, Plan(seed=5))


def test_arrivals_keep_the_counts_and_the_lengths_on_average() -> None:
    arrivals = plan_arrivals(FLAT, Plan(service_s=1.0, sigma=0.8))
    assert len(arrivals) == pytest.approx(FLAT.total, rel=0.1)
    assert statistics.fmean(arrival.length_s for arrival in arrivals) == pytest.approx(1.0, rel=0.1)
    assert statistics.stdev(math.log(arrival.length_s) for arrival in arrivals) == pytest.approx(0.8, rel=0.1)
    assert [arrival.at_s for arrival in arrivals] == sorted(arrival.at_s for arrival in arrivals)
    assert all(0 <= arrival.at_s < 1_000 for arrival in arrivals)


def test_speed_shortens_and_keeps_every_job() -> None:
    arrivals = plan_arrivals(FLAT, Plan(speed=10))
    assert arrivals[-1].at_s < 100
    assert len(arrivals) == pytest.approx(FLAT.total, rel=0.1)


def test_the_peak_rate_is_in_played_time() -> None:
    arrivals = plan_arrivals(FLAT, Plan(speed=10, peak_rate=5))
    assert len(arrivals) / 100 == pytest.approx(5, rel=0.15)


def test_scale_and_length_limit_the_jobs() -> None:
    assert len(plan_arrivals(FLAT, Plan(scale=0.1))) == pytest.approx(200, rel=0.25)
    assert plan_arrivals(FLAT, Plan(length_s=50))[-1].at_s < 50


def test_busy_bins_are_as_good_as_poisson() -> None:
    busy = Trace("busy", 1.0, tuple(map(float, range(20))), (2_000,) * 20)
    assert len(plan_arrivals(busy, Plan())) == pytest.approx(40_000, rel=0.03)


def test_too_many_or_no_jobs_are_refused() -> None:
    with pytest.raises(UsageError, match="--scale"):
        plan_arrivals(FLAT, Plan(scale=MOST_ARRIVALS / FLAT.total * 1.01))
    with pytest.raises(UsageError, match="no job arrives"):
        plan_arrivals(FLAT, Plan(scale=0))


def test_a_window_begins_at_zero() -> None:
    part = parse_trace("t", ["seconds,count", "0,1", "5,2", "10,3", "15,4"]).window(5, 10)
    assert (part.starts_s, part.counts) == ((0.0, 5.0), (2, 3))
    with pytest.raises(UsageError, match="no bin"):
        part.window(10, None)
