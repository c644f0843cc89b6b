"""KEDA and Kubernetes' HPA as a loop, as far as a metrics-api trigger goes: polls, arithmetic, tolerance, rate policies, fallback."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HPA_PERIOD_S = 15

Poll = Callable[[], tuple[int, Any]]
"""One GET: status and JSON body."""


def at_path(document: Any, path: str) -> float:
    """GJSON's plain paths: keys and indexes between dots. Raises ValueError for what is no number, as the scaler does."""
    for part in path.split("."):
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{path} is not there") from error
    if isinstance(document, bool) or not isinstance(document, int | float):
        raise ValueError(f"{path} is no number")
    return float(document)


@dataclass
class Behavior:
    """`advanced.horizontalPodAutoscalerConfig.behavior.scaleUp` or `.scaleDown`: one Pods policy without a window, and a tolerance."""

    pods: int
    period_s: int
    tolerance: float = 0.1

    @classmethod
    def of(cls, rules: dict[str, Any]) -> "Behavior":
        (policy,) = rules["policies"]
        assert policy["type"] == "Pods"
        assert rules["stabilizationWindowSeconds"] == 0
        return cls(policy["value"], policy["periodSeconds"], float(rules.get("tolerance", 0.1)))


@dataclass
class Loop:
    """One ScaledObject's life, in turns of 15 s. `replicas` is what runs."""

    poll: Poll
    up: Behavior
    down: Behavior
    minimum: int
    maximum: int
    fallback_replicas: int
    failure_threshold: int
    replicas: int = 1
    now_s: int = 0
    failures: int = 0
    moves: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, scaled_object: dict[str, Any], poll: Poll, replicas: int) -> "Loop":
        """As the YAML says it."""
        spec = scaled_object["spec"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        fallback = spec["fallback"]
        assert fallback["behavior"] == "currentReplicasIfHigher"
        (trigger,) = spec["triggers"]
        path, target = trigger["metadata"]["valueLocation"], float(trigger["metadata"]["targetValue"])
        assert (trigger["metricType"], target) == ("AverageValue", 1.0)

        def value() -> tuple[int, Any]:
            status, body = poll()
            return status, at_path(body, path) if status == 200 else None

        return cls(
            value,
            Behavior.of(behavior["scaleUp"]),
            Behavior.of(behavior["scaleDown"]),
            spec["minReplicaCount"],
            spec["maxReplicaCount"],
            fallback["replicas"],
            fallback["failureThreshold"],
            replicas,
        )

    def turn(self) -> int:
        """Poll once and move; how many run then. Only 200 counts as an answer."""
        self.now_s += HPA_PERIOD_S
        wanted = self._wanted()
        if wanted is not None:
            self._move(self._limited(max(self.minimum, min(self.maximum, wanted))))
        return self.replicas

    def settle(self, turns: int = 200) -> int:
        """After so many turns of an answer that stays."""
        for _ in range(turns):
            self.turn()
        return self.replicas

    def _wanted(self) -> int | None:
        status, value = self.poll()
        if status == 200:
            self.failures = 0
            return self._average_value(value)
        self.failures += 1
        if self.failures <= self.failure_threshold:
            return None  # an error: the HPA leaves all as it is
        return self._average_value(float(max(self.replicas, self.fallback_replicas)))

    def _average_value(self, value: float) -> int:
        """HPA for an external metric with AverageValue 1: within tolerance nothing moves, whatever the ceiling says."""
        if self.replicas == 0:
            return math.ceil(value)
        ratio = value / self.replicas
        if 1.0 - self.down.tolerance <= ratio <= 1.0 + self.up.tolerance:
            return self.replicas
        return math.ceil(value)

    def _limited(self, wanted: int) -> int:
        rule = self.up if wanted > self.replicas else self.down
        sign = 1 if wanted > self.replicas else -1
        lately = sum(abs(change) for at_s, change in self.moves if change * sign > 0 and self.now_s - at_s < rule.period_s)
        left = max(0, rule.pods - lately)
        return min(wanted, self.replicas + left) if sign > 0 else max(wanted, self.replicas - left)

    def _move(self, wanted: int) -> None:
        if wanted != self.replicas:
            self.moves.append((self.now_s, wanted - self.replicas))
            self.replicas = wanted
