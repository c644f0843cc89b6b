"""A recording as a replay of a burst would leave it: two steps up, a gap, two steps down."""

from datetime import UTC, datetime, timedelta
from typing import Any

from levqor.lab.recording import JobEnd, Posted, Recording, Sample
from levqor.lab.records import SeenDecision, SeenReason

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def step(number: int, at_s: float, action: str, current: int, target: int, text: str, applied: bool = True) -> SeenDecision:
    reasons = (SeenReason("depth_high" if action == "scale_up" else "calm", text),)
    inputs: dict[str, dict[str, Any]] = {"queue_depth": {"state": "value", "value": 14.0}, "p95_ms": {"state": "no_traffic", "value": None}}
    at = START + timedelta(seconds=at_s)
    return SeenDecision(action, current, target, current, at, reasons, "", "act", applied, "", number, inputs)


def target_at(at_s: float) -> int:
    return 1 if at_s < 20 else 2 if at_s < 26 else 3 if at_s < 110 else 2 if at_s < 170 else 1


def recording() -> Recording:
    due = [at / 4 for at in range(60, 200)]
    made = Recording("burst", "sleep", START, due)
    for index, at_s in enumerate(due):
        made.posted.append(Posted(at_s, 0.002, 202, f"job-{index}"))
        made.jobs[f"job-{index}"] = JobEnd(f"job-{index}", "succeeded", 1, 0, index / 20)
    for at_s in range(200):
        depth = max(0.0, min(at_s - 14, 60 - at_s) * 1.2)
        if 80 <= at_s < 95:
            made.samples.append(Sample(float(at_s)))
            continue
        target = target_at(at_s)
        made.samples.append(Sample(float(at_s), round(depth), depth / 2, target, target_at(at_s - 2), "act"))
    made.decisions += [
        step(1, 19.6, "scale_up", 1, 2, "depth 14 > 10"),
        step(2, 25.7, "scale_up", 2, 3, "depth 16 > 10"),
        step(3, 109.5, "scale_down", 3, 2, "calm for 60 s, 60 s are enough"),
        step(4, 169.5, "scale_down", 2, 1, "calm for 60 s, 60 s are enough"),
    ]
    return made
