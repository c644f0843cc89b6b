"""An act under an Idempotency-Key: the same key answers the same and acts once (spec L3)."""

import logging
import uuid
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from levqor.domain.errors import DependencyDown
from levqor.store.idempotency import Claim
from levqor.web.answers import Json, plain
from levqor.web.problems import ProblemError, wrong_field
from levqor.web.services import Answer, Idempotency

log = logging.getLogger("levqor.web")

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 200


async def key_of(request: Request) -> str | None:
    """The key, if one is given."""
    keys = request.headers.getlist(HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not 1 <= len(keys[0]) <= MAX_KEY_LENGTH or not (keys[0].isascii() and keys[0].isprintable()):
        raise wrong_field(HEADER, f"expected one key of 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return keys[0]


async def raw_body(request: Request) -> bytes:
    """The body as it came: the same key with another one is a mistake."""
    return await request.body()


Key = Annotated[str | None, Depends(key_of)]
RawBody = Annotated[bytes, Depends(raw_body)]

Act = Callable[[str], tuple[int, Answer]]
"""Takes the act's token, by which it may be repeated without doubling; answers status and JSON."""

FATE_UNKNOWN = 503
"""Kept as the answer of an act that may or may not have happened: whoever asks again repeats it, under the same token."""


def once(idempotency: Idempotency, scope: str, key: str | None, body: bytes, act: Act, *, is_repeatable: bool = False) -> Response:
    """Act, unless this key has acted: then its answer again. Without a key the database is not needed.

    A broker that hangs may still carry out what it was told before it hung: an act that is repeatable keeps its token for that.
    """
    if key is None:
        status, answer = act(str(uuid.uuid4()))
        return Json(answer, status)
    claim = idempotency.claim(scope, key, body)
    if claim.state == "answered" and not (is_repeatable and claim.status == FATE_UNKNOWN):
        return Json(claim.answer, claim.status or 200, {"Idempotent-Replayed": "true"})
    _refuse(claim)
    try:
        status, answer = act(claim.token)
    except Exception as error:
        if is_repeatable and isinstance(error, DependencyDown):
            _try(lambda: idempotency.answer(scope, key, FATE_UNKNOWN, {}), "idempotency_not_kept")
        else:
            _try(lambda: idempotency.abandon(scope, key), "idempotency_not_abandoned")
        raise
    _try(lambda: idempotency.answer(scope, key, status, plain(answer)), "idempotency_not_kept")
    return Json(answer, status)


def acted(idempotency: Idempotency, scope: str, key: str | None, body: bytes, order: Callable[[], Answer]) -> Response:
    """The same for an operator's order, which has no token: when it is refused, nothing was done and the key is free."""
    return once(idempotency, scope, key, body, lambda _: (200, order()))


def _refuse(claim: Claim) -> None:
    if claim.state == "mismatch":
        raise wrong_field(HEADER, "it was used with another body")
    if claim.state == "pending":
        raise ProblemError(409, f"A request with this {HEADER} is still at it.", headers={"Retry-After": "1"})


def _try(write: Callable[[], None], event: str) -> None:
    """The act is done or refused either way: a database that has gone meanwhile must not hide which."""
    try:
        write()
    except DependencyDown as error:
        log.warning(event, extra={"error": str(error)})
