"""Carries a recorder's counts to the store, from a thread of its own: nothing that is measured ever waits for it."""

import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from levqor.client import log
from levqor.client.recorder import Fields, Recorder, Series, overflow

if TYPE_CHECKING:
    import redis

    from levqor.client.wire import Store

PERIOD_S = 5.0
BUSY_PERIOD_S = 1.0
BUSY_OBSERVATIONS = 10
"""With this many observations since the last flush the next one comes after BUSY_PERIOD_S."""

MAX_SERIES_AT_ONCE = 50
"""A batch of more goes in parts, each taken once as well: what is built to be sent stays small."""

MAX_PENDING = 12
MAX_BATCH_AGE_S = 100.0
"""Older batches are given up: the store remembers their ids for REMEMBERED_S only, and a retry after that could count twice."""

STORE_TIMEOUT_S = 1.0

SLOT_S = 5
SLOT_KEPT_S = 900
REMEMBERED_S = 120
FORGOTTEN_S = 75
MAX_STORED_SERIES = 1000
PREFIX = "levqor:telemetry:"

FAMILY_OF_KIND = {"http": "http", "wait": "jobs", "run": "jobs", "job": "jobs", "probe": "probe"}
"""Who measures what: a family's signals are known while each of its writers reports."""

STEERING_SCOPE = "service"

# Slots follow the store's clock, less the batch's age: one clock for all hosts. A store clock that was set back takes
# the slots that are now in its future with it. `since` identifies this store's memory: a writer that knew another one
# has seen it lose telemetry.
FLUSH_SCRIPT = """
local prefix, batch = ARGV[1], cjson.decode(ARGV[2])
local slot_s, kept_s, remembered_s = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local forgotten_s, max_series = tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

local last = tonumber(redis.call('GET', prefix .. 'clock') or now)
if now < last - slot_s then
  local oldest = math.max(math.floor(now / slot_s) + 1, math.floor((last - kept_s) / slot_s))
  for slot = oldest, math.floor(last / slot_s) do
    for _, kind in ipairs(batch.slot_kinds) do redis.call('DEL', prefix .. 'slot:' .. kind .. ':' .. slot) end
  end
  for _, family in ipairs(batch.all_families) do redis.call('DEL', prefix .. 'writers:' .. family) end
  redis.call('SET', prefix .. 'lost', string.format('%.3f', now), 'EX', kept_s)
end
redis.call('SET', prefix .. 'clock', string.format('%.3f', now))

local since = redis.call('GET', prefix .. 'since')
if not since then
  since = string.format('%.3f', now - batch.age - batch.covers_s)
  redis.call('SET', prefix .. 'since', since)
end
if batch.since ~= '' and (batch.since ~= since or now > last + forgotten_s) then
  redis.call('SET', prefix .. 'lost', string.format('%.3f', now), 'EX', kept_s)
end

for _, family in ipairs(batch.families) do
  local writers = prefix .. 'writers:' .. family
  redis.call('ZADD', writers, string.format('%.3f', now), batch.writer)
  redis.call('ZREMRANGEBYSCORE', writers, '-inf', now - forgotten_s)
end

if batch.id ~= '' and redis.call('SET', prefix .. 'batch:' .. batch.id, 1, 'NX', 'EX', remembered_s) then
  local function grow(key, fields)
    for name, n in pairs(fields) do
      if name == 's' then redis.call('HINCRBYFLOAT', key, name, n) else redis.call('HINCRBY', key, name, n) end
    end
  end
  local slot = math.floor((now - batch.age) / slot_s)
  for kind, fields in pairs(batch.slots) do
    local key = prefix .. 'slot:' .. kind .. ':' .. slot
    grow(key, fields)
    redis.call('EXPIRE', key, kept_s)
  end
  for _, total in ipairs(batch.totals) do
    local series = total.series
    if redis.call('SISMEMBER', prefix .. 'series', series) == 0 then
      if redis.call('SCARD', prefix .. 'series') >= max_series then series = total.overflow end
      redis.call('SADD', prefix .. 'series', series)
    end
    grow(prefix .. 'total:' .. series, total.fields)
  end
end
return since
"""


