"""Who may: dependencies for each kind of endpoint (spec X0b, X1)."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Request

from levqor.settings import Settings
from levqor.web.callers import Verdict, admin_tokens, admin_verdict, bearer_tokens, is_local, is_one_of, is_same, key_of
from levqor.web.guard import Guard
from levqor.web.limits import WrongTokens
from levqor.web.problems import ProblemError, wrong_field

MAX_ACTOR_LENGTH = 100

Check = Callable[[Request], Awaitable[None]]


class Access:
    """The checks of one installation. All are `async`, and wait for a thread only to look up a session that was sealed here."""

    def __init__(self, settings: Settings, wrong_tokens: WrongTokens, guard: Guard | None = None) -> None:
        self._settings, self._wrong_tokens, self._guard = settings, wrong_tokens, guard

    async def admin(self, request: Request) -> None:
        """The admin's token, from anywhere; or the session that it began."""
        verdict = admin_verdict(request.headers, self._settings.admin_token)
        if verdict is Verdict.NONE and await self._is_signed_in(request):
            return
        if verdict is Verdict.DISABLED:
            raise ProblemError(503, "admin disabled: no ADMIN_TOKEN is set")
        if verdict is Verdict.NONE:
            raise _asks_for_token("Give the admin token, as Authorization: Bearer TOKEN or X-ADMIN-TOKEN: TOKEN.")
        if verdict is Verdict.WRONG:
            raise await self._wrong_tokens.punish(key_of(request.scope))

    async def _is_signed_in(self, request: Request) -> bool:
        """Does it carry a session? Changes are then recorded in its name."""
        session = None if self._guard is None else await self._guard.admitted(request)
        if session is not None:
            request.state.actor = session.name
        return session is not None

    async def wrong_token(self, request: Request) -> ProblemError:
        """What to answer to a wrong token that came in a body, after its delay."""
        if self._settings.admin_token is None:
            return ProblemError(503, "admin disabled: no ADMIN_TOKEN is set")
        return await self._wrong_tokens.punish(key_of(request.scope))

    async def may_read(self, request: Request) -> bool:
        """Is reading open to this request? A wrong token is no way to find out."""
        return await self.is_trusted(request)

    async def reader(self, request: Request) -> None:
        """Open on this machine; beyond it, the admin's token."""
        if not is_local(request.scope):
            await self.admin(request)

    async def public(self, request: Request) -> None:
        """Open to all, unless OPS_PUBLIC is off."""
        if not self._settings.ops_public:
            await self.reader(request)

    async def scraper(self, request: Request) -> None:
        """Open on this machine; beyond it, METRICS_TOKEN or the admin's token."""
        if is_local(request.scope) or self._is_scraper(request):
            return
        if self._settings.metrics_token is None:
            await self.admin(request)
        elif not admin_tokens(request.headers):
            raise _asks_for_token("Give METRICS_TOKEN, as Authorization: Bearer TOKEN.")
        elif admin_verdict(request.headers, self._settings.admin_token) is not Verdict.RIGHT:
            raise await self._wrong_tokens.punish(key_of(request.scope))

    async def hirefire(self, request: Request, token: str) -> None:
        """HIREFIRE_TOKEN, which comes in the path. Wrong or unset: there is no such path, which a guess waits for."""
        wanted = self._settings.hirefire_token
        if wanted is not None and is_same(token, wanted):
            return
        refusal = await self._wrong_tokens.punish(key_of(request.scope))
        raise refusal if refusal.status_code == 429 else ProblemError(404, "There is nothing at this path.")

    def _is_scraper(self, request: Request) -> bool:
        token, given = self._settings.metrics_token, bearer_tokens(request.headers)
        return token is not None and bool(given) and all([is_same(one, token) for one in given])

    async def sender(self, request: Request) -> None:
        """May post jobs and activity: an API key where keys are set, else this machine only."""
        keys, given = self._settings.api_keys, request.headers.getlist("x-api-key")
        if not keys:
            if not is_local(request.scope):
                raise ProblemError(403, "Without API_KEYS, this is taken from this machine only.")
        elif not given:
            raise ProblemError(401, "Give an API key, as X-API-Key: KEY.", headers={"WWW-Authenticate": "ApiKey"})
        elif not all([is_one_of(key, keys) for key in given]):
            refusal = await self._wrong_tokens.punish(key_of(request.scope))
            if refusal.status_code == 401:
                refusal = ProblemError(401, "The API key is wrong.", headers={"WWW-Authenticate": "ApiKey"})
            raise refusal

    async def reporter(self, request: Request) -> None:
        """May send activity: the admin, and whoever may post jobs."""
        verdict = admin_verdict(request.headers, self._settings.admin_token)
        if verdict is Verdict.WRONG:
            raise await self._wrong_tokens.punish(key_of(request.scope))
        if verdict is not Verdict.RIGHT:
            await self.sender(request)

    async def is_trusted(self, request: Request) -> bool:
        """May see details of what is open anyway: this machine or the admin. A wrong token is no way to find out."""
        if is_local(request.scope):
            return True
        verdict = admin_verdict(request.headers, self._settings.admin_token)
        if verdict is Verdict.WRONG:
            raise await self._wrong_tokens.punish(key_of(request.scope))
        return verdict is Verdict.RIGHT or await self._is_signed_in(request)


def _asks_for_token(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="levqor"'})


async def actor(request: Request) -> str:
    """Who acts, for the record: who is signed in, the name in X-Levqor-Actor (percent-encoded where not ASCII), or `admin`."""
    signed_in: str | None = getattr(request.state, "actor", None)
    if signed_in is not None:
        return signed_in
    name = unquote(request.headers.get("x-levqor-actor", "admin")).strip()
    if not name or len(name) > MAX_ACTOR_LENGTH or not name.isprintable():
        raise wrong_field("X-Levqor-Actor", f"expected 1 to {MAX_ACTOR_LENGTH} printable characters")
    return name


Actor = Annotated[str, Depends(actor)]
