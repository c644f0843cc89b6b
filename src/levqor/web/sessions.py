"""Signing in to the dashboard: the admin's token once, then a sealed cookie that only this origin's page can use."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from levqor.settings import Settings
from levqor.web import overview_models as shapes
from levqor.web.answers import Json
from levqor.web.auth import Access
from levqor.web.callers import admin_verdict_of
from levqor.web.guard import Guard
from levqor.web.orders import Line
from levqor.web.problems import ProblemError
from levqor.web.seal import COOKIE
from levqor.web.services import Session, SignIns
from levqor.web.strict_json import Body, body_of, described

PATH = "/auth/session"


def _named(name: str) -> str:
    if not name.strip():
        raise ValueError("expected a name")
    return name.strip()


class SignInOrder(Body):
    """The admin's token, and under which name changes are recorded."""

    token: str = Field(min_length=1, max_length=500)
    name: Annotated[Line, Field(max_length=100), AfterValidator(_named)] = "admin"


SignIn = Annotated[SignInOrder, Depends(body_of(SignInOrder))]


def router(settings: Settings, access: Access, guard: Guard, sign_ins: SignIns) -> APIRouter:
    """Who is signed in, signing in and out."""
    routes = APIRouter(tags=["dashboard"])

    async def answer(request: Request, session: Session | None) -> dict[str, Any]:
        return {
            "signed_in": session is not None,
            "name": None if session is None else session.name,
            "expires_at": None if session is None else session.expires_at,
            "csrf": None if session is None else guard.seal.csrf(session.id),
            "may_read": session is not None or await access.may_read(request),
            "read_only": guard.read_only_because(request),
        }

    @routes.get(PATH, responses={200: {"model": shapes.Session}})
    async def session(request: Request) -> Response:
        """Who looks, what they may, and the token that changes must carry."""
        return Json(await answer(request, await guard.find(request)))

    @routes.post(PATH, responses={200: {"model": shapes.Session}}, openapi_extra=described(SignInOrder))
    async def sign_in(request: Request, order: SignIn) -> Response:
        """Begin a session. Wrong tokens wait, and from the 20th a minute on are turned away."""
        guard.check_origin(request)
        refusal = guard.read_only_because(request)
        if refusal is not None:
            raise ProblemError(403, refusal)
        if not admin_verdict_of(order.token, settings.admin_token):
            raise await access.wrong_token(request)
        begun = await anyio.to_thread.run_sync(sign_ins.begin, order.name)
        response = Json(await answer(request, begun))
        response.set_cookie(
            COOKIE,
            guard.seal.cookie(begun.id),
            expires=begun.expires_at,
            path=settings.base_path or "/",
            secure=guard.is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return response

    @routes.delete(PATH, status_code=204)
    async def sign_out(request: Request) -> Response:
        """End the session on the server; the cookie is worth nothing from then on."""
        session = await guard.find(request)
        if session is not None:
            guard.check_change(request, session)
            await anyio.to_thread.run_sync(sign_ins.end, session.id)
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, path=settings.base_path or "/", secure=guard.is_secure(request), httponly=True, samesite="lax")
        return response

    return routes
