"""Windows over what all processes counted: read and merged inside the store, in one round trip."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis

from levqor.client.buckets import Sketch, rank_of
from levqor.client.flush import FAMILY_OF_KIND, FORGOTTEN_S, PREFIX, SLOT_KEPT_S, SLOT_S
from levqor.domain.errors import StoreDown

SILENT_S = 15.0
"""Three periods of a writer: one that is silent for longer leaves a share of the window unknown."""

SHORTEST_SPAN_S = 1.0

SUM_FUNCTION = """
local function sums(prefix, kind, first, last)
  local found = {}
  for slot = first, last do
    local fields = redis.call('HGETALL', prefix .. 'slot:' .. kind .. ':' .. slot)
    for place = 1, #fields, 2 do
      found[fields[place]] = (found[fields[place]] or 0) + fields[place + 1]
    end
  end
  return found
end
"""

WINDOW_SCRIPT = f"""{SUM_FUNCTION}
local prefix, seconds, slot_s, family = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local first = math.floor((now - seconds) / slot_s)
local answer = {{
  now = string.format('%.3f', now), first = first * slot_s, kinds = {{}},
  since = redis.call('GET', prefix .. 'since'), lost = redis.call('GET', prefix .. 'lost'),
  writers = redis.call('ZRANGE', prefix .. 'writers:' .. family, 0, -1, 'WITHSCORES'),
}}
for position = 5, #ARGV do
  answer.kinds[ARGV[position]] = sums(prefix, ARGV[position], first, math.floor(now / slot_s))
end
return cjson.encode(answer)
"""

SPAN_SCRIPT = f"""{SUM_FUNCTION}
local prefix, first, last = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local answer = {{kinds = {{}}, since = redis.call('GET', prefix .. 'since'), lost = redis.call('GET', prefix .. 'lost')}}
for position = 4, #ARGV do
  answer.kinds[ARGV[position]] = sums(prefix, ARGV[position], first, last)
end
return cjson.encode(answer)
"""

TOTALS_SCRIPT = """
local prefix, answer = ARGV[1], {}
for _, series in ipairs(redis.call('SMEMBERS', prefix .. 'series')) do
  answer[series] = redis.call('HGETALL', prefix .. 'total:' .. series)
end
return cjson.encode(answer)
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """One kind of observation, merged: `over` holds the exact number that took at least so many ms."""

    total: int = 0
    failed: int = 0
    total_ms: float = 0.0
    over: dict[float, int] = field(default_factory=dict)
    buckets: Sketch = field(default_factory=Sketch)

    def at_least(self, ms: float) -> int:
        """How many took at least `ms`: exact where every process counts that threshold, else from the buckets."""
        return self.total - self.below(ms)[0]

    def below(self, *bounds_ms: float) -> list[int]:
        """How many took less than each of these; exact or from the buckets, as `at_least`."""
        from_buckets = self.buckets.at_most(*bounds_ms)
        return [self.total - self.over[ms] if ms in self.over else n for ms, n in zip(bounds_ms, from_buckets, strict=True)]

    def quantile(self, q: float) -> float | None:
        """Latency in ms, within 1 %; the exact counts keep it on its true side of each threshold."""
        value = self.buckets.quantile(q)
        if value is None:
            return None
        not_above = self.total - rank_of(q, self.total)
        for threshold, over in self.over.items():
            value = max(value, threshold) if over > not_above else min(value, threshold * (1 - 1e-9))
        return value

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Counts":
        """From a hash of fields, as the recorder names them. A threshold that was not tested on all is left out."""
        buckets = Sketch({int(name[1:]): int(n) for name, n in fields.items() if name[0] == "b"})
        total = buckets.total
        tested = (name[1:] for name, n in fields.items() if name[0] == "t" and int(n) == total)
        over = {float(threshold): int(fields.get(f"o{threshold}", 0)) for threshold in tested}
        return cls(total, int(fields.get("f", 0)), float(fields.get("s", 0.0)), over, buckets)


@dataclass(frozen=True, slots=True)
class HttpWindow:
    """The service's requests in the last `span_s` seconds. A `problem` means unknown, whatever the numbers are."""

    requests: int
    failed: int
    over: dict[float, int]
    buckets: dict[int, int]
    age_s: float | None
    problem: str | None
    span_s: float

    def quantile(self, q: float) -> float | None:
        """Latency in ms within 1 %, on its true side of each counted threshold; None without a request."""
        return self._counts.quantile(q)

    def at_least(self, ms: float) -> int:
        """How many requests took `ms` or more."""
        return self._counts.at_least(ms)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.span_s

    @property
    def _counts(self) -> Counts:
        return Counts(self.requests, self.failed, 0.0, self.over, Sketch(self.buckets))


@dataclass(frozen=True, slots=True)
class JobsWindow:
    """Jobs of all queues in the last `span_s` seconds: what became of them, their waits and runs in ms."""

    outcomes: dict[str, int]
    waits: Counts
    runs: Counts
    age_s: float | None
    problem: str | None
    span_s: float

    @property
    def failures(self) -> int:
        """Attempts that raised, retried or not. A job that is dead for losing its workers did not raise."""
        return self.runs.failed


@dataclass(frozen=True, slots=True)
class ProbesWindow:
    """Probes from outside in the last `span_s` seconds."""

    total: int
    failed: int
    age_s: float | None
    problem: str | None
    span_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """Everything that was counted between two moments; both lie on slot boundaries, so spans never share an observation."""

    http: Counts
    outcomes: dict[str, int]
    waits: Counts
    runs: Counts
    probes: Counts


Series = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything counted since the store's memory begins."""

    histograms: dict[Series, Counts]
    counters: dict[Series, int]


