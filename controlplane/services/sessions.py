"""Logging in, and what callers hold themselves: password, sessions, personal tokens. Called by `api/sessions`."""

import dataclasses
from datetime import timedelta

from controlplane.auth.guessing import GuessGuard
from controlplane.auth.passwords import Passwords, check_policy
from controlplane.domain.access import Permissions
from controlplane.domain.errors import (
    CredentialsInvalid,
    NotFound,
    PermissionDenied,
    SecondFactorRequired,
)
from controlplane.domain.people import User
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.tokens import ApiToken, Principal, TokenKind
from controlplane.services.idempotency import once
from controlplane.services.second_factors import SecondFactorService
from controlplane.services.token_maker import IssuedToken, TokenMaker
from controlplane.services.users import existing_user
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

SESSION_TTL = timedelta(days=7)
_WRONG = "the user or the password is wrong"


class SessionService:
    """Use cases of a caller's own credentials."""

    def __init__(
        self,
        *,
        store: Store,
        tokens: TokenMaker,
        passwords: Passwords,
        guard: GuessGuard,
        second_factors: SecondFactorService,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._passwords = passwords
        self._guard = guard
        self._second_factors = second_factors

    async def login(self, user: str, password: str, *, address: str, code: str = "") -> IssuedToken:
        """Begin a session. Raises CredentialsInvalid, whatever was wrong; TooManyAttempts; SecondFactorRequired without a code."""
        name = user if user.startswith("users/") else f"users/{user}"
        self._guard.check(name, address)
        async with self._store.reading() as tx:
            known = await tx.users.get(name)
            needs_code = await self._second_factors.is_needed(tx, name)
        hashed = known.password_hash if known else None
        if not await self._passwords.matches(password, hashed) or not known or known.disabled:
            self._guard.wrong(name, address)
            raise CredentialsInvalid(_WRONG)
        if needs_code and not code:
            raise SecondFactorRequired("the password is right; send the code of your app with it")
        rehashed = None
        if hashed and self._passwords.is_outdated(hashed):
            rehashed = await self._passwords.hash(password)
        issued = await self._begin(name, code, address, expected_hash=hashed, rehashed=rehashed)
        # Not before the code was right, too: who knows the password must not get tries at codes by it.
        self._guard.right(name)
        return issued

    async def _begin(
        self, name: str, code: str, address: str, *, expected_hash: str | None, rehashed: str | None
    ) -> IssuedToken:
        """A session of somebody who has that password. Raises CredentialsInvalid when it changed meanwhile, or the code is wrong."""
        async with self._store.transaction() as tx:
            user = await tx.users.get(name)
            if user is None or user.disabled or user.password_hash != expected_hash:
                raise CredentialsInvalid(_WRONG)
            await self._second_factors.prove(tx, name, code, address)
            if rehashed:
                await tx.users.save(dataclasses.replace(user, password_hash=rehashed))
            return await self._tokens.make(tx, name, TokenKind.SESSION, "login", ttl=SESSION_TTL)

    async def logout(self, caller: Principal) -> None:
        """End what the call was made with."""
        async with self._store.transaction() as tx:
            await tx.tokens.revoke(caller.credential, tx.now)

    async def current(self, caller: Principal) -> ApiToken:
        """What the call was made with. Raises CredentialsInvalid."""
        async with self._store.reading() as tx:
            token = await tx.tokens.get_by_uid(caller.credential)
        if token is None:
            raise CredentialsInvalid("the token is gone")
        return token

    async def change_password(self, caller: Principal, old: str, new: str, *, address: str) -> None:
        """Set a new password and end the other sessions. Raises CredentialsInvalid, InvalidField, TooManyAttempts, PermissionDenied."""
        check_unrestricted(caller)
        check_policy(new, caller.name.rpartition("/")[2], "new_password")
        self._guard.check(caller.name, address)
        user = await self._user(caller)
        known = user.password_hash
        if known is not None and not await self._passwords.matches(old, known):
            self._guard.wrong(caller.name, address)
            raise CredentialsInvalid("the old password is wrong")
        hashed = await self._passwords.hash(new)
        async with self._store.transaction() as tx:
            user = await existing_user(tx, caller.name)
            if user.password_hash != known:
                raise CredentialsInvalid("the password was changed by somebody else meanwhile")
            await tx.users.save(
                dataclasses.replace(
                    user,
                    password_hash=hashed,
                    generation=user.generation + 1,
                    update_time=tx.now,
                )
            )
            await tx.tokens.end_sessions(caller.name, tx.now, but=caller.credential)

    async def create_token(
        self,
        caller: Principal,
        display_name: str,
        *,
        permissions: Permissions | None,
        scope: str,
        ttl: timedelta | None,
        key: IdempotencyKey | None = None,
    ) -> IssuedToken:
        """A personal token. Raises InvalidField, PermissionDenied (restricted token), AlreadyExists (a repeat)."""
        check_unrestricted(caller)
        kind = TokenKind.PERSONAL
        if not caller.name.startswith("users/"):
            raise PermissionDenied("a service account's tokens are made by its organization")
        async with self._store.transaction() as tx:
            return await self._tokens.make_once(
                tx,
                caller.name,
                kind,
                display_name,
                permissions=permissions,
                scope=scope,
                ttl=ttl,
                key=key,
            )

    async def list_tokens(self, caller: Principal, page: PageRequest) -> Page[ApiToken]:
        """The caller's own, newest first. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.tokens.page(caller.name, page, kinds=frozenset(TokenKind))

    async def revoke_token(
        self, caller: Principal, name: str, *, key: IdempotencyKey | None = None
    ) -> None:
        """End one of the caller's own. Raises NotFound, PermissionDenied (a restricted token may end itself only)."""

        async def revoke() -> bool:
            token = await existing_token(tx, name, caller.name)
            if token.uid != caller.credential:
                check_unrestricted(caller)
            await tx.tokens.revoke(token.uid, tx.now)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, revoke)

    async def _user(self, caller: Principal) -> User:
        async with self._store.reading() as tx:
            return await existing_user(tx, caller.name)


async def existing_token(tx: Transaction, name: str, subject: str) -> ApiToken:
    """A token of the subject that was not revoked, or NotFound."""
    token = await tx.tokens.get_by_uid(name.rpartition("/")[2])
    if token is None or token.name != name or token.subject != subject or token.revoke_time:
        raise NotFound(name)
    return token


def check_unrestricted(caller: Principal) -> None:
    """Raises PermissionDenied for a token that is good for less than its owner."""
    if caller.restricted:
        raise PermissionDenied(
            "this token is good for a part of what its owner may do, and must not gain more: "
            "log in with the password, or use a token that is not restricted"
        )
