"""When which alert goes through which channel: order of severity, retries, reminders, a rate per channel. Pure."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from levqor.domain.alerts import Delivery, Kind, Severity, State
from levqor.domain.errors import DeliveryError

NOTHING_DUE = -1.0
"""The timer of a delivery for which nothing more is to be done."""
DAY_S = 86_400.0
RANK = {Severity.PAGE: 0, Severity.TICKET: 1, Severity.INFO: 2}


SECRET_PREFIX = "whsec_"  # noqa: S105 (the form of a secret, none itself)


def signing_key(secret: str) -> bytes:
    """The key in a webhook's secret of the form `whsec_` and base64. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("expected whsec_ and the base64 of 24 to 64 bytes")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """The dials of delivery."""

    reminders_s: tuple[float, ...] = (3_600.0, 14_400.0, DAY_S)
    """Waits between reminders while an episode stays open; the last repeats."""
    retry_first_s: float = 5.0
    retry_most_s: float = 900.0
    attempts_most: int = 100
    """About a day of retries; then the delivery has failed."""
    repeat_wait_s: float = 60.0
    """A delivery that got no answer is told once more after this long."""
    resolved_hold_s: float = 300.0
    """A resolved notice waits this long; if the cause comes back meanwhile, neither is told (no flapping)."""
    per_minute: int = 6
    """Messages through one channel; chat services refuse more."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt."""

    state: State
    due_in_s: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A channel's tokens, and when they were counted on the monotonic clock."""

    tokens: float
    at: float

    def refilled(self, now: float, per_minute: int) -> "Bucket":
        """With what has come in since."""
        return Bucket(min(float(per_minute), self.tokens + max(0.0, now - self.at) * per_minute / 60.0), now)

    def spent(self) -> "Bucket":
        return Bucket(self.tokens - 1.0, self.at)

    @property
    def has_token(self) -> bool:
        return self.tokens >= 1.0 - 1e-9


def retry_wait_s(rules: AlertRules, attempts: int, jitter: float) -> float:
    """How long to wait after this many attempts: doubling, with `jitter` in 0..1 taking up to half of it off."""
    full = min(rules.retry_most_s, rules.retry_first_s * 2.0 ** min(attempts - 1, 30))
    return max(rules.retry_first_s, full * (1.0 - 0.5 * jitter))


def reminder_wait_s(rules: AlertRules, told: int) -> float:
    """How long until the next reminder, when this many have been told."""
    return rules.reminders_s[min(told, len(rules.reminders_s) - 1)]


def verdict(delivery: Delivery, failure: DeliveryError | None, rules: AlertRules, jitter: float) -> Verdict:
    """Judge an attempt. `delivery` is as it was before: unknown means that an earlier attempt may have arrived."""
    if failure is None:
        return Verdict(State.SENT, NOTHING_DUE, None)
    is_last = delivery.alert.kind == Kind.TEST or delivery.attempts + 1 >= rules.attempts_most
    if failure.unknown:
        # Told once more and no oftener: a receiver that takes messages and never answers must not be flooded.
        due_in_s = NOTHING_DUE if is_last or delivery.may_repeat else max(rules.repeat_wait_s, failure.retry_after_s or 0.0)
        return Verdict(State.UNKNOWN, due_in_s, str(failure))
    if failure.permanent or is_last:
        return Verdict(State.UNKNOWN if delivery.may_repeat else State.FAILED, NOTHING_DUE, str(failure))
    due_in_s = max(retry_wait_s(rules, delivery.attempts + 1, jitter), min(failure.retry_after_s or 0.0, DAY_S))
    return Verdict(State.UNKNOWN if delivery.may_repeat else State.PENDING, due_in_s, str(failure))


def is_settled(judged: Verdict) -> bool:
    """Is no further attempt to come?"""
    return judged.due_in_s < 0


def choose(deliveries: Iterable[Delivery], buckets: Mapping[str, Bucket], elapsed_s: float) -> list[Delivery]:
    """The next delivery of each channel in `buckets` that has a token: the gravest first, then the oldest.

    `elapsed_s` is the time that `due_in_s` has yet to be counted down by.
    """
    chosen: dict[str, Delivery] = {}
    told_in_order: set[tuple[str, int]] = set()
    candidates = []
    for delivery in sorted(deliveries, key=lambda each: each.alert.id):
        story = None if delivery.episode_id is None else (delivery.channel, delivery.episode_id)
        is_open_end = delivery.is_waiting or delivery.state is State.SENDING
        if _is_due(delivery, elapsed_s) and story not in told_in_order:
            candidates.append(delivery)
        if story is not None and is_open_end and delivery.alert.kind != Kind.REMINDER:
            told_in_order.add(story)  # what comes later in this episode waits: nobody is told of an end before the beginning
    for delivery in sorted(candidates, key=lambda each: (RANK[each.alert.severity], each.alert.id)):
        bucket = buckets.get(delivery.channel)
        if bucket is not None and bucket.has_token:
            chosen.setdefault(delivery.channel, delivery)
    return list(chosen.values())


def _is_due(delivery: Delivery, elapsed_s: float) -> bool:
    if not delivery.is_waiting or delivery.due_in_s - elapsed_s > 1e-6:
        return False
    return delivery.alert.kind != Kind.REMINDER or delivery.is_episode_open
