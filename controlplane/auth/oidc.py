"""Single sign-on: the protocol with the identity provider. Called by `edge/sign_in`, for browsers.

OpenID Connect's authorization code flow with PKCE: `begin` says where the browser goes, `finish` trades what it brings back for
who it is. What must be remembered between the two is a `Flow`; whoever keeps it keeps it from others.
"""

import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from controlplane.domain.clock import Clock
from controlplane.domain.people import ExternalIdentity

# Signatures that the provider alone can make: with `none` or a shared secret anybody who knows the client could.
_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
_TIMEOUT = 10.0
_LEEWAY = 60
_DISCOVERY_LIFE = timedelta(hours=1)
_GROUPS_MAX = 500
_TEXT_MAX = 200


class OidcRefused(Exception):
    """What came back does not prove who it is; the message may be shown."""


class OidcUnavailable(Exception):
    """The identity provider cannot be asked; the message may be shown."""


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """The provider, and what we are called there."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """What one login must remember until the browser is back."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class OidcProvider:
    """One identity provider."""

    def __init__(self, config: OidcConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        # Reads files, and nothing else: made once.
        self._tls = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True
        self._metadata: dict[str, Any] = {}
        self._discovered = clock.now() - _DISCOVERY_LIFE
        self._keys: KeySet | None = None

    async def begin(self) -> tuple[str, Flow]:
        """Where to send the browser, and what to remember. Raises OidcUnavailable."""
        metadata = await self._discover()
        flow = Flow(*(secrets.token_urlsafe(32) for _ in range(3)))
        async with self._client() as client:
            url, _state = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=flow.state,
                nonce=flow.nonce,
                code_challenge=create_s256_code_challenge(flow.verifier),
                code_challenge_method="S256",
            )
        return str(url), flow

    async def finish(self, flow: Flow, answer: Mapping[str, str]) -> ExternalIdentity:
        """Who it is, from the parameters that the browser brought back. Raises OidcRefused, OidcUnavailable."""
        metadata = await self._discover()
        if not secrets.compare_digest(answer.get("state", ""), flow.state):
            raise OidcRefused("this is the answer to another login: begin again")
        # RFC 9207: an answer of another provider must not be traded here.
        announced = metadata.get("authorization_response_iss_parameter_supported") is True
        if ("iss" in answer or announced) and answer.get("iss") != self._config.issuer:
            raise OidcRefused("the answer came from another identity provider")
        if "error" in answer:
            raise OidcRefused(f"the identity provider said no: {answer['error'][:_TEXT_MAX]}")
        if not answer.get("code"):
            raise OidcRefused("the identity provider sent no code")
        token = await self._trade(metadata, flow, answer["code"])
        return self._identity(await self._verified(flow, token))

    async def _trade(self, metadata: Mapping[str, Any], flow: Flow, code: str) -> Mapping[str, Any]:
        try:
            async with self._client() as client:
                token: Mapping[str, Any] = await client.fetch_token(
                    metadata["token_endpoint"], code=code, code_verifier=flow.verifier
                )
        except AuthlibBaseError as error:
            raise OidcRefused(f"the identity provider refused the code: {error.error}") from error
        except (httpx2.HTTPError, ValueError) as error:
            raise OidcUnavailable(f"the identity provider does not answer: {error}") from error
        return token

    async def _verified(self, flow: Flow, token: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims of the ID token, all of OpenID Connect Core §3.1.3.7 checked."""
        text = str(token.get("id_token", ""))
        try:
            try:
                decoded = jwt.decode(text, await self._key_set(), algorithms=_ALGORITHMS)
            except (InvalidKeyIdError, BadSignatureError):
                # The provider has changed its keys since.
                decoded = jwt.decode(text, await self._key_set(fresh=True), algorithms=_ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self._config.issuer},
                    "aud": {"essential": True, "value": self._config.client_id},
                    "nonce": {"essential": True, "value": flow.nonce},
                    "sub": {"essential": True},
                },
                {
                    "nonce": flow.nonce,
                    "client_id": self._config.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=_LEEWAY)
        except (JoseError, ValueError) as error:
            raise OidcRefused(f"the identity provider's token is not valid: {error}") from error
        found: Mapping[str, Any] = claims
        return found

    def _identity(self, claims: Mapping[str, Any]) -> ExternalIdentity:
        groups = claims.get(self._config.groups_claim) or ()
        if isinstance(groups, str):
            groups = (groups,)
        if not isinstance(groups, list | tuple):
            raise OidcRefused(f"the claim {self._config.groups_claim!r} is no list of groups")
        return ExternalIdentity(
            issuer=self._config.issuer,
            subject=str(claims["sub"]),
            user_name=_text(claims.get("preferred_username")),
            display_name=_text(claims.get("name")),
            email=_text(claims.get("email")),
            groups=frozenset(item for item in groups[:_GROUPS_MAX] if isinstance(item, str)),
        )

    async def _discover(self) -> Mapping[str, Any]:
        if self._clock.now() - self._discovered >= _DISCOVERY_LIFE:
            issuer = self._config.issuer
            found = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise OidcUnavailable(
                    f"the identity provider calls itself something else than {issuer}"
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                url = str(found.get(name, ""))
                if not url.startswith("https://" if issuer.startswith("https://") else "http"):
                    raise OidcUnavailable(f"the identity provider names no safe {name}")
            self._metadata, self._discovered, self._keys = found, self._clock.now(), None
        return self._metadata

    async def _key_set(self, *, fresh: bool = False) -> KeySet:
        if self._keys is None or fresh:
            try:
                found: Any = await self._get(self._metadata["jwks_uri"])
                self._keys = KeySet.import_key_set(found)
            except (KeyError, JoseError) as error:
                raise OidcUnavailable("the identity provider's keys cannot be read") from error
        return self._keys

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with httpx2.AsyncClient(verify=self._tls, timeout=_TIMEOUT) as client:
                answer = await client.get(url, headers={"accept": "application/json"})
                answer.raise_for_status()
                found = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise OidcUnavailable(f"the identity provider does not answer: {error}") from error
        if not isinstance(found, dict):
            raise OidcUnavailable(f"{url} is no JSON object")
        return found

    def _client(self) -> AsyncOAuth2Client:
        config = self._config
        return AsyncOAuth2Client(
            client_id=config.client_id,
            client_secret=config.client_secret,
            scope=" ".join(config.scopes),
            redirect_uri=config.redirect_uri,
            verify=self._tls,
            timeout=_TIMEOUT,
        )


def _text(value: object) -> str:
    """A claim that is shown to people; one that is no text, or hides something, is as good as none."""
    return value[:_TEXT_MAX] if isinstance(value, str) and value.isprintable() else ""
