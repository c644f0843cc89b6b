"""Alerts: what was told through which channel, and a test of all of them."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web import record_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import AlertDesk, Services


def router(services: Services, desk: AlertDesk, access: Access) -> APIRouter:
    """Routes about alerts; all are the admin's."""
    routes = APIRouter(tags=["alerts"], dependencies=[Depends(access.admin)])

    @routes.get("/ops/alerts", responses={200: {"model": shapes.Alerts}})
    def alerts(request: Request) -> Response:
        """The channels, and the newest alerts with what became of each."""
        query = Query(request, ("limit",))
        limit = query.whole("limit", 50, 1, MAX_ROWS)
        query.check()
        return Json(desk.list(limit))

    @routes.post("/ops/alerts/test", responses={200: {"model": shapes.AlertTest}})
    def test(actor: Actor, key: Key, body: RawBody) -> Response:
        """Send a test through every channel, and answer what became of it."""
        return acted(services.idempotency, "alerts test", key, body, lambda: desk.test(actor))

    return routes
