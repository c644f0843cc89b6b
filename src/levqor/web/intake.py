"""Jobs in, their status out (spec E1)."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from levqor.web import models
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.once import Key, RawBody, once
from levqor.web.orders import Job, JobOrder
from levqor.web.problems import ProblemError, wrong_field
from levqor.web.services import Answer, JobEngine, Services
from levqor.web.strict_json import described

INTAKE = "/api/v1/intake"
STATUS = "/api/v1/status/{job_id}"
MAX_JOB_ID_LENGTH = 200
STATUS_FIELDS = ("job_id", "status", "attempts", "losses", "queue", "handler", "enqueued_at", "started_at", "ended_at", "error")


def router(services: Services, engine: JobEngine, access: Access) -> APIRouter:
    """The two routes that are the service itself."""
    routes = APIRouter(tags=["service"], dependencies=[Depends(access.sender)])
    settings = services.settings

    @routes.post(INTAKE, status_code=202, responses={202: {"model": models.Accepted}}, openapi_extra=described(JobOrder))
    def take_job(order: Job, key: Key, body: RawBody) -> Response:
        """Take a job. With an Idempotency-Key a repeated request gets the same job."""
        queue = order.queue or settings.queues[0]
        if order.handler not in services.handlers:
            raise wrong_field("handler", f"not known; known: {', '.join(sorted(services.handlers))}")
        if queue not in settings.queues:
            raise wrong_field("queue", f"not served; served: {', '.join(settings.queues)}")

        def submit(token: str) -> tuple[int, Answer]:
            engine.submit(
                job_id=token,
                handler=order.handler,
                payload=order.payload,
                queue=queue,
                max_attempts=order.max_attempts or settings.job_max_attempts,
                backoff=list(settings.job_backoff),
                timeout_s=settings.job_timeout_s,
                keep_s=settings.job_keep_s,
            )
            return 202, {"job_id": token, "status": "queued"}

        return once(services.idempotency, "intake", key, body, submit, is_repeatable=True)

    @routes.get(STATUS, responses={200: {"model": models.JobStatus}})
    def job_status(job_id: str) -> Response:
        """What became of a job. Finished jobs are kept for JOB_KEEP_S."""
        is_possible = len(job_id) <= MAX_JOB_ID_LENGTH and job_id.isprintable()
        job = engine.job(job_id) if is_possible else None
        if job is None:
            raise ProblemError(404, "There is no such job, or its status is no longer kept.")
        return Json({name: getattr(job, name) for name in STATUS_FIELDS})

    return routes
