"""A steady load on one address, and what came back, as seen from outside."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from levqor.ports import Clock

TIMEOUT_S = 10.0
SLOT_S = 5.0
SICK_SHARE = 0.05
"""With this share of bad answers within a slot whatever answers is sick; a busy machine alone makes fewer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was sent, how long it took, and whether it failed."""

    at: float
    ms: float
    is_failed: bool


@dataclass(slots=True)
class SteadyLoad:
    """An open loop at a fixed rate in a thread of its own: requests leave on time, however long the answers take."""

    url: str
    rate_per_s: float
    clock: Clock
    answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "SteadyLoad":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_S + 5.0)

    async def _run(self) -> None:
        begin, number = self.clock.monotonic(), 0
        under_way: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            while not self._stop.is_set():
                number += 1
                task = asyncio.create_task(self._ask(client))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                await asyncio.sleep(max(0.0, begin + number / self.rate_per_s - self.clock.monotonic()))
            await asyncio.gather(*under_way)

    async def _ask(self, client: httpx.AsyncClient) -> None:
        at = self.clock.monotonic()
        try:
            is_failed = (await client.get(self.url)).status_code >= 500
        except httpx.HTTPError:
            is_failed = True
        self.answers.append(Answer(at, (self.clock.monotonic() - at) * 1000, is_failed))

    def failed_since(self, at: float) -> tuple[int, int]:
        """Failures, and requests, that were sent after a moment."""
        sent = [answer for answer in list(self.answers) if answer.at >= at]
        return sum(answer.is_failed for answer in sent), len(sent)


def sick_until(answers: Sequence[Answer], is_bad: Callable[[Answer], bool]) -> float | None:
    """When the last bad answer of a sick slot was asked for; None: never sick. A bad answer alone, now and then, is no sickness."""
    slots: dict[int, list[Answer]] = {}
    for answer in answers:
        slots.setdefault(int(answer.at // SLOT_S), []).append(answer)
    bad = {number: [answer.at for answer in slot if is_bad(answer)] for number, slot in slots.items()}
    return max((max(times) for number, times in bad.items() if times and len(times) >= SICK_SHARE * len(slots[number])), default=None)
