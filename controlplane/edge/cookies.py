"""The cookies of browsers: the session, and what one login must remember until the browser is back. Used by `sign_in` and `devices`."""

import dataclasses
import json
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from controlplane.auth.oidc import Flow
from controlplane.domain.clock import Clock

# A provider's page, a second factor, a forgotten password: that long a login may take.
FLOW_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Pending:
    """A login that is under way in one browser, and where it goes then."""

    flow: Flow
    target: str


class Cookies:
    """Sets and reads them. A script cannot read them, and another site's form does not send them."""

    def __init__(self, clock: Clock, *, secure: bool) -> None:
        self._clock = clock
        self._secure = secure
        # Of this process: a restart in the middle of a login means to begin it again.
        self._seal = Fernet(Fernet.generate_key())
        prefix = "__Host-" if secure else ""
        self._session = f"{prefix}skerry-session"
        self._pending = f"{prefix}skerry-login"

    def session(self, request: Request) -> str:
        """The session's token; empty when there is none."""
        return request.cookies.get(self._session, "")

    def begin_session(self, response: Response, token: str, seconds: int) -> None:
        self._set(response, self._session, token, seconds)

    def end_session(self, response: Response) -> None:
        self._set(response, self._session, "", 0)

    def remember(self, response: Response, pending: Pending) -> None:
        """Give the login that is under way to the browser, sealed."""
        content = json.dumps(dataclasses.asdict(pending)).encode()
        sealed = self._seal.encrypt_at_time(content, int(self._clock.now().timestamp()))
        self._set(response, self._pending, sealed.decode("ascii"), FLOW_SECONDS)

    def pending(self, request: Request) -> Pending | None:
        """The login that is under way in this browser; None when there is none, or it took too long."""
        try:
            content = self._seal.decrypt_at_time(
                request.cookies.get(self._pending, ""),
                FLOW_SECONDS,
                int(self._clock.now().timestamp()),
            )
        except InvalidToken:
            return None
        fields = json.loads(content)
        return Pending(Flow(**fields["flow"]), fields["target"])

    def forget(self, response: Response) -> None:
        """The login is over."""
        self._set(response, self._pending, "", 0)

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
