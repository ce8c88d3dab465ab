"""Turns the `authorization` metadata of a call into a principal. Called by the authentication interceptor for each call."""

from typing import Protocol

from controlplane.domain.errors import CredentialsMissing
from controlplane.domain.tokens import Principal

_MISSING = "this call needs a token: send `authorization: Bearer sky_…` (`skerry login` keeps one)"


class Tokens(Protocol):
    """Knows the tokens that were given out."""

    async def authenticate(self, token: str) -> Principal:
        """Whom the token stands for. Raises CredentialsInvalid when it is unknown, revoked or expired."""
        ...


class Authenticator:
    """Knows callers by their API token."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def authenticate(self, authorization: str | None) -> Principal:
        """The principal of `Bearer <token>`. Raises CredentialsMissing or CredentialsInvalid."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise CredentialsMissing(_MISSING)
        return await self._tokens.authenticate(token)
