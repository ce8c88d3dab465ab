"""The second factor of a password: an authenticator app, and recovery codes for when it is lost. Called by `api/sessions` and at each login.

The key must be known to check a code, so it is encrypted and not hashed. A code works once, whoever sees it typed.
"""

import dataclasses
from dataclasses import dataclass, field

from controlplane.auth import totp
from controlplane.auth.guessing import GuessGuard
from controlplane.auth.passwords import Passwords
from controlplane.domain.errors import (
    AlreadyExists,
    CredentialsInvalid,
    InvalidField,
    NotFound,
    PermissionDenied,
)
from controlplane.domain.people import SecondFactor
from controlplane.domain.requests import IdempotencyKey
from controlplane.domain.sealing import CannotOpen, Cipher
from controlplane.domain.tokens import Principal
from controlplane.services.idempotency import once
from controlplane.services.users import existing_user
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

_WRONG = "the code is wrong, or was used before"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the app must know, the only time that it can be seen."""

    key: str = field(repr=False)
    uri: str = field(repr=False)


class SecondFactorService:
    """Use cases of a caller's own second factor, and its reset by an administrator."""

    def __init__(
        self, *, store: Store, cipher: Cipher, passwords: Passwords, guard: GuessGuard
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._passwords = passwords
        self._guard = guard

    async def enroll(self, caller: Principal, password: str, *, address: str) -> Enrolment:
        """Make a key for an app; nothing changes until `confirm`.

        Raises InvalidField, CredentialsInvalid, TooManyAttempts, AlreadyExists, PermissionDenied (a caller without a password: there the provider
        asks for a second factor).
        """
        self._check(caller, address)
        async with self._store.reading() as tx:
            known = (await existing_user(tx, caller.name)).password_hash
        if known is None:
            raise PermissionDenied("a second factor goes with a password, and you have none here")
        if not password:
            raise InvalidField.of("password", "is required")
        # A session that somebody left open must not be enough to lock its owner out.
        if not await self._passwords.matches(password, known):
            self._guard.wrong(caller.name, address)
            raise CredentialsInvalid("the password is wrong")
        key = totp.new_key()
        async with self._store.transaction() as tx:
            before = await tx.second_factors.get(caller.name)
            if before is not None and before.confirmed:
                raise AlreadyExists(
                    f"{caller.name}/secondFactor",
                    "you have a second factor: `skerry user totp disable` takes it away",
                )
            sealed = self._cipher.seal(key, bound_to=bound_to(caller.name))
            await tx.second_factors.put(SecondFactor(caller.name, sealed, create_time=tx.now))
        return Enrolment(totp.readable(key), totp.uri(key, caller.name.rpartition("/")[2]))

    async def confirm(self, caller: Principal, code: str, *, address: str) -> list[str]:
        """Ask for it at logins from now on; the recovery codes, shown once. Raises CredentialsInvalid, NotFound, TooManyAttempts."""
        return await self._change(caller, code, address, confirming=True)

    async def new_recovery_codes(self, caller: Principal, code: str, *, address: str) -> list[str]:
        """New recovery codes; those before are worthless. Raises as `confirm`."""
        return await self._change(caller, code, address)

    async def disable(self, caller: Principal, code: str, *, address: str) -> None:
        """Ask for it no longer; a recovery code will do. Raises as `confirm`."""
        self._check(caller, address)
        async with self._store.transaction() as tx:
            if await tx.second_factors.get(caller.name) is None:
                raise NotFound(f"{caller.name}/secondFactor")
            await self.prove(tx, caller.name, code, address)
            await tx.second_factors.delete(caller.name)

    async def reset(self, name: str, *, key: IdempotencyKey | None = None) -> None:
        """Take it from a user who lost it; ends their sessions. Raises NotFound."""

        async def reset() -> bool:
            await existing_user(tx, name)
            if await tx.second_factors.get(name) is None:
                raise NotFound(f"{name}/secondFactor")
            await tx.second_factors.delete(name)
            await tx.tokens.end_sessions(name, tx.now)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, reset)

    async def is_needed(self, tx: Transaction, user: str) -> bool:
        """Whether a login of the user needs a code."""
        factor = await tx.second_factors.get(user)
        return factor is not None and factor.confirmed

    async def prove(self, tx: Transaction, user: str, code: str, address: str) -> None:
        """Use a code, or a recovery code, up; part of the transaction of what it is for. Raises CredentialsInvalid."""
        factor = await tx.second_factors.get(user)
        if factor is None or not factor.confirmed:
            return
        used = _use_recovery_code(factor, code) or self._use(factor, code, tx)
        if used is None:
            self._guard.wrong(user, address)
            raise CredentialsInvalid(_WRONG)
        await tx.second_factors.save(used)

    async def _change(
        self, caller: Principal, code: str, address: str, *, confirming: bool = False
    ) -> list[str]:
        self._check(caller, address)
        codes = totp.new_recovery_codes()
        async with self._store.transaction() as tx:
            factor = await tx.second_factors.get(caller.name)
            if factor is None or factor.confirmed is confirming:
                raise NotFound(f"{caller.name}/secondFactor")
            used = self._use(factor, code, tx)
            if used is None:
                self._guard.wrong(caller.name, address)
                raise CredentialsInvalid(_WRONG)
            hashes = tuple(totp.hash_recovery_code(item) for item in codes)
            await tx.second_factors.save(
                dataclasses.replace(used, confirmed=True, recovery_codes=hashes)
            )
        return codes

    def _use(self, factor: SecondFactor, code: str, tx: Transaction) -> SecondFactor | None:
        try:
            key = self._cipher.open(factor.sealed, bound_to=bound_to(factor.user))
        except CannotOpen as error:
            raise CredentialsInvalid(
                "the second factor cannot be read: a recovery code works, or an administrator's "
                f"`skerry user reset-totp` ({error})"
            ) from error
        digits = "".join(code.split())
        step = totp.matching_step(key, digits, tx.now, after=factor.last_step)
        return None if step is None else dataclasses.replace(factor, last_step=step)

    def _check(self, caller: Principal, address: str) -> None:
        if caller.restricted or not caller.name.startswith("users/"):
            raise PermissionDenied(
                "log in with the password: this token must not change how one logs in"
            )
        self._guard.check(caller.name, address)


def bound_to(user: str) -> str:
    """What a user's key is sealed to: nobody who can write the database can give theirs to somebody else."""
    return f"{user}/totp"


def _use_recovery_code(factor: SecondFactor, code: str) -> SecondFactor | None:
    hashed = totp.hash_recovery_code(code)
    if hashed not in factor.recovery_codes:
        return None
    left = tuple(item for item in factor.recovery_codes if item != hashed)
    return dataclasses.replace(factor, recovery_codes=left)
