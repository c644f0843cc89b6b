"""What Levqor would do, did, and is told to do with the number of workers (spec A6, A7, A11)."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.web import models
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, acted
from levqor.web.orders import Apply, ApplyOrder, Scale, ScaleOrder
from levqor.web.problems import ProblemError
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import Services
from levqor.web.strict_json import described

HIGHEST = 1e12
WHAT_IF = ("queue_depth", "p95_ms", "p95_latency_ms", "error_rate", "spend_last_24h", "forecast_next_30d", "calm_for_s")


def what_if(request: Request) -> dict[str, float]:
    """The values to suppose, by the names that the policy knows. Raises 422 that names what is wrong."""
    query = Query(request, WHAT_IF)
    given = {name: query.number(name, high=_highest(name)) for name in WHAT_IF}
    p95_ms, alias = given["p95_ms"], given.pop("p95_latency_ms")
    if p95_ms is not None and alias is not None and p95_ms != alias:
        query.wrong("p95_latency_ms", "is another name of p95_ms, and both are given and differ")
    query.check()
    if p95_ms is None:
        given["p95_ms"] = alias
    return {name: value for name, value in given.items() if value is not None}


def _highest(name: str) -> float:
    return 1.0 if name == "error_rate" else HIGHEST


def _what_if_parameters() -> dict[str, Any]:
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": "number", "minimum": 0, "maximum": _highest(name)}}
            for name in WHAT_IF
        ]
    }


def router(services: Services, access: Access) -> APIRouter:
    """Routes about scaling."""
    routes = APIRouter(tags=["autoscale"])
    operations = services.operations

    @routes.get(
        "/ops/autoscale/dryrun",
        dependencies=[Depends(access.public)],
        responses={200: {"model": models.Decision}},
        openapi_extra=_what_if_parameters(),
    )
    def dryrun(request: Request) -> Response:
        """The decision now, changing nothing; with parameters, the decision if these were measured."""
        return Json(operations.dryrun(what_if(request)))

    @routes.post(
        "/ops/autoscale/apply",
        dependencies=[Depends(access.admin)],
        responses={200: {"model": models.Applied}},
        openapi_extra=described(ApplyOrder, required=False),
    )
    def apply(order: Apply, actor: Actor, key: Key, body: RawBody) -> Response:
        """Decide on what is measured and make the fleet follow; says whether it did, and else why not."""
        return acted(services.idempotency, "apply", key, body, lambda: operations.apply(order.dry_run, actor))

    @routes.get("/ops/autoscale/decisions", dependencies=[Depends(access.admin)])
    def decisions(request: Request) -> Response:
        """Past decisions, newest first: `limit`, `since`, `until`, and `changes=false` for every tick's."""
        query = Query(request, ("limit", "since", "until", "changes"))
        limit, changes = query.whole("limit", 50, 1, MAX_ROWS), query.yes("changes", True)
        since, until = query.moment("since"), query.moment("until")
        query.check()
        return Json({"decisions": operations.decisions(limit=limit, since=since, until=until, changes=changes)})

    @routes.get("/ops/autoscale/decisions/at", dependencies=[Depends(access.admin)])
    def decision_at(request: Request) -> Response:
        """The decision in force at `time`: why it did, or did not, scale then."""
        query = Query(request, ("time",))
        moment = query.moment("time", required=True)
        query.check()
        decision = operations.decision_at(moment) if moment else None
        if decision is None:
            raise ProblemError(404, "No decision is recorded for that time.")
        return Json(decision)

    @routes.post("/ops/scale", dependencies=[Depends(access.admin)], openapi_extra=described(ScaleOrder))
    def scale(order: Scale, actor: Actor, key: Key, body: RawBody) -> Response:
        """Set the target by hand; for a while the autopilot holds."""
        return acted(
            services.idempotency, "scale", key, body, lambda: operations.scale(order.count, order.delta, actor, order.why, order.for_s)
        )

    @routes.delete("/ops/scale", dependencies=[Depends(access.admin)])
    def scale_auto(actor: Actor) -> Response:
        """Give the target back to the autopilot."""
        return Json(operations.scale_auto(actor))

    return routes
