"""Who calls and which call it is, for servicers."""

from typing import Any

from controlplane.api.convert import common
from controlplane.api.interceptors import call as calls
from controlplane.api.interceptors.call import Context
from controlplane.domain.access import Visible
from controlplane.domain.errors import CredentialsMissing
from controlplane.domain.requests import IdempotencyKey
from controlplane.domain.tokens import Principal


def principal() -> Principal:
    """Who calls. The authentication stage saw to it; without one the call is refused here once more."""
    known = calls.current().principal
    if known is None:
        raise CredentialsMissing("this call needs a token")
    return known


def address(context: Context) -> str:
    """Where the call comes from, without the port: `192.0.2.7`."""
    return calls.address_of(str(context.peer()))


def visible() -> Visible:
    """What lists show to the caller: asked again by streams, whose caller may lose or gain something meanwhile."""
    return principal().grants.visible(calls.current().permission)


def idempotency_key(request: Any, *, unkept: str = "") -> IdempotencyKey | None:
    """The key under which a repeat of this mutation is recognised; None when the caller gave no request_id.

    `unkept` names a field that is left out: what can be guessed must not be stored, not even as a quick hash. Of maps (`bundle.variables`)
    and of items with a `key` the values are left out, and the names stay.
    """
    if unkept:
        bare = type(request)()
        bare.CopyFrom(request)
        for path in unkept.split("|"):
            common.clear_values(bare, path)
        request = bare
    return common.idempotency_key(
        request, principal=principal().name, method=calls.current().method
    )
