"""A person's word that nothing acts: holds of the autopilot, and queues that wait."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from levqor.web import record_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted
from levqor.web.orders import Hold, HoldOrder, Pause, PauseOrder
from levqor.web.problems import known_name
from levqor.web.services import Services
from levqor.web.strict_json import described

MAX_ID = 2**63 - 1


def router(services: Services, access: Access) -> APIRouter:
    """Routes that stop and release."""
    routes = APIRouter(tags=["holds"])
    admin = [Depends(access.admin)]
    operations = services.operations

    @routes.get("/ops/holds", dependencies=[Depends(access.reader)], responses={200: {"model": shapes.Stops}})
    def holds() -> Response:
        """Who holds the autopilot, and which queues are paused."""
        return Json({"holds": operations.holds(), "paused": operations.paused()})

    @routes.post("/ops/holds", dependencies=admin, openapi_extra=described(HoldOrder, required=False))
    def hold(order: Hold, actor: Actor, key: Key, body: RawBody) -> Response:
        """Hold the autopilot."""
        return acted(services.idempotency, "hold", key, body, lambda: operations.hold(actor, order.why, order.for_s))

    @routes.delete("/ops/holds", dependencies=admin)
    def release_all(actor: Actor) -> Response:
        """End every hold."""
        return Json(operations.release(actor, None))

    @routes.delete("/ops/holds/{hold_id}", dependencies=admin)
    def release(hold_id: Annotated[int, Path(ge=1, le=MAX_ID)], actor: Actor) -> Response:
        """End one hold."""
        return Json(operations.release(actor, hold_id))

    @routes.post("/ops/queues/{queue:path}/pause", dependencies=admin, openapi_extra=described(PauseOrder, required=False))
    def pause(queue: str, order: Pause, actor: Actor, key: Key, body: RawBody) -> Response:
        """Let a queue's jobs wait."""
        name = known_name(queue)
        return acted(services.idempotency, f"pause {name}", key, body, lambda: operations.pause(name, actor, order.why))

    @routes.post("/ops/queues/{queue:path}/resume", dependencies=admin)
    def resume(queue: str, actor: Actor) -> Response:
        """Let a queue's jobs run again."""
        return Json(operations.resume(known_name(queue), actor))

    return routes
