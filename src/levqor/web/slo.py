"""`/ops/slo`: objectives, checks, streaks and error budgets (spec W)."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from levqor.web import overview_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.services import Services


def router(services: Services, access: Access) -> APIRouter:
    """One route; open on this machine, the admin's beyond it."""
    routes = APIRouter(tags=["slo"], dependencies=[Depends(access.reader)])

    @routes.get("/ops/slo", responses={200: {"model": shapes.Slo}})
    def slo() -> Response:
        """Objectives, the last checks of both series, streaks, budgets left, burn rates, and when recovery would be called."""
        return Json(services.operations.slo())

    return routes
