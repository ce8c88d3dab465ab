"""Single sign-on for browsers: to the identity provider and back, and what the session is good for. Wired by `app.py`.

`/auth/oidc/login` sends the browser away, `/auth/oidc/callback` takes it back, `/auth/session` says who it is, `/auth/logout` ends it.
"""

import re
from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from controlplane.auth.guessing import GuessGuard
from controlplane.auth.oidc import OidcProvider, OidcRefused, OidcUnavailable
from controlplane.domain.audit import AuditAction
from controlplane.domain.errors import SkerryError, TooManyAttempts
from controlplane.domain.tokens import Principal
from controlplane.edge import pages
from controlplane.edge.cookies import Cookies, Pending
from controlplane.services.audit import AuditService
from controlplane.services.external_logins import SESSION_TTL, ExternalLoginService
from controlplane.services.sessions import SessionService

_log = structlog.get_logger(__name__)

SESSION_PATH = "/auth/session"
METHOD = "oidc/Login"
# Where a login may lead: our own pages. Anything else would make us a signpost for whoever writes the link.
_TARGET = re.compile(r"/(auth/session|device(\?user_code=[A-Za-z-]{0,20})?)")

Authenticate = Callable[[str], Awaitable[Principal]]


class SignIn:
    """The routes of a browser's login."""

    def __init__(
        self,
        *,
        provider: OidcProvider,
        logins: ExternalLoginService,
        sessions: SessionService,
        authenticate: Authenticate,
        audit: AuditService,
        guard: GuessGuard,
        cookies: Cookies,
    ) -> None:
        self._provider = provider
        self._logins = logins
        self._sessions = sessions
        self._authenticate = authenticate
        self._audit = audit
        self._guard = guard
        self._cookies = cookies

    def routes(self) -> list[Route]:
        """For the edge's application."""
        return [
            Route("/auth/oidc/login", self._begin),
            Route("/auth/oidc/callback", self._finish),
            Route(SESSION_PATH, self._show),
            Route("/auth/logout", self._end, methods=["POST"]),
        ]

    async def _begin(self, request: Request) -> Response:
        target = request.query_params.get("next", SESSION_PATH)
        try:
            url, flow = await self._provider.begin()
        except OidcUnavailable as error:
            return _failed(str(error), status=502)
        response = RedirectResponse(url, status_code=303, headers=pages.HEADERS)
        safe = target if _TARGET.fullmatch(target) else SESSION_PATH
        self._cookies.remember(response, Pending(flow, safe))
        return response

    async def _finish(self, request: Request) -> Response:
        address = address_of(request)
        action = AuditAction(METHOD, address, call_id="")
        # Each address by itself: nobody can keep others from logging in.
        account = f"{METHOD} {address}"
        try:
            self._guard.check(account, address)
            pending = self._cookies.pending(request)
            if pending is None:
                raise OidcRefused(
                    "no login is under way in this browser, or it took too long: begin again"
                )
            identity = await self._provider.finish(pending.flow, dict(request.query_params))
            issued = await self._logins.login(identity, action)
        except TooManyAttempts as error:
            return _failed(error.message, status=429)
        except OidcUnavailable as error:
            response = _failed(str(error), status=502)
        except (OidcRefused, SkerryError) as error:
            _log.info("single_sign_on_refused", address=address, reason=str(error))
            self._guard.wrong(account, address)
            await self._audit.record(action, "UNAUTHENTICATED", "CREDENTIALS_INVALID")
            response = _failed(str(error), status=403)
        else:
            self._guard.right(account)
            response = RedirectResponse(pending.target, status_code=303, headers=pages.HEADERS)
            self._cookies.begin_session(response, issued.secret, int(SESSION_TTL.total_seconds()))
        self._cookies.forget(response)
        return response

    async def _show(self, request: Request) -> Response:
        try:
            principal = await self._authenticate(self._cookies.session(request))
        except SkerryError:
            return JSONResponse({"principal": None}, status_code=401, headers=pages.HEADERS)
        known = {"principal": principal.name, "displayName": principal.display_name}
        return JSONResponse(known, headers=pages.HEADERS)

    async def _end(self, request: Request) -> Response:
        response = pages.page("Logged out", pages.text("The session in this browser is over."))
        try:
            principal = await self._authenticate(self._cookies.session(request))
            await self._sessions.logout(principal)
        except SkerryError:
            _log.info("logout_without_session", address=address_of(request))
        self._cookies.end_session(response)
        return response


def address_of(request: Request) -> str:
    """Where the browser is, as the proxy before us says."""
    return request.client.host if request.client else ""


def _failed(message: str, *, status: int) -> Response:
    body = pages.text(message) + pages.link("Try again", "/auth/oidc/login")
    return pages.page("Not logged in", body, status=status)
