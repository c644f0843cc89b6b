"""The target for those who run the workers of an `external` fleet: KEDA's metrics-api and HireFire. Unknown is 503, never 0."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.keda_models import Dyno, Target
from levqor.web.problems import known_name
from levqor.web.services import TargetDesk


def router(targets: TargetDesk, access: Access) -> APIRouter:
    """Routes that others scale by."""
    routes = APIRouter(tags=["external"])

    @routes.get("/keda/metrics/{fleet}", dependencies=[Depends(access.scraper)], responses={200: {"model": Target}})
    def target(fleet: str) -> Response:
        """How many workers there should be now, for KEDA's metrics-api trigger: `valueLocation: desired_workers`."""
        return Json(targets.metrics(known_name(fleet)))

    async def asker(request: Request, token: str) -> None:
        await access.hirefire(request, token)

    @routes.get("/hirefire/{token}/info", dependencies=[Depends(asker)], responses={200: {"model": list[Dyno]}})
    def dynos(token: str) -> Response:
        """The same for HireFire; off until HIREFIRE_TOKEN is set."""
        return Json(targets.dynos())

    return routes
