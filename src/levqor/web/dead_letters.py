"""Dead letters over HTTP: look at them, requeue, drop, and release what was quarantined (spec I4)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from levqor.domain.dead_letters import Selection
from levqor.web import incident_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted, once
from levqor.web.orders import Line
from levqor.web.problems import ProblemError, known_name
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import Answer, DeadLetters, Services
from levqor.web.strict_json import Body, body_of, described

MAX_IDS = 1_000
MAX_CURSOR = 10**9
MAX_WAIT_S = 60.0

JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
Ids = Annotated[list[JobId], Field(min_length=1, max_length=MAX_IDS)]
Word = Annotated[Line, Field(min_length=1, max_length=200)]


class SelectOrder(Body):
    """Which dead letters: by id, by handler, by exception class, or all. Saying nothing selects nothing, and is a mistake."""

    ids: Ids | None = None
    handler: Word | None = None
    error: Word | None = None
    all: bool = False
    queue: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    foreign: bool = False
    dry_run: bool = False

    @model_validator(mode="after")
    def _check_selection(self) -> "SelectOrder":
        ways = [self.ids is not None, self.handler is not None or self.error is not None, self.all]
        if sum(ways) != 1:
            raise ValueError("expected one of: ids; handler, error or both; all")
        return self


class RequeueOrder(SelectOrder):
    """Requeue them, with a canary and in paced batches, unless `at_once`."""

    at_once: bool = False
    wait_s: float = Field(10.0, ge=0, le=MAX_WAIT_S, allow_inf_nan=False)


class ReleaseOrder(Body):
    """Which quarantined jobs: by id, or all."""

    ids: Ids | None = None
    all: bool = False
    queue: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _check_one(self) -> "ReleaseOrder":
        if (self.ids is not None) == self.all:
            raise ValueError("expected either ids or all")
        return self


Select = Annotated[SelectOrder, Depends(body_of(SelectOrder))]
Requeue = Annotated[RequeueOrder, Depends(body_of(RequeueOrder))]
Release = Annotated[ReleaseOrder, Depends(body_of(ReleaseOrder))]


def router(services: Services, access: Access) -> APIRouter:
    """Routes about dead letters; all of them the admin's."""
    routes = APIRouter(tags=["dead letters"])
    admin = [Depends(access.admin)]

    def desk() -> DeadLetters:
        if services.dead_letters is None:
            raise ProblemError(503, "No queue engine is configured here.")
        return services.dead_letters

    @routes.get(
        "/ops/dead",
        dependencies=admin,
        openapi_extra=_parameters("queue", "limit", "cursor", "group"),
        responses={200: {"model": shapes.DeadPage | shapes.DeadGroups}},
    )
    def dead(request: Request) -> Response:
        """Dead letters, the last to die first; `group=true`: by exception class and function."""
        query = Query(request, ("queue", "limit", "cursor", "group"))
        is_grouped = query.yes("group", False)
        queue, limit, cursor = _page(query, request)
        return Json(desk().groups(queue) if is_grouped else desk().dead(queue, limit, cursor))

    @routes.get(
        "/ops/dead/quarantined",
        dependencies=admin,
        openapi_extra=_parameters("queue", "limit", "cursor"),
        responses={200: {"model": shapes.QuarantinePage}},
    )
    def quarantined(request: Request) -> Response:
        """What died again after too many flushes, with its error."""
        query = Query(request, ("queue", "limit", "cursor"))
        return Json(desk().quarantined(*_page(query, request)))

    @routes.post(
        "/ops/dead/quarantined/release",
        dependencies=admin,
        openapi_extra=described(ReleaseOrder),
        responses={200: {"model": shapes.ReleaseAnswer}},
    )
    def release(order: Release, actor: Actor, key: Key, body: RawBody) -> Response:
        """Quarantined jobs are dead letters like others again."""
        ids = None if order.all else order.ids
        return acted(services.idempotency, "release", key, body, lambda: desk().release(ids, actor, order.queue, dry_run=order.dry_run))

    @routes.post(
        "/ops/dead/requeue",
        dependencies=admin,
        openapi_extra=described(RequeueOrder),
        responses={200: {"model": shapes.RequeueAnswer}, 202: {"model": shapes.RequeueAnswer}},
    )
    def requeue(order: Requeue, actor: Actor, key: Key, body: RawBody) -> Response:
        """Flush what is selected. 202 where it goes on after the answer."""

        def act(token: str) -> tuple[int, Answer]:
            is_done, answer = desk().requeue(
                selection_of(order), actor, token, dry_run=order.dry_run, at_once=order.at_once, wait_s=order.wait_s
            )
            return 200 if is_done else 202, answer

        return once(services.idempotency, "requeue", key, body, act, is_repeatable=True)

    @routes.post("/ops/dead/drop", dependencies=admin, openapi_extra=described(SelectOrder), responses={200: {"model": shapes.DropAnswer}})
    def drop(order: Select, actor: Actor, key: Key, body: RawBody) -> Response:
        """Remove what is selected for good."""
        return acted(services.idempotency, "drop", key, body, lambda: desk().drop(selection_of(order), actor, dry_run=order.dry_run))

    @routes.get("/ops/dead/{job_id}", dependencies=admin, responses={200: {"model": shapes.DeadLetterStory}})
    def show(job_id: str) -> Response:
        """One dead letter with its last traceback."""
        return Json(desk().show(known_name(job_id)))

    return routes


def selection_of(order: SelectOrder) -> Selection:
    return Selection(
        ids=None if order.ids is None else tuple(order.ids),
        handler=order.handler,
        error=order.error,
        everything=order.all,
        queue=order.queue,
        foreign=order.foreign,
    )


def _page(query: Query, request: Request) -> tuple[str | None, int, int]:
    limit, cursor = query.whole("limit", 100, 1, MAX_ROWS), query.whole("cursor", 0, 0, MAX_CURSOR)
    query.check()
    queue = request.query_params.get("queue")
    return None if queue is None else known_name(queue), limit, cursor


def _parameters(*names: str) -> dict[str, Any]:
    kinds = {"queue": "string", "limit": "integer", "cursor": "integer", "group": "boolean"}
    return {"parameters": [{"name": name, "in": "query", "required": False, "schema": {"type": kinds[name]}} for name in names]}
