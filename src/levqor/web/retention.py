"""Who stays: active users by day, cohorts, where people came from (spec R4)."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.domain.retention import Mode, Span
from levqor.web import retention_models
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.query import Query
from levqor.web.services import RetentionDesk

DAYS = 30
MAX_DAYS = 366
MAX_COHORTS = 120


def router(desk: RetentionDesk, access: Access) -> APIRouter:
    """Routes that read; all are the admin's."""
    routes = APIRouter(tags=["retention"], dependencies=[Depends(access.admin)])

    @routes.get("/admin/retention", responses={200: {"model": retention_models.Retention}})
    def retention(request: Request) -> Response:
        """Daily, weekly and monthly active users of the last closed days, newest first; today, which is partial, apart."""
        query = Query(request, ("days",))
        days = query.whole("days", DAYS, 1, MAX_DAYS)
        query.check()
        return Json(desk.retention(days))

    @routes.get("/admin/retention/cohorts", responses={200: {"model": retention_models.Cohorts}})
    def cohorts(request: Request) -> Response:
        """People by when they were first seen, and how many came back when. A period that is not over is null."""
        query = Query(request, ("by", "mode", "count"))
        by, mode = query.choice("by", Span.DAY, Span), query.choice("mode", Mode.ON, Mode)
        count = query.whole("count", 1, 1, MAX_COHORTS) if "count" in request.query_params else None
        query.check()
        return Json(desk.cohorts(by, mode, count))

    @routes.get("/admin/analytics", responses={200: {"model": retention_models.Analytics}})
    def analytics(request: Request) -> Response:
        """How many users there are, how many are new, how many came back, and where they came from."""
        Query(request, ()).check()
        return Json(desk.analytics())

    return routes
