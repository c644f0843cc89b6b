"""`/metrics`: a view of the shared store, so that its cost does not grow with the number of processes that ever lived.

What is not known is left out, never 0: an alert on absence works, and one on a false zero would not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from levqor.domain.decisions import Action
from levqor.domain.errors import StoreDown
from levqor.domain.fleet import FleetState, QueueState, Worker, WorkerState
from levqor.domain.signals import Signals
from levqor.store.telemetry import Counts, Telemetry, Totals

HTTP_BOUNDS_S = (0.005, 0.01, 0.025, 0.04, 0.075, 0.1, 0.15, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
JOB_BOUNDS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0)

HISTOGRAMS = {
    "http": ("levqor_http_request_duration_seconds", "Time from a request's arrival to its last byte.", HTTP_BOUNDS_S),
    "wait": ("levqor_job_wait_seconds", "Time from a job's submission to its start.", JOB_BOUNDS_S),
    "run": ("levqor_job_duration_seconds", "Time that one attempt of a job ran.", JOB_BOUNDS_S),
}
LABELS = {"http": ("scope", "method", "route"), "wait": ("queue", "handler"), "run": ("queue", "handler")}
COSTS = {
    "forecast_30d": "What the next 30 days are expected to cost.",
    "today": "What this UTC day has cost so far.",
}

T = TypeVar("T")


class Reading(Protocol):
    """What the scrape shows of the monitors' last look; None where it is not known."""

    @property
    def signals(self) -> Signals: ...
    @property
    def fleet(self) -> FleetState: ...
    @property
    def queues(self) -> Sequence[QueueState] | None: ...
    @property
    def workers(self) -> Sequence[Worker] | None: ...
    @property
    def problems(self) -> Mapping[str, str]: ...