class _Batch:
    """What one flush carries. Its id lets the store take it once, however often it is sent."""

    __slots__ = ("covers_s", "drained_at", "grown", "id")

    def __init__(self, drained_at: float, covers_s: float, grown: dict[Series, Fields]) -> None:
        self.drained_at = drained_at
        self.covers_s = covers_s
        self.grown = grown
        self.id = os.urandom(16).hex() if grown else ""

    def parts(self) -> "list[_Batch]":
        """The batch itself, or slices of it under ids that are the same whenever it is sent."""
        if len(self.grown) <= MAX_SERIES_AT_ONCE:
            return [self]
        series = list(self.grown)
        slices = [series[start : start + MAX_SERIES_AT_ONCE] for start in range(0, len(series), MAX_SERIES_AT_ONCE)]
        return [self._part(position, each) for position, each in enumerate(slices)]

    def _part(self, position: int, series: list[Series]) -> "_Batch":
        part = _Batch(self.drained_at, self.covers_s, {each: self.grown[each] for each in series})
        part.id = f"{self.id}.{position}"
        return part

    @property
    def observations(self) -> float:
        return sum(n for fields in self.grown.values() for name, n in fields.items() if name[0] in "bn")


def connect(url: str) -> "redis.Redis":
    """A client whose every call ends within STORE_TIMEOUT_S or so: no retries of its own, since our batches have ids."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url, socket_timeout=STORE_TIMEOUT_S, socket_connect_timeout=STORE_TIMEOUT_S, retry=Retry(NoBackoff(), 0), health_check_interval=0
    )


def _open(url: str) -> "Store":
    """Ours, not a driver's: importing one costs the app more memory than all of its telemetry."""
    from levqor.client.wire import Store

    return Store(url, STORE_TIMEOUT_S)


