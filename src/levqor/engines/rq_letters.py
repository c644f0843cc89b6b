"""What RQ keeps of a dead letter, read as text: nothing that was pickled is ever opened (spec X4)."""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import redis

from levqor.client import rq_scripts as steps
from levqor.client.rq_scripts import text
from levqor.domain.dead_letters import DeadLetter

TRACE_BYTES = 200_000
ERROR_LENGTH = 500

OTHER = "other"
"""The function of a job that somebody described in words."""

Entry = tuple[str, str, float]
"""Queue, job and the score of its registry's entry."""

_FUNCTION = re.compile(r"([A-Za-z_][\w.]*)(?:\(|$)")
_FIELDS = (
    "status", "origin", "description", "ended_at", "failure_ttl", steps.HANDLER, steps.ERROR, steps.DIED_AT,
    steps.ATTEMPTS, steps.LOSSES, steps.FLUSHES, steps.QUARANTINED_AT, steps.QUARANTINED_WHY,
)  # fmt: skip


def read_letters(client: redis.Redis, prefix: str, entries: Sequence[Entry]) -> list[DeadLetter]:
    """Two round trips. An entry whose job is gone is no letter any more."""
    pipeline = client.pipeline(transaction=False)
    for _, job_id, _ in entries:
        pipeline.hmget(f"{prefix}:job:{job_id}", _FIELDS)
    rows = zip(entries, pipeline.execute(), strict=True)
    known = [
        (entry, {name: text(value) for name, value in zip(_FIELDS, row, strict=True) if value is not None})
        for entry, row in rows
        if row[0] is not None
    ]
    traces = read_traces(client, prefix, [job_id for (_, job_id, _), facts in known if steps.HANDLER not in facts])
    return [_letter(job_id, queue, score, facts, traces.get(job_id, "")) for (queue, job_id, score), facts in known]


def read_traces(client: redis.Redis, prefix: str, job_ids: Sequence[str]) -> dict[str, str]:
    """The traceback of each job's last failure; empty where none is kept."""
    pipeline = client.pipeline(transaction=False)
    for job_id in job_ids:
        pipeline.xrevrange(f"{prefix}:results:{job_id}", count=1)
        pipeline.hget(f"{prefix}:job:{job_id}", "exc_info")
    answers = pipeline.execute() if job_ids else []
    return {job_id: _trace(answers[2 * at], answers[2 * at + 1]) for at, job_id in enumerate(job_ids)}


def function_of(description: str) -> str:
    """A foreign job's function by its description, without the arguments; `other` where somebody described it in words."""
    found = _FUNCTION.match(description)
    return found[1] if found else OTHER


def moment_of(stamp: str) -> datetime | None:
    """RQ's way of writing a time. None: there is none, or none that can be read."""
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC) if stamp else None
    except (ValueError, OverflowError):
        return None


def waiting_since(queued_at: bytes | None, enqueued_at: bytes | None) -> float | None:
    """Since when a queued job could have been run, in epoch seconds."""
    if queued_at:
        return float(queued_at)
    moment = moment_of(text(enqueued_at)) if enqueued_at else None
    return moment.timestamp() if moment else None


def _letter(job_id: str, queue: str, score: float, facts: Mapping[str, str], trace: str) -> DeadLetter:
    handler, is_foreign = facts.get(steps.HANDLER), steps.HANDLER not in facts
    quarantined_at = facts.get(steps.QUARANTINED_AT)
    return DeadLetter(
        job_id=job_id,
        queue=queue,
        handler=function_of(facts.get("description", "")) if handler is None else handler,
        error=(_last_line(trace) if is_foreign else facts.get(steps.ERROR)) or None,
        died_at=_died_at(facts, score, is_quarantined=quarantined_at is not None),
        attempts=None if is_foreign else int(facts.get(steps.ATTEMPTS, 0)),
        losses=None if is_foreign else int(facts.get(steps.LOSSES, 0)),
        flushes=int(facts.get(steps.FLUSHES, 0)),
        is_foreign=is_foreign,
        quarantined_at=None if quarantined_at is None else datetime.fromtimestamp(float(quarantined_at), UTC),
        why=facts.get(steps.QUARANTINED_WHY),
    )


def _died_at(facts: Mapping[str, str], score: float, *, is_quarantined: bool) -> datetime | None:
    """As recorded; else when RQ says that it ended; else by when the registry lets go of it. None: nobody knows."""
    if facts.get(steps.DIED_AT):
        return datetime.fromtimestamp(float(facts[steps.DIED_AT]), UTC)
    if facts.get("ended_at"):
        return moment_of(facts["ended_at"])
    if is_quarantined or not 0 < score < float("inf"):
        return None
    try:
        return datetime.fromtimestamp(max(0.0, score - float(facts.get("failure_ttl") or steps.DEAD_TTL_S)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _trace(results: Any, exc_info: bytes | None) -> str:
    """The traceback that RQ keeps beside a job: zipped text."""
    if results:
        packed = dict(results[0][1]).get(b"exc_string", b"")
        try:
            return _unzipped(base64.b64decode(packed, validate=True)) if packed else ""
        except (binascii.Error, zlib.error):
            return ""
    if not exc_info:
        return ""
    try:
        return _unzipped(exc_info)
    except zlib.error:
        return exc_info[:TRACE_BYTES].decode(errors="replace")


def _unzipped(data: bytes) -> str:
    return zlib.decompressobj().decompress(data, TRACE_BYTES).decode(errors="replace")


def _last_line(trace: str) -> str:
    """`ValueError: no such user`: the line that a traceback ends with, before any further lines of its message."""
    lines = [line for line in trace.splitlines() if line and not line[0].isspace() and _FUNCTION.match(line.partition(":")[0])]
    return lines[-1][:ERROR_LENGTH] if lines else trace.strip().rpartition("\n")[2][:ERROR_LENGTH]