def render(
    telemetry: Telemetry,
    reading: Reading | None,
    decisions_by_action: Mapping[str, int] | None,
    costs: Mapping[str, float | None] | None = None,
    promises: Mapping[str, int] | None = None,
) -> bytes:
    """The page in Prometheus' text format. A store that is down takes its own series away, and no others."""
    registry = CollectorRegistry()
    registry.register(_Page(telemetry, reading, decisions_by_action, costs or {}, promises))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(
        self,
        telemetry: Telemetry,
        reading: Reading | None,
        decisions_by_action: Mapping[str, int] | None,
        costs: Mapping[str, float | None],
        promises: Mapping[str, int] | None,
    ) -> None:
        self._telemetry, self._reading, self._decisions_by_action, self._costs = telemetry, reading, decisions_by_action, costs
        self._promises = promises

    def describe(self) -> Iterable[Metric]:
        """Nothing is promised before the scrape: which series are known shows only then."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield _gauge("levqor_info", "The version that runs.", ("version",), [((version("levqor"),), 1.0)])
        try:
            totals = self._telemetry.totals()
        except StoreDown:
            totals = None
        if totals is not None:
            yield from _from_store(totals)
        if self._reading is not None:
            yield from _from_reading(self._reading)
        if self._decisions_by_action is not None:
            events = CounterMetricFamily("levqor_autoscale_events", "Decisions, counted when their action changed.", labels=("action",))
            for action in Action:
                events.add_metric((action.value,), self._decisions_by_action.get(action.value, 0))
            yield events
        if self._promises is not None:
            ended = CounterMetricFamily("levqor_promises", "Promises of a clear queue that ended.", labels=("state",))
            for state, count in self._promises.items():
                ended.add_metric((state,), count)
            yield ended
        for name, text in COSTS.items():
            figure = self._costs.get(name)
            if figure is not None:
                yield _gauge(f"levqor_cost_{name}", text, (), [((), figure)])


def _from_store(totals: Totals) -> Iterator[Metric]:
    for kind, (name, text, bounds_s) in HISTOGRAMS.items():
        histogram = HistogramMetricFamily(name, text, labels=LABELS[kind])
        for labels, counts in _of_kind(totals.histograms, kind):
            histogram.add_metric(labels, _cumulative(counts, bounds_s), counts.total_ms / 1000)
        yield histogram
    requests = CounterMetricFamily("levqor_http_requests", "Requests by outcome.", labels=(*LABELS["http"], "outcome"))
    for labels, counts in _of_kind(totals.histograms, "http"):
        requests.add_metric((*labels, "ok"), counts.total - counts.failed)
        requests.add_metric((*labels, "failed"), counts.failed)
    yield requests
    jobs = CounterMetricFamily(
        "levqor_jobs",
        "Attempts that succeeded or failed; jobs that died, lost their worker or were given back.",
        labels=("queue", "handler", "outcome"),
    )
    for labels, n in _of_kind(totals.counters, "job"):
        jobs.add_metric(labels, n)
    yield jobs


def _from_reading(reading: Reading) -> Iterator[Metric]:
    if "database" not in reading.problems:
        yield _gauge("levqor_worker_target", "The number of workers in force.", (), [((), float(reading.fleet.target))])
    if reading.queues is not None:
        yield from _from_queues(reading.queues)
    if reading.workers is not None:
        states = [worker.state for worker in reading.workers]
        by_state = [((state.value,), float(states.count(state))) for state in WorkerState]
        yield _gauge("levqor_workers", "Workers registered with the broker, by state.", ("state",), by_state)
    signals = reading.signals
    shown = (
        ("levqor_p95_seconds", "P95 of the service's requests in the scaling window.", signals.p95_ms, 1000.0),
        ("levqor_error_ratio", "Share of failed requests in the scaling window.", signals.error_rate, 1.0),
        ("levqor_availability_ratio", "Share of probes from outside that were answered.", signals.availability, 1.0),
        ("levqor_arrival_rate", "Jobs that arrive each second, over 15 s.", signals.arrival_rate, 1.0),
        ("levqor_mean_service_seconds", "How long a job takes, over five minutes.", signals.mean_service_s, 1.0),
        ("levqor_spend_last_24h", "Money spent in the last 24 hours.", signals.spend_last_24h, 1.0),
    )
    for name, text, signal, divisor in shown:
        if signal.value is not None:
            yield _gauge(name, text, (), [((), signal.value / divisor)])


def _from_queues(queues: Sequence[QueueState]) -> Iterator[Metric]:
    yield _gauge("levqor_queue_depth", "Jobs that wait.", ("queue",), [((queue.name,), float(queue.depth)) for queue in queues])
    ages = [((queue.name,), _oldest_age_s(queue)) for queue in queues]
    known = [(labels, age_s) for labels, age_s in ages if age_s is not None]
    yield _gauge("levqor_queue_oldest_age_seconds", "How long the oldest job has waited.", ("queue",), known)
    yield _gauge("levqor_queue_dead", "Jobs that failed for good.", ("queue",), [((queue.name,), float(queue.dead)) for queue in queues])


def _oldest_age_s(queue: QueueState) -> float | None:
    """Nothing waits in an empty queue, which is known; an unread age in a full one is not."""
    return 0.0 if queue.depth == 0 else queue.oldest_wait_s


def _gauge(name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        gauge.add_metric(values, value)
    return gauge


def _of_kind(series: Mapping[tuple[str, ...], T], kind: str) -> Iterator[tuple[tuple[str, ...], T]]:
    """Labels and figures of one kind, in a stable order."""
    for name in sorted(series):
        if name[0] == kind:
            yield name[1:], series[name]


def _cumulative(counts: Counts, bounds_s: Sequence[float]) -> list[tuple[str, float]]:
    """How many were at most each bound: exact at a counted threshold, else the bound is meant within 1 %."""
    below = counts.below(*(round(bound_s * 1000, 3) for bound_s in bounds_s))
    return [*zip(map(str, bounds_s), accumulate(below, max), strict=True), ("+Inf", counts.total)]
