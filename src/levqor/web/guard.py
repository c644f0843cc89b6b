"""Which session a request carries, and whether a change really comes from our own page (OWASP: token and origin, both)."""

from collections.abc import Sequence

import anyio.to_thread
from fastapi import Request

from levqor.web.problems import ProblemError
from levqor.web.seal import COOKIE, Seal, is_same
from levqor.web.services import Session, SignIns

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Sessions as requests carry them. `origins`: pages on hosts of their own that may use the API (DASHBOARD_ORIGIN)."""

    def __init__(self, seal: Seal, sign_ins: SignIns, origins: Sequence[str]) -> None:
        self.seal, self._sign_ins, self._origins = seal, sign_ins, frozenset(origins)

    async def find(self, request: Request) -> Session | None:
        """The session that the cookie names, if it still lasts. Raises DatabaseDown."""
        session_id = self.seal.session_id(request.cookies.get(COOKIE, ""))
        return None if session_id is None else await anyio.to_thread.run_sync(self._sign_ins.find, session_id)

    async def admitted(self, request: Request) -> Session | None:
        """The session of a request that may do what it asks. Raises 403 for a change that is not our page's."""
        session = await self.find(request)
        if session is not None and request.method not in SAFE_METHODS:
            self.check_change(request, session)
        return session

    def check_change(self, request: Request, session: Session) -> None:
        """Raises 403 unless the request carries the session's CSRF token and comes from our page."""
        self.check_origin(request)
        if not is_same(request.headers.get("x-csrf-token", ""), self.seal.csrf(session.id)):
            raise ProblemError(403, "X-CSRF-Token is missing or wrong: reload the page.")

    def check_origin(self, request: Request) -> None:
        """Raises 403 for another site's page. A client that is no browser says nothing, and is not one."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        # What the browser itself says counts first: behind a proxy the Host need not be the one that it knows.
        is_ours = site in ("same-origin", "none") or (origin is None and site is None)
        host = request.headers.get("host", "")
        if not is_ours and origin not in {*self._origins, f"http://{host}", f"https://{host}"}:
            raise ProblemError(403, "This came from another site's page.")

    def read_only_because(self, request: Request) -> str | None:
        """Why a page cannot sign in from where it is; None where it can. Browsers keep cookies from another site's pages."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            return "This page is on another site than its API, where browsers keep sign-ins apart: it only reads."
        return None

    def is_secure(self, request: Request) -> bool:
        """Did it come by HTTPS, here or as far as the proxy? Only then may the cookie ask for it."""
        forwarded = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
        return request.url.scheme == "https" or forwarded == "https"
