"""The demo's own settings and verdict; the whole of it runs in tests/integration/test_cli_demo.py."""

from pathlib import Path

import pytest
from tests.clock import ManualClock
from tests.unit.lab.sample_recording import recording, step

from levqor.cli.demo import (
    MEAN_JOB_S,
    PEAK_RATE,
    SPEED,
    TRACE,
    TRACE_LENGTH_S,
    TRACE_START_S,
    Commentary,
    exit_code,
    is_back,
    prepare,
)
from levqor.cli.scratch import environment
from levqor.lab.recording import Sample
from levqor.lab.report import Report, summarise
from levqor.lab.traces import Plan, find_trace, plan_arrivals
from levqor.settings import Settings, load


def test_the_demo_keeps_away_from_what_the_environment_sets(tmp_path: Path) -> None:
    prepare(tmp_path, 18_000)
    theirs = {"REDIS_URL": "redis://production/0", "LEVQOR_DATABASE_URL": "postgresql://production/x", "HOST": "0.0.0.0", "PORT": "1"}
    settings = load(environ={**theirs, **environment(tmp_path)}, folder=Path("/nowhere")).settings
    assert (settings.redis_url, settings.database_url, settings.host, settings.port) == (None, None, "127.0.0.1", 18_000)
    assert settings.data == tmp_path / "data"
    assert settings.scale_down_quiet_s == 60
    assert '"WORKER_COUNT": 1' in (tmp_path / "flags.json").read_text(encoding="utf-8")


def test_every_setting_is_emptied() -> None:
    """But for the one that RQ reads too, which has its default."""
    emptied = environment(Path("/x"))
    full = {name.upper(): emptied[name.upper()] for name in Settings.model_fields if emptied[name.upper()]}
    assert full == {"RQ_KEY_PREFIX": Settings.model_fields["rq_key_prefix"].default}


def test_the_load_needs_a_second_worker_soon_and_ends() -> None:
    """More work a second than one worker can do, begun early enough for a step within 60 s."""
    trace = find_trace(TRACE).window(TRACE_START_S, TRACE_LENGTH_S)
    arrivals = plan_arrivals(trace, Plan(speed=SPEED, peak_rate=PEAK_RATE, service_s=MEAN_JOB_S))
    in_the_burst = [arrival for arrival in arrivals if 20 <= arrival.at_s < 30]
    assert sum(arrival.length_s for arrival in in_the_burst) > 20
    assert arrivals[-1].at_s < 120


@pytest.fixture
def commentary() -> Commentary:
    clock = ManualClock()
    return Commentary(clock.monotonic(), clock.monotonic)


def report(target_last: int = 1, lost: int = 0) -> Report:
    made = recording()
    for number in range(lost):
        del made.jobs[f"job-{number}"]
    made.samples.append(Sample(made.samples[-1].at_s + 1, 0, 0, target_last, target_last))
    return summarise(made)


@pytest.mark.parametrize(
    ("was_step_seen", "target_last", "lost", "code"), [(True, 1, 0, 0), (False, 1, 0, 1), (True, 1, 2, 1), (True, 2, 0, 4)]
)
def test_the_demo_fails_without_a_step_or_with_a_lost_job(
    commentary: Commentary, was_step_seen: bool, target_last: int, lost: int, code: int
) -> None:
    if was_step_seen:
        commentary.decided(step(1, 20, "scale_up", 1, 2, "depth 14 > 10"))
    assert exit_code(report(target_last, lost), commentary) == code


def test_steps_are_explained_in_sentences(commentary: Commentary) -> None:
    commentary.decided(step(1, 20, "scale_up", 1, 2, "depth 14 > 10"))
    commentary.decided(step(2, 20, "hold", 2, 2, "steady"))
    commentary.sampled(Sample(1, 14, 3, 2, 2))
    commentary.sampled(Sample(2, 12, 3, 2, 2))
    commentary.sampled(Sample(3))
    commentary.sampled(Sample(4, None, None, 2, 1))
    assert commentary.told == [
        "[0:00] step up 1 -> 2: depth 14 > 10",
        "[0:00] 2 workers running, 14 jobs waiting",
        "[0:00] 1 worker running, an unknown number of jobs waiting",
    ]


def test_a_step_that_was_not_applied_is_no_step(commentary: Commentary) -> None:
    commentary.decided(step(1, 20, "scale_up", 1, 2, "depth 14 > 10", applied=False))
    assert commentary.first_step_s is None


@pytest.mark.parametrize(("sample", "over"), [(Sample(1, 0, 0, 1, 1), True), (Sample(1, 0, 0, 1, 2), False), (Sample(1), False)])
def test_the_fleet_is_back_when_target_and_running_are_one(sample: Sample, over: bool) -> None:
    assert is_back(sample) is over
