"""Fourth stage: who calls, and whether that is enough for the method. Runs before the request is read. Wired by `app.py`."""

from collections.abc import Mapping

from controlplane.api.interceptors.call import Call
from controlplane.api.interceptors.drain import Drain
from controlplane.auth.authenticator import Authenticator
from controlplane.auth.rules import Rule
from controlplane.domain.errors import PermissionDenied


class Admission:
    """Admits a call when its method has a rule and the caller fulfils it; anything else is refused."""

    def __init__(
        self, rules: Mapping[str, Rule], authenticator: Authenticator, drain: Drain
    ) -> None:
        self._rules = rules
        self._authenticator = authenticator
        self._drain = drain

    async def __call__(self, call: Call) -> None:
        """Sets `call.principal`. Raises PermissionDenied, CredentialsMissing, CredentialsInvalid or Draining."""
        rule = self._rules.get(call.method)
        if rule is None:
            raise PermissionDenied(f"no rule admits anybody to {call.method}")
        if rule is Rule.OPEN:
            # Health answers to the end: it is what says that the server is going.
            return
        self._drain.check()
        if rule is Rule.ANY_TOKEN:
            call.principal = await self._authenticator.authenticate(
                call.metadata.get("authorization")
            )
