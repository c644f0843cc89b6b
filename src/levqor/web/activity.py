"""Activity in: one event, a batch of them, and what is known of a person (spec R1, R5)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response

from levqor.policies.events import event_of, moment_of
from levqor.web import models
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.event_lines import MAX_EVENTS, NDJSON, Batch, batch_of
from levqor.web.problems import NAMED, FieldError, ProblemError, wrong_field
from levqor.web.services import Answer, RetentionDesk, Services
from levqor.web.strict_json import Body, body_of, described, read
from levqor.web.unpacking import content

AUDIT = "/audit"
EVENTS = "/api/v1/events"
USER = "/api/v1/users/{user_id:path}"
MAX_ID_LENGTH = 200
MAX_INSIDE = 16
"""Batches that are being received, wait or are at work, in one process."""


class EventOrder(Body):
    """A sign of activity. It is taken once by its `id`."""

    id: Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)] | int
    user_id: Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)] | int
    ts: str | float = Field(description="RFC 3339 with its offset, or seconds or milliseconds since 1970.")
    kind: str = Field("active", min_length=1, max_length=MAX_ID_LENGTH)
    is_service: bool = False


class EventsOrder(Body):
    """A batch."""

    events: list[EventOrder] = Field(max_length=MAX_EVENTS)


class UserOrder(Body):
    """What is known of a person; what is left out stays as it is."""

    referral_source: str | None = Field(None, min_length=1, max_length=100)
    created_at: str | float | None = None
    is_service: bool | None = None


class Gate:
    """One batch at work at a time in this process, and a few that wait.

    A batch holds SQLite's one write lock for a tenth of a second, and who waits for that lock asks for it only now and then:
    between two batches there must be a gap, or nobody else would ever write, the leader least of all.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(1)
        self._inside = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Raises 503 where too many wait already: each holds its body in memory."""
        if self._inside >= MAX_INSIDE:
            raise ProblemError(503, "Too many batches at once; send this one again.", headers={"Retry-After": "1"})
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


User = Annotated[UserOrder, Depends(body_of(UserOrder, may_be_empty=True))]


async def json_body(request: Request) -> Any:
    """Any JSON value."""
    return await read(request, may_be_empty=False)


def router(services: Services, desk: RetentionDesk, access: Access) -> APIRouter:
    """Routes that take activity in; forgetting is the admin's."""
    routes = APIRouter(tags=["activity"])
    clock, max_bytes = services.clock, services.settings.events_body_max_bytes
    reporter, gate = [Depends(access.reporter)], Gate()

    @routes.post(AUDIT, dependencies=reporter, responses={200: {"model": models.Taken}}, openapi_extra=described(EventOrder))
    def take_event(value: Annotated[Any, Depends(json_body)]) -> Response:
        """Take one event; answered once it is committed."""
        try:
            event = event_of(value, clock.now())
        except ValueError as error:
            raise _wrong(str(error)) from None
        return Json(_answer(desk, Batch([event])))

    @routes.post(EVENTS, dependencies=reporter, responses={200: {"model": models.Taken}}, openapi_extra=_described_batch())
    async def take_events(request: Request) -> Response:
        """Take a batch, each event once by its id; answered once it is committed. A wrong event is named, the others are taken."""
        async with gate.place():
            body = await request.body()
            async with gate.turn:
                return await run_in_threadpool(take, body, request.headers)

    def take(body: bytes, headers: Headers) -> Response:
        data = content(body, headers.get("content-encoding", ""), max_bytes)
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        batch = batch_of(data, media_type, clock.now())
        if batch.errors and not batch.events:
            raise _none_is_good(batch)
        return Json(_answer(desk, batch))

    @routes.put(USER, dependencies=reporter, openapi_extra=described(UserOrder, required=False))
    def set_user(user_id: str, order: User) -> Response:
        """Make a person known by an opaque id, or change what is known."""
        created_at = None
        if order.created_at is not None:
            try:
                created_at = moment_of(order.created_at)
            except ValueError as error:
                raise wrong_field("created_at", str(error).removeprefix("ts: ")) from None
        return Json(desk.set_user(user_id, created_at=created_at, referral_source=order.referral_source, is_service=order.is_service))

    @routes.delete(USER, dependencies=[Depends(access.admin)])
    def forget_user(user_id: str, actor: Actor) -> Response:
        """Forget who somebody was; the counts of the past stay."""
        return Json(desk.forget(user_id, actor))

    return routes


def _answer(desk: RetentionDesk, batch: Batch) -> Answer:
    recorded = desk.record(batch.events)
    return {
        "accepted": recorded.accepted,
        "duplicates": recorded.duplicates,
        "not_counted": recorded.not_counted,
        "errors": batch.errors,
    }


def _wrong(message: str) -> ProblemError:
    named = NAMED.match(message)
    return wrong_field(named["field"], named["message"]) if named else ProblemError(422, f"The event: {message}.")


def _none_is_good(batch: Batch) -> ProblemError:
    errors = [FieldError(field=f"line {error['line']}", message=error["detail"]) for error in batch.errors]
    return ProblemError(422, f"No event could be taken; line {batch.errors[0]['line']}: {batch.errors[0]['detail']}", errors=errors)


def _described_batch() -> dict[str, Any]:
    """The two shapes of a batch, for the OpenAPI page."""
    document = described(EventsOrder)
    schema = {"type": "string", "description": "An event a line, each an object as in the JSON form's `events`."}
    document["requestBody"]["content"][NDJSON] = {"schema": schema}
    return document
