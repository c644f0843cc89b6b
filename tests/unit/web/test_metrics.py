"""`/metrics`: what is known is exact, what is not known is absent (spec A10, S3)."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from levqor.client.recorder import Recorder
from levqor.domain.errors import StoreDown
from levqor.domain.fleet import FleetKind, FleetState, QueueState, Worker, WorkerState
from levqor.domain.signals import Signal, Signals
from levqor.store.telemetry import Counts, Totals
from levqor.web.metrics import render

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class FakeReading:
    signals: Signals = field(default_factory=Signals)
    fleet: FleetState = field(default_factory=lambda: FleetState("default", FleetKind.AGENT, ("default",), 2, None))
    queues: list[QueueState] | None = None
    workers: list[Worker] | None = None
    problems: dict[str, str] = field(default_factory=dict)


class FakeTelemetry:
    """Answers from a recorder of this process, or not at all."""

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder

    def totals(self) -> Totals:
        if self._recorder is None:
            raise StoreDown("away")
        drained = self._recorder.drain()
        counters = {series: int(fields["n"]) for series, fields in drained.items() if "n" in fields}
        return Totals({series: Counts.of(fields) for series, fields in drained.items() if "n" not in fields}, counters)


def scraped(recorder: Recorder | None, reading: FakeReading | None = None, decisions: dict[str, int] | None = None) -> Samples:
    """Every sample of the page, as a scraper reads it."""
    telemetry: Any = FakeTelemetry(recorder)
    page = render(telemetry, reading, decisions).decode()
    families = text_string_to_metric_families(page)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def one(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def names(samples: Samples) -> set[str]:
    return {name for name, _ in samples}


HTTP = {"scope": "service", "method": "GET", "route": "/items/{id}"}


def test_buckets_at_the_thresholds_are_exact() -> None:
    """S2: 40, 150 and 200 ms are bounds of their own, and no bucket's width blurs them."""
    recorder = Recorder()
    for ms in (39.9, 40.1, 149.9, 150.1, 199.9, 200.1):
        recorder.observe(("http", *HTTP.values()), ms, failed=ms > 200)
    samples = scraped(recorder)
    bucket = "levqor_http_request_duration_seconds_bucket"
    assert [one(samples, bucket, **HTTP, le=bound) for bound in ("0.04", "0.15", "0.2", "+Inf")] == [1, 3, 5, 6]
    assert one(samples, "levqor_http_request_duration_seconds_count", **HTTP) == 6
    assert one(samples, "levqor_http_request_duration_seconds_sum", **HTTP) == pytest.approx(0.78)
    assert one(samples, "levqor_http_requests_total", **HTTP, outcome="failed") == 1
    assert one(samples, "levqor_http_requests_total", **HTTP, outcome="ok") == 5


def test_buckets_never_fall() -> None:
    recorder = Recorder()
    for ms in range(1, 100_000, 37):
        recorder.observe(("http", *HTTP.values()), float(ms))
    samples = scraped(recorder)
    bounds = {float(dict(labels)["le"]): value for (name, labels), value in samples.items() if name.endswith("_bucket")}
    values = [bounds[bound] for bound in sorted(bounds)]
    assert values == sorted(values)
    assert bounds[1.0] == pytest.approx(1_000 / 37, abs=1)


def test_buckets_do_not_fall_although_a_flush_caught_an_observation_halfway() -> None:
    """The bucket is counted, the threshold not yet: the next flush brings it."""
    halfway = Counts.of({"b640": 1, "t200.0": 1})
    telemetry: Any = FakeTelemetry(None)
    telemetry.totals = lambda: Totals({("http", *HTTP.values()): halfway}, {})
    page = render(telemetry, None, None).decode()
    values = [float(line.rpartition(" ")[2]) for line in page.splitlines() if "_bucket{" in line]
    assert values == sorted(values)
    assert halfway.buckets.quantile(1.0) == pytest.approx(313, abs=5)


