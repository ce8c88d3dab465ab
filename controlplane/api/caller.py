"""Who calls and which call it is, for servicers."""

from typing import Any

from controlplane.api.convert import common
from controlplane.api.interceptors import call as calls
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


def visible() -> Visible:
    """What lists show to the caller: asked again by streams, whose caller may lose or gain something meanwhile."""
    return principal().grants.visible(calls.current().permission)


def idempotency_key(request: Any) -> IdempotencyKey | None:
    """The key under which a repeat of this mutation is recognised; None when the caller gave no request_id."""
    return common.idempotency_key(
        request, principal=principal().name, method=calls.current().method
    )
