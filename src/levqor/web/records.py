"""What is set and what happened: flags, settings, episodes, audit."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web import record_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.orders import Flag, FlagOrder
from levqor.web.problems import known_name
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import Services
from levqor.web.strict_json import described


def router(services: Services, access: Access) -> APIRouter:
    """Routes about settings and records; all are the admin's."""
    routes = APIRouter(tags=["records"], dependencies=[Depends(access.admin)])
    operations = services.operations

    @routes.get("/ops/flags", responses={200: {"model": shapes.FlagBoard}})
    def flags() -> Response:
        """The flags in force."""
        return Json(operations.flags())

    @routes.put("/ops/flags/{name}", openapi_extra=described(FlagOrder), responses={200: {"model": shapes.FlagTurned}})
    def set_flag(name: str, order: Flag, actor: Actor) -> Response:
        """Set a flag, in the database and in its file."""
        return Json(operations.set_flag(known_name(name), order.value, actor))

    @routes.get("/ops/episodes", responses={200: {"model": shapes.Episodes}})
    def episodes(request: Request) -> Response:
        """What is wrong now; with `open_only=false`, also what was."""
        query = Query(request, ("open_only",))
        open_only = query.yes("open_only", True)
        query.check()
        return Json({"episodes": operations.episodes(open_only=open_only)})

    @routes.get("/ops/audit", responses={200: {"model": shapes.Audit}})
    def audit(request: Request) -> Response:
        """Who did what, newest first."""
        query = Query(request, ("limit",))
        limit = query.whole("limit", 50, 1, MAX_ROWS)
        query.check()
        return Json({"audit": operations.audit(limit)})

    @routes.get("/ops/config", responses={200: {"model": dict[str, shapes.Setting]}})
    def config() -> Response:
        """Every setting with its source; secrets are masked."""
        return Json(operations.configuration())

    return routes
