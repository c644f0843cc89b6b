"""Verification: one click, and what the last one found (spec V2)."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.responses import Response

from levqor.web import record_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, once
from levqor.web.services import Answer, Services, VerifyDesk
from levqor.web.strict_json import Body, body_of, described

LONGEST_WAIT_S = 600.0


class VerifyOrder(Body):
    """Verify the whole installation."""

    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 60.0


Verify = Annotated[VerifyOrder, Depends(body_of(VerifyOrder, may_be_empty=True))]


def router(services: Services, desk: VerifyDesk, access: Access) -> APIRouter:
    """Routes about verification; both are the admin's."""
    routes = APIRouter(tags=["verify"], dependencies=[Depends(access.admin)])

    @routes.post(
        "/ops/verify",
        openapi_extra=described(VerifyOrder, required=False),
        responses={200: {"model": shapes.VerifyAnswer}, 202: {"model": shapes.VerifyAnswer}},
    )
    def verify(order: Verify, actor: Actor, key: Key, body: RawBody) -> Response:
        """Run the integrity suite in a process of its own. 202: not over within `wait_s`."""

        def act(_: str) -> tuple[int, Answer]:
            is_over, answer = desk.start(actor, order.wait_s)
            return (200 if is_over else 202), answer

        return once(services.idempotency, "verify", key, body, act)

    @routes.get("/ops/verify/latest", responses={200: {"model": shapes.Verification}})
    def latest() -> Response:
        """The newest report, when it was made, and who asked for it."""
        return Json(desk.latest())

    return routes
