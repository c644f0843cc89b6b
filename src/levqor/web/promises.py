"""Promises of a clear queue, and whether they were kept."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web import judgement_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import PromiseDesk


def router(desk: PromiseDesk, access: Access) -> APIRouter:
    """One route, beside the decisions that made the promises."""
    routes = APIRouter(tags=["autoscale"], dependencies=[Depends(access.admin)])

    @routes.get("/ops/autoscale/promises", responses={200: {"model": shapes.Promises}})
    def promises(request: Request) -> Response:
        """When each step up said that the queue would be clear, and whether it was; newest first; `limit`."""
        query = Query(request, ("limit",))
        limit = query.whole("limit", 50, 1, MAX_ROWS)
        query.check()
        return Json(desk.promises(limit))

    return routes