class Flusher:
    """Flushes `recorder` every `period_s`, more often while busy. Whatever happens to the store, the process never hears of it.

    A forked child goes on in its parent's name: its own counts, the same writer, and a thread of its own, at once if
    `goes_on_in_children`, else when it is started again. At once is wrong where threads may be greenlets: starting one
    inside `fork` would let the parent's requests run in the child.
    """

    _stop: threading.Event
    _flushing: threading.Lock
    _pending: deque[_Batch]
    _drained_at: float

    def __init__(
        self,
        recorder: Recorder,
        store: "str | Callable[[], redis.Redis]",
        writer_id: str,
        period_s: float = PERIOD_S,
        goes_on_in_children: bool = True,
    ) -> None:
        self.recorder = recorder
        self.writer_id = writer_id
        self.dropped = 0
        self._connect: Callable[[], redis.Redis | Store] = (lambda: _open(store)) if isinstance(store, str) else store
        self._period_s = period_s
        self._goes_on_in_children = goes_on_in_children
        self._owner_pid = os.getpid()
        self._client: redis.Redis | Store | None = None
        self._script: Any = None
        self._thread: threading.Thread | None = None
        self._is_failing = False
        self._since = ""
        self._make_anew()
        _restart_in_children(self)

    def start(self) -> None:
        """Starts the thread; a second call changes nothing."""
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="levqor-flush", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def flush_once(self) -> bool:
        """Sends everything that is counted and not yet sent; for a process that is about to end. False: the store did not take it."""
        try:
            self._flush()
        except Exception as error:
            self._report(error)
            return False
        self._is_failing = False
        return True

    def close(self) -> None:
        """Flushes a last time and signs the writer off, so that its silence from now on means nothing.

        The thread does it where there is one: whatever the store or a name server does, this returns after 2 * STORE_TIMEOUT_S.
        """
        if self._stop.is_set():
            return
        self._stop.set()
        atexit.unregister(self.close)
        if self._thread is None:
            self._finish()
        elif self._thread is not threading.current_thread():
            self._thread.join(2 * STORE_TIMEOUT_S)

    def _run(self) -> None:
        wait_s = min(self._period_s, BUSY_PERIOD_S)
        while not self._stop.wait(wait_s):
            wait_s = self._period_s
            try:
                if self._flush() >= BUSY_OBSERVATIONS:
                    wait_s = min(self._period_s, BUSY_PERIOD_S)
                self._is_failing = False
            except Exception as error:
                self._report(error)
        self._finish()

    def _finish(self) -> None:
        if self.flush_once() and os.getpid() == self._owner_pid:
            self._sign_off()
        if self._client is not None:
            self._client.close()

    def _flush(self) -> float:
        """One round: what grew becomes a batch, and all that wait are sent, oldest first. Answers how many observations grew."""
        with self._flushing:
            batch = self._drained()
            if batch.grown:
                self._pending.append(batch)
            self._drop_old()
            for waiting in list(self._pending) or [batch]:
                self._send(waiting)
                if self._pending:
                    self._pending.popleft()
            return batch.observations

    def _drained(self) -> _Batch:
        now = time.monotonic()
        covers_s, self._drained_at = now - self._drained_at, now
        return _Batch(now, covers_s, self.recorder.drain())

    def _drop_old(self) -> None:
        now = time.monotonic()
        while self._pending and (len(self._pending) > MAX_PENDING or now - self._pending[0].drained_at > MAX_BATCH_AGE_S):
            self._pending.popleft()
            self.dropped += 1

    def _send(self, batch: _Batch) -> None:
        if self._client is None:
            self._client = self._connect()
            self._script = self._client.register_script(FLUSH_SCRIPT)
        for part in batch.parts():
            arguments = [PREFIX, self._payload(part), SLOT_S, SLOT_KEPT_S, REMEMBERED_S, FORGOTTEN_S, MAX_STORED_SERIES]
            since = self._script(args=arguments)
            self._since = since.decode() if isinstance(since, bytes) else str(since)

    def _payload(self, batch: _Batch) -> str:
        import json

        return json.dumps(
            {
                "id": batch.id,
                "age": max(0.0, time.monotonic() - batch.drained_at),
                "covers_s": batch.covers_s,
                "writer": self.writer_id,
                "since": self._since,
                "families": sorted({FAMILY_OF_KIND[kind] for kind in self.recorder.kinds if kind in FAMILY_OF_KIND}),
                "all_families": sorted(set(FAMILY_OF_KIND.values())),
                "slot_kinds": sorted(FAMILY_OF_KIND),
                "slots": _by_slot(batch.grown),
                "totals": [
                    {"series": json.dumps(series), "overflow": json.dumps(overflow(series)), "fields": fields}
                    for series, fields in batch.grown.items()
                ],
            }
        )

    def _sign_off(self) -> None:
        try:
            if self._client is not None:
                for family in set(FAMILY_OF_KIND.values()):
                    self._client.zrem(f"{PREFIX}writers:{family}", self.writer_id)
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        """One line per outage, without the text of the error, which may hold a URL."""
        if not self._is_failing:
            self._is_failing = True
            refusal = f": {error}" if type(error).__name__ == "StoreRefused" else ""
            log.warning("telemetry does not reach its store (%s%s); the app is not affected", type(error).__name__, refusal)

    def _make_anew(self) -> None:
        self._stop = threading.Event()
        self._flushing = threading.Lock()
        self._pending = deque()
        self._drained_at = time.monotonic()

    def _continue_in_child(self) -> None:
        was_running = self._thread is not None and not self._stop.is_set()
        self._make_anew()
        self._client = self._script = self._thread = None
        if was_running and self._goes_on_in_children:
            self.start()


def _by_slot(grown: dict[Series, Fields]) -> dict[str, Fields]:
    """Sums over all series that a window reads as one: by kind, requests in the steering scope only, jobs by outcome."""
    slots: dict[str, Fields] = {}
    for series, fields in grown.items():
        kind = series[0]
        if kind not in FAMILY_OF_KIND or (kind == "http" and series[1] != STEERING_SCOPE):
            continue
        slot = slots.setdefault(kind, {})
        for name, n in fields.items():
            key = f"n:{series[-1]}" if name == "n" else name
            slot[key] = slot.get(key, 0) + n
    return slots


def _restart_in_children(flusher: Flusher) -> None:
    reference = weakref.ref(flusher)

    def restart() -> None:
        if (flusher := reference()) is not None:
            flusher._continue_in_child()

    os.register_at_fork(after_in_child=restart)
