"""Logging a program in by a code that somebody approves elsewhere (RFC 8628). Called by `api/device_logins` and `edge/devices`."""

import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta

from controlplane.auth.guessing import GuessGuard
from controlplane.auth.secrets import DEVICE_PREFIX, hash_secret, new_secret
from controlplane.domain.audit import OK, AuditAction
from controlplane.domain.devices import DeviceLogin, DeviceState, new_user_code, typed
from controlplane.domain.errors import (
    CredentialsInvalid,
    InvalidField,
    NotFound,
    PermissionDenied,
    RateLimited,
)
from controlplane.domain.ids import IdSource
from controlplane.domain.tokens import Principal, TokenKind
from controlplane.services.sessions import SESSION_TTL, check_unrestricted
from controlplane.services.token_maker import IssuedToken, TokenMaker
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

TTL = timedelta(minutes=10)
INTERVAL = timedelta(seconds=5)
# What a program that asks too often has to wait longer (RFC 8628 §3.5).
_SLOWER = timedelta(seconds=5)
# Strangers make rows here: so many may wait, in all and from one address.
_WAITING_MAX = 1000
_ADDRESS_MAX = 20
_CLIENT_MAX = 100
_UNKNOWN = "nobody waits with this code: it may be mistyped, used or expired"


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """A login that waits, and the secret of the program, which is stored nowhere."""

    login: DeviceLogin
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Polled:
    """How far it is, when to ask again, and the session once it is approved."""

    state: DeviceState
    interval: timedelta
    issued: IssuedToken | None = None


class DeviceLoginService:
    """Use cases of logins by code."""

    def __init__(self, *, store: Store, ids: IdSource, guard: GuessGuard) -> None:
        self._store = store
        self._ids = ids
        self._guard = guard
        self._tokens = TokenMaker(ids)

    async def start(self, client: str, *, address: str) -> StartedLogin:
        """Begin to wait. Raises InvalidField, RateLimited."""
        if len(client) > _CLIENT_MAX or not client.isprintable():
            raise InvalidField.of("client", f"must have at most {_CLIENT_MAX} printable characters")
        secret = new_secret(DEVICE_PREFIX)
        async with self._store.transaction(durable=False) as tx:
            await tx.device_logins.prune(tx.now)
            if (
                await tx.device_logins.count() >= _WAITING_MAX
                or await tx.device_logins.count(address) >= _ADDRESS_MAX
            ):
                raise RateLimited(
                    "too many logins wait for somebody to approve them", retry_after=60.0
                )
            login = DeviceLogin(
                uid=self._ids.new(),
                secret_hash=hash_secret(secret),
                user_code=new_user_code(),
                client=client,
                address=address,
                interval=INTERVAL,
                state=DeviceState.PENDING,
                create_time=tx.now,
                expire_time=tx.now + TTL,
            )
            await tx.device_logins.add(login)
        return StartedLogin(login, secret)

    async def poll(self, secret: str, action: AuditAction) -> Polled:
        """Ask how far it is. An approved one gives a session, once; `action` is kept with that.

        Raises CredentialsInvalid for a secret that is unknown or was used up, or when whoever approved is kept out now.
        """
        async with self._store.transaction(durable=False) as tx:
            login = await tx.device_logins.by_secret(hash_secret(secret))
            if login is None:
                raise CredentialsInvalid("this device code is not known, was used or has expired")
            if login.state is not DeviceState.APPROVED or login.expire_time <= tx.now:
                return await self._unapproved(tx, login)
        # The session must survive a power cut, and is a transaction of its own.
        async with self._store.transaction() as tx:
            login = await tx.device_logins.by_secret(hash_secret(secret))
            user = await tx.users.get(login.subject) if login else None
            if login is None or user is None or user.disabled:
                raise CredentialsInvalid(
                    "this device code was used, or whoever approved it is kept out"
                )
            await tx.device_logins.delete(login.uid)
            action.actor = action.resource = user.name
            await tx.audit.append(action, OK)
            ttl = (login.session_end or tx.now) - tx.now
            issued = await self._tokens.make(
                tx, user.name, TokenKind.SESSION, login.client or "login by code", ttl=ttl
            )
        return Polled(DeviceState.APPROVED, login.interval, issued)

    async def get(self, caller: Principal, user_code: str, *, address: str) -> DeviceLogin:
        """Who waits behind a code. Raises InvalidField, NotFound, TooManyAttempts, PermissionDenied."""
        self._check(caller, address)
        async with self._store.reading() as tx:
            return await self._waiting(tx, caller, user_code, address)

    async def approve(
        self, caller: Principal, user_code: str, *, address: str, action: AuditAction | None = None
    ) -> None:
        """Let the program act as the caller, for no longer than the caller's own session.

        `action` is kept with it, where no call keeps its own. Raises as `get`.
        """
        self._check(caller, address)
        async with self._store.transaction() as tx:
            login = await self._waiting(tx, caller, user_code, address)
            longest = tx.now + SESSION_TTL
            await tx.device_logins.save(
                dataclasses.replace(
                    login,
                    state=DeviceState.APPROVED,
                    subject=caller.name,
                    session_end=min(longest, caller.expire_time or longest),
                )
            )
            if action is not None:
                await tx.audit.append(action, OK)

    async def deny(
        self, caller: Principal, user_code: str, *, address: str, action: AuditAction | None = None
    ) -> None:
        """Refuse the program; as `approve`."""
        self._check(caller, address)
        async with self._store.transaction() as tx:
            login = await self._waiting(tx, caller, user_code, address)
            await tx.device_logins.save(dataclasses.replace(login, state=DeviceState.DENIED))
            if action is not None:
                await tx.audit.append(action, OK)

    @staticmethod
    async def _unapproved(tx: Transaction, login: DeviceLogin) -> Polled:
        if login.expire_time <= tx.now:
            return Polled(DeviceState.EXPIRED, login.interval)
        if login.state is DeviceState.DENIED:
            return Polled(DeviceState.DENIED, login.interval)
        state, interval = DeviceState.PENDING, login.interval
        if login.poll_time is not None and tx.now - login.poll_time < interval:
            state, interval = DeviceState.SLOW_DOWN, interval + _SLOWER
        await tx.device_logins.save(dataclasses.replace(login, interval=interval, poll_time=tx.now))
        return Polled(state, interval)

    def _check(self, caller: Principal, address: str) -> None:
        if not caller.name.startswith("users/"):
            raise PermissionDenied("a service account has tokens, and lets nobody in")
        check_unrestricted(caller)
        self._guard.check(_account(caller), address)

    async def _waiting(
        self, tx: Transaction, caller: Principal, user_code: str, address: str
    ) -> DeviceLogin:
        if not user_code.strip():
            raise InvalidField.of("user_code", "is required: the program shows it")
        code = typed(user_code)
        login = await tx.device_logins.by_code(code)
        if login is None or login.state is not DeviceState.PENDING or login.expire_time <= tx.now:
            self._guard.wrong(_account(caller), address)
            raise NotFound("the device login", _UNKNOWN)
        return login


def _account(caller: Principal) -> str:
    # Apart from the password's: somebody who mistypes codes is not locked out of logging in.
    return f"device {caller.name}"
