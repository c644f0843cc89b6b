"""The web application, put together from what it is handed."""

from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI

from levqor.client.asgi import LevqorMiddleware, template_of
from levqor.web import alerts, autoscale, dead_letters, docs, health, holds, incidents, intake, models, ops, page, problems, records, slo
from levqor.web.auth import Access
from levqor.web.edge import BasePath, Edge
from levqor.web.limits import RateLimit, RequestSize, SecurityHeaders, WrongTokens
from levqor.web.services import Services

MAX_THREADS = 32
"""Handlers that wait for a store or a database do so in this many threads at most."""
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
    access = Access(settings, wrong_tokens)
    parts = (health, ops, autoscale, holds, records, slo, dead_letters, page)
    routers = [*(part.router(services, access) for part in parts), docs.router(app, settings.base_path, access)]
    if services.alerts is not None:
        routers.append(alerts.router(services, services.alerts, access))
    if services.incidents is not None:
        routers.append(incidents.router(services, services.incidents, access))
    if settings.intake_enabled and services.engine is not None:
        routers.append(intake.router(services, services.engine, access))
    for router in routers:
        app.include_router(router)
    # The last one added is the outermost.
    app.add_middleware(RequestSize, settings=settings)
    app.add_middleware(RateLimit, settings=settings, clock=services.clock, wrong_tokens=wrong_tokens)
    app.add_middleware(Edge)
    if services.recorder is not None:
        app.add_middleware(LevqorMiddleware, recorder=services.recorder, scope_of=scope_of)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(BasePath, base_path=settings.base_path)
    return app


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
