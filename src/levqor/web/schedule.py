"""The schedule (spec T3): what runs when, how it went, and a run now."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from levqor.web import record_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access, Actor
from levqor.web.once import Key, RawBody, once
from levqor.web.problems import known_name
from levqor.web.query import MAX_ROWS, Query
from levqor.web.services import ScheduleDesk, Services

JobId = Annotated[str, Path(description="The job's id.")]


def router(services: Services, desk: ScheduleDesk, access: Access) -> APIRouter:
    """Routes about scheduled jobs; all are the admin's."""
    routes = APIRouter(tags=["schedule"], dependencies=[Depends(access.admin)])

    @routes.get("/ops/schedule", responses={200: {"model": shapes.Schedule}})
    def schedule() -> Response:
        """Every job with its next due time, its state and its last run."""
        return Json(desk.schedule())

    @routes.get("/ops/schedule/runs", responses={200: {"model": shapes.JobRuns}})
    def runs(request: Request) -> Response:
        """Runs, newest first, with the end of what each printed; `job=`: of one job."""
        query = Query(request, ("job", "limit"))
        limit = query.whole("limit", 50, 1, MAX_ROWS)
        query.check()
        job = request.query_params.get("job")
        return Json(desk.runs(None if job is None else known_name(job), limit))

    @routes.post("/ops/schedule/{job_id}/run", status_code=202, responses={202: {"model": shapes.RunAsked}})
    def run(job_id: JobId, actor: Actor, key: Key, body: RawBody) -> Response:
        """Run a job once, now, through the leader. 409 while it runs."""
        name = known_name(job_id)
        return once(services.idempotency, f"schedule {name}"[:64], key, body, lambda _: (202, desk.run(name, actor)))

    return routes
