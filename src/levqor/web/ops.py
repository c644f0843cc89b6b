"""How it is: status, uptime, queues, metrics; and the workers' restart."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from levqor.domain.errors import DependencyDown
from levqor.web import metrics, models
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted
from levqor.web.orders import Restart, RestartOrder
from levqor.web.services import Services
from levqor.web.strict_json import described

T = TypeVar("T")


def router(services: Services, access: Access) -> APIRouter:
    """Routes about the whole installation."""
    routes = APIRouter(tags=["operations"])
    operations = services.operations

    @routes.get("/status", dependencies=[Depends(access.reader)], responses={200: {"model": models.Status}})
    def status() -> Response:
        """Mode, holds, flags, every signal with its age, the last decision."""
        return Json(operations.status())

    @routes.get("/ops/uptime", dependencies=[Depends(access.public)], responses={200: {"model": models.Uptime}})
    def uptime() -> Response:
        """Since when it runs, and how available it was."""
        return Json(operations.uptime())

    @routes.get("/ops/queue_health", dependencies=[Depends(access.reader)], responses={200: {"model": models.QueueHealth}})
    def queue_health() -> Response:
        """Depth, oldest wait, dead letters, and who works."""
        return Json(operations.queue_health())

    @routes.get("/metrics", dependencies=[Depends(access.scraper)], response_class=Response)
    def prometheus() -> Response:
        """All figures for Prometheus. What is not known is left out, never 0."""
        costs = None if services.costs is None else _if_known(services.costs.gauges)
        promises = None if services.promises is None else _if_known(services.promises.ended)
        text = metrics.render(services.telemetry, _if_known(operations.reading), _if_known(operations.action_counts), costs, promises)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    @routes.post("/ops/workers/restart", dependencies=[Depends(access.admin)], openapi_extra=described(RestartOrder, required=False))
    def restart(order: Restart, actor: Actor, key: Key, body: RawBody) -> Response:
        """Restart one worker or all, each after its job."""
        return acted(services.idempotency, "restart", key, body, lambda: operations.restart(order.worker, actor))

    return routes


def _if_known(read: Callable[[], T]) -> T | None:
    """A part of the page whose source is down is left out; the others stay."""
    try:
        return read()
    except DependencyDown:
        return None
