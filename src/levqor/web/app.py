"""The web application, put together from what it is handed."""

from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from levqor.client.asgi import LevqorMiddleware, template_of
from levqor.web import (
    activity,
    alerts,
    autoscale,
    costs,
    dead_letters,
    deploys,
    docs,
    health,
    holds,
    incidents,
    intake,
    keda,
    models,
    ops,
    overview,
    page,
    problems,
    promises,
    records,
    retention,
    schedule,
    sessions,
    site,
    slo,
    verify,
)
from levqor.web.auth import Access
from levqor.web.edge import BasePath, Edge
from levqor.web.guard import Guard
from levqor.web.limits import RateLimit, RequestSize, SecurityHeaders, WrongTokens
from levqor.web.seal import Seal
from levqor.web.services import Services

MAX_THREADS = 32
"""Handlers that wait for a store or a database do so in this many threads at most."""
CROSS_ORIGIN: dict[str, Any] = {
    "allow_credentials": True,
    "allow_methods": ["GET", "POST", "PUT", "DELETE"],
    "allow_headers": ["Content-Type", "X-CSRF-Token", "Idempotency-Key"],
    "expose_headers": ["Retry-After"],
}
"""What a dashboard on one of DASHBOARD_ORIGIN may ask and send."""
SERVICE_ROUTES = frozenset({intake.INTAKE, intake.STATUS})
"""The routes that steer. All others are Levqor's own: recorded apart (spec S1)."""


def create_app(services: Services) -> FastAPI:
    """Build the application. Nothing runs before its lifespan starts."""
    settings, problem_schema = services.settings, models.Problem.model_json_schema()
    app = FastAPI(
        title="Levqor",
        version=services.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"description": "What is wrong", "content": {problems.MEDIA_TYPE: {"schema": problem_schema}}}},
        lifespan=_lifespan(services),
    )
    problems.install(app)
    wrong_tokens = WrongTokens(services.clock)
    guard = _guard(services)
    access = Access(settings, wrong_tokens, guard)
    for router in _routers(app, services, access, guard):
        app.include_router(router)
    files = {} if services.site is None else site.load(settings.base_path, services.site)
    if files:
        # Before the page at `/` that stands in where no dashboard was built.
        app.router.routes.insert(0, site.SiteRoute(files))
    # The last one added is the outermost.
    app.add_middleware(RequestSize, settings=settings, larger={activity.EVENTS: settings.events_body_max_bytes})
    app.add_middleware(RateLimit, settings=settings, clock=services.clock, wrong_tokens=wrong_tokens)
    app.add_middleware(Edge)
    if services.recorder is not None:
        app.add_middleware(LevqorMiddleware, recorder=services.recorder, scope_of=scope_of)
    if settings.dashboard_origin:
        # Outside of all that may refuse, so that a page on a host of its own can read why.
        app.add_middleware(CORSMiddleware, allow_origins=settings.dashboard_origin, **CROSS_ORIGIN)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(BasePath, base_path=settings.base_path)
    return app


def _routers(app: FastAPI, services: Services, access: Access, guard: Guard | None) -> Iterator[APIRouter]:
    """The routes of every part that there is."""
    for part in (health, ops, autoscale, holds, records, slo, dead_letters, page):
        yield part.router(services, access)
    yield docs.router(app, services.settings.base_path, access)
    yield from _desks(services, access)
    if services.targets is not None:
        yield keda.router(services.targets, access)
    if services.settings.intake_enabled and services.engine is not None:
        yield intake.router(services, services.engine, access)
    if guard is not None and services.sign_ins is not None:
        yield sessions.router(services.settings, access, guard, services.sign_ins)


def _desks(services: Services, access: Access) -> Iterator[APIRouter]:
    """The routes of the desks that were handed in."""
    if services.alerts is not None:
        yield alerts.router(services, services.alerts, access)
    if services.costs is not None:
        yield costs.router(services.costs, access)
    if services.retention is not None:
        yield activity.router(services, services.retention, access)
        yield retention.router(services.retention, access)
    if services.incidents is not None:
        yield incidents.router(services, services.incidents, access)
    if services.verification is not None:
        yield verify.router(services, services.verification, access)
    if services.schedule is not None:
        yield schedule.router(services, services.schedule, access)
    if services.deploys is not None:
        yield deploys.router(services, services.deploys, access)
    if services.promises is not None:
        yield promises.router(services.promises, access)
    if services.overview is not None:
        yield overview.router(services.overview, access)


def _guard(services: Services) -> Guard | None:
    """Sessions need a token to begin them and a secret to seal them."""
    secret, token = services.settings.jwt_secret, services.settings.admin_token
    if services.sign_ins is None or secret is None or token is None:
        return None
    return Guard(Seal(secret, token), services.sign_ins, services.settings.dashboard_origin)


def scope_of(scope: MutableMapping[str, Any]) -> str:
    """Whether a request was the service's, which is measured, or Levqor's own."""
    return "service" if template_of(scope) in SERVICE_ROUTES else "own"


def _lifespan(services: Services) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = MAX_THREADS
        await anyio.to_thread.run_sync(services.on_start)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(services.on_stop)

    return lifespan