@dataclass(frozen=True, slots=True)
class _Window:
    kinds: dict[str, dict[str, Any]]
    age_s: float | None
    problem: str | None
    span_s: float


class Telemetry:
    """Reads what the flushers wrote. Every call raises StoreDown when the store does not answer."""

    def __init__(self, client: redis.Redis, is_gone: Callable[[str], bool] = lambda _writer: False) -> None:
        """`is_gone` says of a writer whether its process has surely ended: nobody waits for what it might still say."""
        self._is_gone = is_gone
        self._client = client
        self._window_script = client.register_script(WINDOW_SCRIPT)
        self._span_script = client.register_script(SPAN_SCRIPT)
        self._totals_script = client.register_script(TOTALS_SCRIPT)

    def http_window(self, seconds: float) -> HttpWindow:
        """The service's own requests; Levqor's other routes steer nothing (spec S1)."""
        window = self._read(seconds, "http", ("http",))
        counts = Counts.of(window.kinds["http"])
        return HttpWindow(counts.total, counts.failed, counts.over, counts.buckets, window.age_s, window.problem, window.span_s)

    def jobs_window(self, seconds: float) -> JobsWindow:
        window = self._read(seconds, "jobs", ("wait", "run", "job"))
        outcomes = _outcomes(window.kinds["job"])
        waits, runs = Counts.of(window.kinds["wait"]), Counts.of(window.kinds["run"])
        return JobsWindow(outcomes, waits, runs, window.age_s, window.problem, window.span_s)

    def probes_window(self, seconds: float) -> ProbesWindow:
        """A window without a single probe is a problem: somebody has stopped looking."""
        window = self._read(seconds, "probe", ("probe",))
        counts = Counts.of(window.kinds["probe"])
        problem = window.problem or (None if counts.total else f"no probe in the last {window.span_s:.0f} s")
        return ProbesWindow(counts.total, counts.failed, window.age_s, problem, window.span_s)

    def now(self) -> float:
        """The store's clock, epoch seconds: the one that dates everything counted. Raises StoreDown."""
        try:
            seconds, micros = self._client.time()
        except (redis.RedisError, OSError) as error:
            raise StoreDown(f"the telemetry store does not answer ({type(error).__name__})") from error
        return float(seconds + micros / 1e6)

    def between(self, start_s: float, end_s: float) -> Span | None:
        """What was counted in [start_s, end_s), epoch seconds of the store's clock, multiples of the slot's width.

        None where the store has lost a part of it: then nobody knows.
        """
        first, last = round(start_s / SLOT_S), round(end_s / SLOT_S) - 1
        answer = self._ask(self._span_script, [PREFIX, first, last, *FAMILY_OF_KIND])
        since, lost = float(answer.get("since") or end_s), float(answer.get("lost") or 0.0)
        if since >= end_s or start_s <= lost:
            return None
        kinds = answer["kinds"]
        return Span(
            Counts.of(kinds["http"]), _outcomes(kinds["job"]), Counts.of(kinds["wait"]), Counts.of(kinds["run"]), Counts.of(kinds["probe"])
        )

    def totals(self) -> Totals:
        """Cumulative counts of every series, for `/metrics`."""
        histograms: dict[Series, Counts] = {}
        counters: dict[Series, int] = {}
        for name, pairs in self._ask(self._totals_script, [PREFIX]).items():
            fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
            if "n" in fields:
                counters[tuple(json.loads(name))] = int(fields["n"])
            elif fields:
                histograms[tuple(json.loads(name))] = Counts.of(fields)
        return Totals(histograms, counters)

    def _read(self, seconds: float, family: str, kinds: tuple[str, ...]) -> _Window:
        seconds = min(max(seconds, SHORTEST_SPAN_S), SLOT_KEPT_S - SLOT_S)
        answer = self._ask(self._window_script, [PREFIX, seconds, SLOT_S, family, *kinds])
        now = float(answer["now"])
        heard = self._heard(list(answer["writers"]), now)
        begin = max(float(answer["first"]), float(answer.get("since") or answer["first"]))
        problem = _problem(family, heard, now - float(answer["lost"]) if answer.get("lost") else None, seconds)
        return _Window(answer["kinds"], max(heard, default=None), problem, max(now - begin, SHORTEST_SPAN_S))

    def _heard(self, writers: list[Any], now: float) -> list[float]:
        """How long ago each writer was heard. A silent one is missed for a while, unless it cannot come back."""
        ages = {str(name): max(0.0, now - float(score)) for name, score in zip(writers[::2], writers[1::2], strict=True)}
        return [age for name, age in ages.items() if age <= SILENT_S or (age <= FORGOTTEN_S and not self._is_gone(name))]

    def _ask(self, script: Any, arguments: list[Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(script(args=arguments))
        except (redis.RedisError, OSError) as error:
            raise StoreDown(f"the telemetry store does not answer ({type(error).__name__})") from error
        return answer


def _outcomes(fields: dict[str, Any]) -> dict[str, int]:
    return {name[2:]: int(n) for name, n in fields.items() if name.startswith("n:")}


_MEASURERS = {"http": "requests", "jobs": "jobs", "probe": "probes"}


def _problem(family: str, heard: list[float], lost_s: float | None, seconds: float) -> str | None:
    """Why a window is unknown, or None. Every share counts: one silent process is enough."""
    what = _MEASURERS[family]
    if not heard:
        return f"no process reports {what}"
    if max(heard) > SILENT_S:
        silent = sum(1 for age in heard if age > SILENT_S)
        return f"{silent} of {len(heard)} processes that report {what} silent for {max(heard):.0f} s"
    if lost_s is not None and 0 <= lost_s < seconds:
        return f"the store lost its telemetry {lost_s:.0f} s ago"
    return None
