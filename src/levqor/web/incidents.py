"""Recovery and incidents (spec I1, I2): call for one, read about them, arm it again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field
from starlette.responses import Response

from levqor.domain.incidents import Call
from levqor.web import incident_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted, once
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import Answer, IncidentDesk, Services
from levqor.web.strict_json import Body, body_of, described

MAX_ID = 2**31 - 1
LONGEST_WAIT_S = 600.0


class RecoverOrder(Body):
    """Recover, or say what would be done."""

    dry_run: bool = False
    dead_letters: Literal["incident", "all"] = "incident"
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 60.0


Recover = Annotated[RecoverOrder, Depends(body_of(RecoverOrder, may_be_empty=True))]


def router(services: Services, desk: IncidentDesk, access: Access) -> APIRouter:
    """Routes about incidents; all are the admin's."""
    routes = APIRouter(tags=["incidents"], dependencies=[Depends(access.admin)])

    @routes.post(
        "/ops/recover",
        openapi_extra=described(RecoverOrder, required=False),
        responses={200: {"model": shapes.RecoverAnswer}, 202: {"model": shapes.RecoverAnswer}},
    )
    def recover(order: Recover, actor: Actor, key: Key, body: RawBody) -> Response:
        """Flush dead letters, restart the workers, rotate the app: what there is cause for. 202: not finished within `wait_s`."""

        def act(token: str) -> tuple[int, Answer]:
            call = Call(actor, dead_letters=order.dead_letters, token=token)
            finished, answer = desk.recover(call, dry_run=order.dry_run, wait_s=order.wait_s)
            return (200 if finished else 202), answer

        if order.dry_run:
            return Json(act("")[1])
        return once(services.idempotency, "recover", key, body, act)

    @routes.get("/ops/incidents", responses={200: {"model": shapes.Incidents}})
    def incidents(request: Request) -> Response:
        """Incidents, newest first; `open_only=true`: only what goes on."""
        query = Query(request, ("limit", "open_only"))
        limit, open_only = query.whole("limit", 50, 1, MAX_ROWS), query.yes("open_only", False)
        query.check()
        return Json(desk.incidents(limit, open_only))

    @routes.get("/ops/incidents/{incident_id}", responses={200: {"model": shapes.IncidentStory}})
    def incident(incident_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> Response:
        """One incident: its recoveries, their steps, and the signals around it."""
        return Json(desk.incident(incident_id))

    @routes.post("/ops/rearm", responses={200: {"model": shapes.Rearmed}})
    def rearm(actor: Actor, key: Key, body: RawBody) -> Response:
        """Arm automatic recoveries again after failures."""
        return acted(services.idempotency, "rearm", key, body, lambda: desk.rearm(actor))

    return routes
