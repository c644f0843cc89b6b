"""What it costs, what it will cost, and whether billing can be read (spec C2, E3)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from levqor.domain.spending import Category
from levqor.web import cost_models
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.problems import ProblemError
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import CostDesk

LEDGER = ("since", "until", "source", "category", "limit")
MAX_NAME_LENGTH = 32
DAYS = 30
MAX_DAYS = 366


def router(costs: CostDesk, access: Access) -> APIRouter:
    """Routes about money."""
    routes = APIRouter(tags=["costs"])

    async def asks_anew(request: Request) -> bool:
        """Reading the forecast is open; having it made anew is work that only the admin may ask for."""
        query = Query(request, ("refresh",))
        refresh = query.yes("refresh", False)
        query.check()
        await (access.admin(request) if refresh else access.public(request))
        return refresh

    @routes.get(
        "/ops/cost/forecast",
        responses={200: {"model": cost_models.CostForecast}},
        openapi_extra={"parameters": [{"name": "refresh", "in": "query", "required": False, "schema": {"type": "boolean"}}]},
    )
    def forecast(refresh: Annotated[bool, Depends(asks_anew)]) -> Response:
        """The next 30 days' cost with its interval, by source and by day. Kept for 24 h or until the ledger changes."""
        return Json(costs.forecast(refresh))

    @routes.get("/ops/cost/today", dependencies=[Depends(access.reader)], responses={200: {"model": cost_models.CostToday}})
    def today() -> Response:
        """This UTC day so far, the brake's figures, and the budget."""
        return Json(costs.today())

    @routes.get("/ops/cost/daily", dependencies=[Depends(access.reader)], responses={200: {"model": cost_models.CostDays}})
    def daily(request: Request) -> Response:
        """Cost and revenue of the last `days` UTC days by category, the oldest first; the last is today so far. Null: not known."""
        query = Query(request, ("days",))
        days = query.whole("days", DAYS, 1, MAX_DAYS)
        query.check()
        return Json(costs.daily(days))

    @routes.get("/ops/cost/ledger", dependencies=[Depends(access.admin)], responses={200: {"model": cost_models.Ledger}})
    def ledger(request: Request) -> Response:
        """Entries, newest first: `since`, `until`, `source`, `category`, `limit`. Amounts are text: no digit is lost."""
        query = Query(request, LEDGER)
        since, until, limit = query.moment("since"), query.moment("until"), query.whole("limit", 100, 1, MAX_ROWS)
        source, category = request.query_params.get("source"), request.query_params.get("category")
        if category is not None and category not in [known.value for known in Category]:
            query.wrong("category", f"expected one of {', '.join(Category)}")
        query.check()
        if source is not None and (len(source) > MAX_NAME_LENGTH or not source.isprintable()):
            raise ProblemError(404, "There is no source by that name.")
        wanted = None if category is None else Category(category)
        return Json(costs.ledger(since, until, source, wanted, limit))

    @routes.get("/billing/health", dependencies=[Depends(access.reader)], responses={200: {"model": cost_models.Billing}})
    def billing_health() -> Response:
        """Whether billing can be read: `ok`, `not_configured` or `down`, and why."""
        return Json(costs.billing_health())

    return routes
