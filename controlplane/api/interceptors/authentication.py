"""Before a call is read: whether its method has a rule, and who calls. Wired by `app.py`."""

from collections.abc import Mapping

from controlplane.api.interceptors.call import Call
from controlplane.api.interceptors.drain import Drain
from controlplane.auth.authenticator import Authenticator
from controlplane.auth.rules import Access, Rule
from controlplane.domain.errors import PermissionDenied


class Admission:
    """Admits a call when its method has a rule and the caller is known where that asks for it; anything else is refused."""

    def __init__(
        self, rules: Mapping[str, Rule], authenticator: Authenticator, drain: Drain
    ) -> None:
        self._rules = rules
        self._authenticator = authenticator
        self._drain = drain

    async def __call__(self, call: Call) -> None:
        """Sets `call.rule` and `call.principal`. Raises PermissionDenied, CredentialsMissing, CredentialsInvalid or Draining."""
        call.rule = rule = self._rules.get(call.method)
        if rule is None:
            raise PermissionDenied(f"no rule admits anybody to {call.method}")
        if rule.access is Access.OPEN:
            # Health answers to the end: it is what says that the server is going.
            return
        self._drain.check()
        if rule.needs_token:
            call.principal = await self._authenticator.authenticate(
                call.metadata.get("authorization")
            )
