"""The page on which somebody who is logged in in a browser approves a program's login by its code. Wired by `app.py`.

Who is not logged in is sent through single sign-on first; without that the page says which command does the same.
"""

import hashlib
import hmac
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controlplane.domain.audit import AuditAction
from controlplane.domain.errors import SkerryError, StatusCode
from controlplane.domain.tokens import Principal
from controlplane.edge import pages
from controlplane.edge.cookies import Cookies
from controlplane.edge.sign_in import Authenticate, address_of
from controlplane.services.audit import AuditService
from controlplane.services.device_logins import DeviceLoginService

PATH = "/device"
_FORM_MAX = 4096
_METHOD = "skerry.platform.v1.DeviceLoginService"


class Devices:
    """The routes of the page."""

    def __init__(
        self,
        *,
        logins: DeviceLoginService,
        authenticate: Authenticate,
        audit: AuditService,
        cookies: Cookies,
        single_sign_on: bool,
    ) -> None:
        self._logins = logins
        self._authenticate = authenticate
        self._audit = audit
        self._cookies = cookies
        self._single_sign_on = single_sign_on

    def routes(self) -> list[Route]:
        """For the edge's application."""
        return [Route(PATH, self._ask), Route(PATH, self._answer, methods=["POST"])]

    async def _ask(self, request: Request) -> Response:
        code = request.query_params.get("user_code", "")[:20]
        try:
            principal = await self._authenticate(self._cookies.session(request))
        except SkerryError:
            return self._log_in_first(code)
        if not code:
            field = pages.form(PATH, {}, field="user_code", buttons={"": "Go on"}, method="get")
            return pages.page("Let a program in", pages.text("The code that it shows:") + field)
        try:
            login = await self._logins.get(principal, code, address=address_of(request))
        except SkerryError as error:
            return _failed(error)
        words = (
            f"{login.client or 'A program'} at {login.address} wants to act as {principal.name}. It shows the code {login.user_code}. "
            "Allow it only if you started it yourself just now."
        )
        hidden = {"user_code": login.user_code, "csrf": self._csrf(request)}
        answers = pages.form(PATH, hidden, buttons={"approve": "Allow", "deny": "Deny"})
        return pages.page("Let a program in", pages.text(words) + answers)

    async def _answer(self, request: Request) -> Response:
        form = await _form(request)
        try:
            principal = await self._authenticate(self._cookies.session(request))
        except SkerryError:
            return self._log_in_first(form.get("user_code", ""))
        # Another site can make a browser send this form, but cannot read what stands in it.
        if not hmac.compare_digest(form.get("csrf", ""), self._csrf(request)):
            return pages.page(
                "Not done", pages.text("This form is not ours: begin again."), status=403
            )
        approve = form.get("answer") == "approve"
        name = "ApproveDeviceLogin" if approve else "DenyDeviceLogin"
        decide = self._logins.approve if approve else self._logins.deny
        action = _action(principal, name, address_of(request))
        try:
            code, address = form.get("user_code", ""), address_of(request)
            await decide(principal, code, address=address, action=action)
        except SkerryError as error:
            await self._audit.record(action, error.code.name, error.reason)
            return _failed(error)
        words = (
            "The program is logged in. You may close this page." if approve else "It was denied."
        )
        return pages.page("Done", pages.text(words))

    def _log_in_first(self, code: str) -> Response:
        if self._single_sign_on:
            target = quote(f"{PATH}?user_code={code}" if code else PATH, safe="")
            body = pages.link("Log in", f"/auth/oidc/login?next={target}")
        else:
            body = pages.text("Where you are logged in, run: skerry device approve CODE")
        return pages.page("Let a program in", body, status=401)

    def _csrf(self, request: Request) -> str:
        return hashlib.sha256(b"csrf" + self._cookies.session(request).encode()).hexdigest()


def _action(principal: Principal, name: str, address: str) -> AuditAction:
    token = f"{principal.name}/tokens/{principal.credential}"
    return AuditAction(f"{_METHOD}/{name}", address, "", actor=principal.name, token=token)


def _failed(error: SkerryError) -> Response:
    status = {StatusCode.NOT_FOUND: 404, StatusCode.RESOURCE_EXHAUSTED: 429}.get(error.code, 403)
    body = pages.text(error.message) + pages.link("Another code", PATH)
    return pages.page("Not done", body, status=status)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form; nothing of one that is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_MAX:
            return {}
    fields = parse_qs(body.decode("ascii", errors="replace"), max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}
