"""What the dashboard draws: the first screen in one answer, and the past as lines."""

from typing import Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web import overview_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.query import Query
from levqor.web.services import Overview

Span = Literal["1h", "24h", "30d"]


def router(desk: Overview, access: Access) -> APIRouter:
    """Two routes; open on this machine, the admin's beyond it."""
    routes = APIRouter(tags=["dashboard"], dependencies=[Depends(access.reader)])

    @routes.get("/ops/overview", responses={200: {"model": shapes.Overview}})
    def overview() -> Response:
        """Verdict, decisions, chart, workers, budgets, spend, incidents: everything of the first screen."""
        return Json(desk.answer())

    @routes.get("/ops/chart", responses={200: {"model": shapes.Chart}})
    def chart(request: Request, span: Span = "1h") -> Response:
        """Signals over the last hour, day or month, with the lines that the rules look at; gaps are null."""
        Query(request, ("span",)).check()
        return Json(desk.chart(span))

    return routes
