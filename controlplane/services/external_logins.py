"""Logging in by single sign-on: from an identity at the provider to a user with roles and a session. Called by `edge/sign_in`.

Issuer and subject alone decide who it is. A mail address or a user name never leads to a user who is there already: whoever can
choose theirs at the provider would choose the administrator's.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

import structlog

from controlplane.domain.audit import OK, AuditAction
from controlplane.domain.errors import CredentialsInvalid, LastOwner
from controlplane.domain.fields import DISPLAY_NAME_MAX
from controlplane.domain.ids import USER_ID_MAX, IdSource
from controlplane.domain.people import (
    OIDC,
    ExternalIdentity,
    LinkedIdentity,
    RoleBinding,
    RoleMapping,
    User,
)
from controlplane.domain.tokens import TokenKind
from controlplane.services.granting import (
    check_owner_left,
    is_scope,
    needs_owner,
    permissions_of,
)
from controlplane.services.token_maker import IssuedToken, TokenMaker
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

_log = structlog.get_logger(__name__)

# Shorter than with a password: who was thrown out, or out of a group, at the provider is noticed at the next login.
SESSION_TTL = timedelta(hours=12)
_SAME_NAMES_MAX = 100
_EMAIL_MAX = 254


class ExternalLoginService:
    """Use cases of identities that come from outside."""

    def __init__(
        self,
        *,
        store: Store,
        ids: IdSource,
        mappings: Sequence[RoleMapping] = (),
        create_users: bool = True,
    ) -> None:
        self._store = store
        self._ids = ids
        self._tokens = TokenMaker(ids)
        self._mappings = tuple(mappings)
        self._create_users = create_users

    async def login(self, identity: ExternalIdentity, action: AuditAction) -> IssuedToken:
        """A session of the user behind the identity, made at the first login; roles follow the groups.

        `action` is kept in the same transaction, with the user as its actor. Raises CredentialsInvalid when there is no such user
        or the user is kept out.
        """
        async with self._store.transaction() as tx:
            user = await self._user(tx, identity)
            action.actor = action.resource = user.name
            if user.disabled:
                raise CredentialsInvalid("this user is kept out: ask an administrator")
            await tx.identities.used(identity.issuer, identity.subject, tx.now)
            await self._follow_groups(tx, user.name, identity.groups)
            await tx.audit.append(action, OK)
            return await self._tokens.make(
                tx, user.name, TokenKind.SESSION, "single sign-on", ttl=SESSION_TTL
            )

    async def _user(self, tx: Transaction, identity: ExternalIdentity) -> User:
        linked = await tx.identities.get(identity.issuer, identity.subject)
        if linked is not None:
            user = await tx.users.get(linked.user)
            if user is None:
                raise CredentialsInvalid("the user of this identity is gone")
            return user
        if not self._create_users:
            raise CredentialsInvalid(
                "nobody here has this identity: an administrator links it with "
                f"`skerry user link USER --issuer {identity.issuer} --subject {identity.subject}`"
            )
        user_id = await _free_id(tx, identity)
        user = User(
            uid=self._ids.new(),
            name=f"users/{user_id}",
            display_name=identity.display_name[:DISPLAY_NAME_MAX] or user_id,
            email=identity.email if len(identity.email) <= _EMAIL_MAX else "",
            disabled=False,
            generation=1,
            create_time=tx.now,
            update_time=tx.now,
        )
        await tx.users.add(user)
        await tx.identities.add(
            LinkedIdentity(identity.issuer, identity.subject, user.name, tx.now)
        )
        _log.info("user_created_by_single_sign_on", user=user.name, subject=identity.subject)
        return user

    async def _follow_groups(self, tx: Transaction, user: str, groups: frozenset[str]) -> None:
        """Gives the roles of the groups, and takes those that came from groups before and do no longer."""
        wanted = {
            (mapping.scope, mapping.role) for mapping in self._mappings if mapping.group in groups
        }
        held = {(item.scope, item.role): item for item in await tx.bindings.of([user])}
        for scope, role in sorted(wanted - held.keys()):
            if not await is_scope(tx, scope) or not (await permissions_of(tx, [role]))[role]:
                _log.warning("role_mapping_leads_nowhere", role=role, scope=scope)
                continue
            await tx.bindings.add(
                RoleBinding(self._ids.new(), scope, user, role, tx.now, origin=OIDC)
            )
        for place, binding in sorted(held.items()):
            if binding.origin == OIDC and place not in wanted:
                await self._take(tx, binding)

    @staticmethod
    async def _take(tx: Transaction, binding: RoleBinding) -> None:
        if needs_owner(binding):
            try:
                await check_owner_left(tx, binding.scope, without=[binding.subject])
            except LastOwner as error:
                # The provider's groups must not lock everybody out.
                _log.warning("last_owner_kept", user=binding.subject, error=error.message)
                return
        await tx.bindings.delete(binding.uid)


async def _free_id(tx: Transaction, identity: ExternalIdentity) -> str:
    """An id that nobody has, like what they are called at the provider."""
    called = identity.user_name or identity.email.partition("@")[0] or "user"
    wanted = re.sub(r"[^a-z0-9]+", "-", called.partition("@")[0].lower()).strip("-") or "user"
    if not wanted[0].isalpha():
        wanted = f"u-{wanted}"
    wanted = wanted[: USER_ID_MAX - 4].rstrip("-")
    for number in range(1, _SAME_NAMES_MAX):
        user_id = wanted if number == 1 else f"{wanted}-{number}"
        if await tx.users.get(f"users/{user_id}") is None:
            return user_id
    raise CredentialsInvalid(f"too many users are called {wanted}: an administrator must link you")
