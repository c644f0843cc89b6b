"""Is it alive, is it ready: for probes and balancers (spec E3)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web import models
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.services import Services


def router(services: Services, access: Access) -> APIRouter:
    """Health routes; they answer HEAD as well as GET."""
    routes = APIRouter(tags=["health"])

    async def livez() -> Response:
        """The process answers. Touches no dependency and waits for no thread, so that nothing else can make it late."""
        return Json({"status": "ok", "version": services.version})

    def readyz(request: Request, is_trusted: Annotated[bool, Depends(access.is_trusted)]) -> Response:
        """200 when all that the service needs answers, else 503. `?verbose` names each check."""
        ready = services.operations.ready()
        is_verbose = request.query_params.get("verbose", "false").lower() not in ("false", "0")
        answer = {"ok": ready["ok"], "status": "ok" if ready["ok"] else "not ready"}
        if is_verbose and is_trusted:
            answer["checks"] = ready["checks"]
        return Json(answer, 200 if ready["ok"] else 503)

    for path in ("/livez", "/health", "/healthz"):
        routes.add_api_route(path, livez, methods=["GET"], responses={200: {"model": models.Alive}}, name=path[1:])
        routes.add_api_route(path, livez, methods=["HEAD"], include_in_schema=False)
    routes.add_api_route("/readyz", readyz, methods=["GET"], responses={200: {"model": models.Ready}, 503: {"model": models.Ready}})
    routes.add_api_route("/readyz", readyz, methods=["HEAD"], include_in_schema=False)

    return routes
