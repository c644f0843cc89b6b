"""Deploy marks: say that a version came, and read which did."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from levqor.web import judgement_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted
from levqor.web.orders import Line
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import DeployDesk, Services
from levqor.web.strict_json import Body, body_of, described


class DeployOrder(Body):
    """A version came just now."""

    sha: Annotated[str, Field(max_length=100, pattern=r"^[!-~]+$")]
    note: Line = ""


Deploy = Annotated[DeployOrder, Depends(body_of(DeployOrder))]


def router(services: Services, desk: DeployDesk, access: Access) -> APIRouter:
    """Two routes: to mark is the admin's."""
    routes = APIRouter(tags=["deploys"])

    @routes.post(
        "/ops/deploys",
        dependencies=[Depends(access.admin)],
        responses={200: {"model": shapes.DeployMark}},
        openapi_extra=described(DeployOrder),
    )
    def mark(order: Deploy, actor: Actor, key: Key, body: RawBody) -> Response:
        """Mark a deploy: it is shown beside signals, decisions and incidents, and its first failures start no recovery."""
        return acted(services.idempotency, "deploy", key, body, lambda: desk.mark(order.sha, order.note, actor))

    @routes.get("/ops/deploys", dependencies=[Depends(access.reader)], responses={200: {"model": shapes.Deploys}})
    def deploys(request: Request) -> Response:
        """Deploy marks, newest first; `limit`."""
        query = Query(request, ("limit",))
        limit = query.whole("limit", 50, 1, MAX_ROWS)
        query.check()
        return Json(desk.deploys(limit))

    return routes