def test_jobs_have_waits_durations_and_outcomes() -> None:
    recorder = Recorder()
    recorder.observe(("wait", "default", "mail"), 20_000.0)
    recorder.observe(("run", "default", "mail"), 7_200_000.0)
    recorder.count(("job", "default", "mail", "dead"), 3)
    samples = scraped(recorder)
    job = {"queue": "default", "handler": "mail"}
    assert one(samples, "levqor_job_wait_seconds_bucket", **job, le="10.0") == 0
    assert one(samples, "levqor_job_wait_seconds_bucket", **job, le="30.0") == 1
    assert one(samples, "levqor_job_duration_seconds_bucket", **job, le="3600.0") == 0
    assert one(samples, "levqor_job_duration_seconds_bucket", **job, le="14400.0") == 1
    assert one(samples, "levqor_jobs_total", **job, outcome="dead") == 3


def test_a_store_that_is_down_takes_only_its_own_series_away() -> None:
    """S3: unknown is never zero."""
    samples = scraped(None, FakeReading(), {"scale_up": 2})
    assert names(samples) == {"levqor_info", "levqor_worker_target", "levqor_autoscale_events_total"}
    assert one(samples, "levqor_autoscale_events_total", action="scale_up") == 2
    assert one(samples, "levqor_autoscale_events_total", action="freeze") == 0
    assert one(samples, "levqor_worker_target") == 2


def test_what_is_not_known_is_absent() -> None:
    """S3, A10: nothing read yet, no reading at all, no count of decisions."""
    assert names(scraped(Recorder(), FakeReading())) == {"levqor_info", "levqor_worker_target"}
    assert names(scraped(None)) == {"levqor_info"}


def test_a_target_that_cannot_be_read_is_absent_and_not_zero() -> None:
    """S3: without the database the reading's target means nothing; a scaler that follows the gauge must not see 0."""
    samples = scraped(Recorder(), FakeReading(fleet=FleetState("default", FleetKind.AGENT, (), 0, None), problems={"database": "away"}))
    assert "levqor_worker_target" not in names(samples)


def test_what_is_known_is_shown() -> None:
    """A10: the inputs."""
    signals = Signals(
        p95_ms=Signal.of(150.0),
        error_rate=Signal.of(0.25),
        availability=Signal.of(0.999),
        spend_last_24h=Signal.of(0.0),
        forecast_next_30d=Signal.not_configured(),
    )
    queues = [QueueState("default", 7, 12.5, 1, 0, 2), QueueState("empty", 0, None, 0, 0, 0), QueueState("odd", 3, None, 0, 0, 0)]
    workers = [Worker("a", "host", 1, WorkerState.BUSY), Worker("b", "host", 2, WorkerState.BUSY)]
    samples = scraped(Recorder(), FakeReading(signals=signals, queues=queues, workers=workers))
    assert one(samples, "levqor_p95_seconds") == 0.15
    assert one(samples, "levqor_error_ratio") == 0.25
    assert one(samples, "levqor_availability_ratio") == 0.999
    assert one(samples, "levqor_spend_last_24h") == 0
    assert one(samples, "levqor_queue_depth", queue="default") == 7
    assert one(samples, "levqor_queue_dead", queue="default") == 2
    assert one(samples, "levqor_queue_oldest_age_seconds", queue="default") == 12.5
    assert one(samples, "levqor_queue_oldest_age_seconds", queue="empty") == 0
    assert ("levqor_queue_oldest_age_seconds", frozenset({("queue", "odd")})) not in samples, "a full queue whose age was not read"
    assert one(samples, "levqor_workers", state="busy") == 2
    assert one(samples, "levqor_workers", state="idle") == 0


@pytest.mark.parametrize("costs", [None, {}, {"forecast_30d": None, "today": None}])
def test_costs_that_are_not_known_are_absent(costs: dict[str, float | None] | None) -> None:
    """C5, S3."""
    telemetry: Any = FakeTelemetry(None)
    assert b"levqor_cost" not in render(telemetry, None, None, costs)


def test_costs_that_are_known_are_shown_also_when_they_are_zero() -> None:
    """C5."""
    telemetry: Any = FakeTelemetry(None)
    text = render(telemetry, None, None, {"forecast_30d": 1200.5, "today": 0.0}).decode()
    assert "levqor_cost_forecast_30d 1200.5" in text
    assert "levqor_cost_today 0.0" in text


def test_labels_may_hold_anything() -> None:
    recorder = Recorder()
    odd = 'a "quoted"\\path\n{x}'
    recorder.observe(("http", "service", "GET", odd), 1.0)
    assert one(scraped(recorder), "levqor_http_request_duration_seconds_count", scope="service", method="GET", route=odd) == 1
