"""Setup links: how the first owner gets in, and how an owner gets in again from the machine itself.

Called at the start, by `skerry-controlplane setup-link`, and by `api/sessions` when somebody comes with a code.
"""

import dataclasses
from datetime import timedelta

from controlplane.auth.passwords import Passwords, check_policy
from controlplane.auth.secrets import SETUP_PREFIX, hash_secret, new_secret
from controlplane.domain.access import OWNER, PLATFORM
from controlplane.domain.errors import SetupCodeInvalid
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import USER_ID_MAX, IdSource, check_id
from controlplane.domain.people import ADMIN_USER, RoleBinding, User
from controlplane.domain.tokens import SetupCode, TokenKind
from controlplane.services.sessions import SESSION_TTL
from controlplane.services.token_maker import IssuedToken, TokenMaker
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

FIRST_TTL = timedelta(hours=24)
TTL = timedelta(hours=1)
_INVALID = (
    "the setup link is not one of this control plane, was used before, was replaced or has expired: "
    "`skerry-controlplane setup-link` on its machine prints a new one"
)


class SetupService:
    """Makes codes and takes them."""

    def __init__(self, *, store: Store, ids: IdSource, passwords: Passwords) -> None:
        self._store = store
        self._ids = ids
        self._passwords = passwords
        self._tokens = TokenMaker(ids)

    async def first_code(self) -> str | None:
        """A code as long as nobody ever got in, the only time that it can be seen; None afterwards."""
        async with self._store.transaction() as tx:
            return None if await tx.setup_codes.is_set_up() else await self._make(tx, FIRST_TTL)

    async def new_code(self, ttl: timedelta = TTL) -> str:
        """A code, the only time that it can be seen; those that were not used are worthless from then on."""
        async with self._store.transaction() as tx:
            return await self._make(tx, ttl)

    async def complete(
        self, code: str, password: str, *, user_id: str = "", display_name: str = ""
    ) -> IssuedToken:
        """Use the code up: the user exists, owns the platform, has this password and a session.

        A user who is there already loses all other sessions. Raises SetupCodeInvalid; InvalidField leaves the code unused.
        """
        user_id = user_id or ADMIN_USER.rpartition("/")[2]
        check_id("user_id", user_id, USER_ID_MAX)
        check_display_name(display_name)
        # Before the password is hashed, which costs much more than looking.
        async with self._store.reading() as tx:
            await _usable(tx, code)
        check_policy(password, user_id)
        hashed = await self._passwords.hash(password)
        async with self._store.transaction() as tx:
            known = await _usable(tx, code)
            if not await tx.setup_codes.use(known.uid, tx.now):
                raise SetupCodeInvalid(_INVALID)
            name = await self._owner(tx, f"users/{user_id}", display_name, hashed)
            return await self._tokens.make(tx, name, TokenKind.SESSION, "setup", ttl=SESSION_TTL)

    async def _make(self, tx: Transaction, ttl: timedelta) -> str:
        secret = new_secret(SETUP_PREFIX)
        code = SetupCode(self._ids.new(), hash_secret(secret), tx.now, tx.now + ttl)
        await tx.setup_codes.add(code)
        return secret

    async def _owner(self, tx: Transaction, name: str, display_name: str, hashed: str) -> str:
        user = await tx.users.get(name)
        if user is None:
            user_id = name.rpartition("/")[2]
            user = User(
                uid=self._ids.new(),
                name=name,
                display_name=display_name or user_id,
                email="",
                disabled=False,
                generation=1,
                create_time=tx.now,
                update_time=tx.now,
                password_hash=hashed,
            )
            await tx.users.add(user)
        else:
            await tx.users.save(
                dataclasses.replace(
                    user,
                    display_name=display_name or user.display_name,
                    # Whoever holds the machine must get in, also when an owner locked themselves out.
                    disabled=False,
                    password_hash=hashed,
                    generation=user.generation + 1,
                    update_time=tx.now,
                )
            )
            await tx.second_factors.delete(name)
            await tx.tokens.end_sessions(name, tx.now)
        if await tx.bindings.get(PLATFORM, name, OWNER) is None:
            await tx.bindings.add(RoleBinding(self._ids.new(), PLATFORM, name, OWNER, tx.now))
        return name


async def _usable(tx: Transaction, code: str) -> SetupCode:
    known = await tx.setup_codes.get(hash_secret(code))
    if known is None or not known.is_valid(tx.now):
        raise SetupCodeInvalid(_INVALID)
    return known
