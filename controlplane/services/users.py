"""Users: create, read, list, change, delete, reset the password. Called by `api/users`."""

import dataclasses

from controlplane.auth.passwords import Passwords, check_policy
from controlplane.domain.access import PLATFORM
from controlplane.domain.errors import InvalidField, NotFound
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import USER_ID_MAX, IdSource, check_id
from controlplane.domain.people import LinkedIdentity, User
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.services.etags import check_etag
from controlplane.services.granting import check_owner_left, is_organization
from controlplane.services.idempotency import once
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

_EMAIL_MAX = 254
# A subject has at most 255 characters (OpenID Connect Core §2).
_IDENTITY_MAX = 255


class UserService:
    """Use cases of users."""

    def __init__(self, *, store: Store, ids: IdSource, passwords: Passwords) -> None:
        self._store = store
        self._ids = ids
        self._passwords = passwords

    async def create_user(
        self,
        user_id: str,
        display_name: str = "",
        *,
        email: str = "",
        password: str = "",
        key: IdempotencyKey | None = None,
    ) -> User:
        """Make a user, without a password when it is empty. Raises InvalidField, AlreadyExists."""
        check_id("user_id", user_id, USER_ID_MAX)
        check_display_name(display_name)
        _check_email(email)
        hashed = None
        if password:
            check_policy(password, user_id)
            # Outside of the transaction: it takes longer than any write should wait.
            hashed = await self._passwords.hash(password)

        async def create() -> str:
            user = User(
                uid=self._ids.new(),
                name=f"users/{user_id}",
                display_name=display_name or user_id,
                email=email,
                disabled=False,
                generation=1,
                create_time=tx.now,
                update_time=tx.now,
                password_hash=hashed,
            )
            await tx.users.add(user)
            return user.name

        async with self._store.transaction() as tx:
            # The name is remembered and not the user: the hash must not lie in a second place.
            return await existing_user(tx, await once(tx, key, str, create))

    async def get_user(self, name: str) -> User:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            return await existing_user(tx, name)

    async def list_users(self, page: PageRequest) -> Page[User]:
        """By name. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.users.page(page)

    async def update_user(
        self,
        name: str,
        *,
        display_name: str | None = None,
        email: str | None = None,
        disabled: bool | None = None,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> User:
        """Change what is given. Raises InvalidField, NotFound, EtagMismatch, LastOwner."""
        check_display_name(display_name or "")
        _check_email(email or "")

        async def change() -> str:
            user = await existing_user(tx, name)
            check_etag(etag, user.etag, name)
            if disabled and not user.disabled:
                await _check_not_needed(tx, name)
            await tx.users.save(
                dataclasses.replace(
                    user,
                    display_name=user.display_name if display_name is None else display_name,
                    email=user.email if email is None else email,
                    disabled=user.disabled if disabled is None else disabled,
                    generation=user.generation + 1,
                    update_time=tx.now,
                )
            )
            return name

        async with self._store.transaction() as tx:
            return await existing_user(tx, await once(tx, key, str, change))

    async def delete_user(
        self, name: str, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Delete a user with roles, sessions and tokens. Raises NotFound, EtagMismatch, LastOwner."""

        async def delete() -> bool:
            user = await existing_user(tx, name)
            check_etag(etag, user.etag, name)
            await _check_not_needed(tx, name)
            await tx.tokens.revoke_all(name, tx.now)
            await tx.device_logins.forget_subject(name)
            await tx.bindings.forget_subject(name)
            await tx.users.delete(user)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)

    async def reset_password(
        self, name: str, password: str, *, key: IdempotencyKey | None = None
    ) -> None:
        """Set a new password and end all sessions. Raises InvalidField, NotFound."""
        check_policy(password, name.rpartition("/")[2])
        hashed = await self._passwords.hash(password)

        async def reset() -> bool:
            user = await existing_user(tx, name)
            await tx.users.save(
                dataclasses.replace(
                    user,
                    password_hash=hashed,
                    generation=user.generation + 1,
                    update_time=tx.now,
                )
            )
            await tx.tokens.end_sessions(name, tx.now)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, reset)

    async def link_identity(
        self, name: str, issuer: str, subject: str, *, key: IdempotencyKey | None = None
    ) -> LinkedIdentity:
        """Let an identity log in as this user. Raises InvalidField, NotFound, AlreadyExists."""
        _check_identity(issuer, subject)

        async def link() -> bool:
            await existing_user(tx, name)
            await tx.identities.add(LinkedIdentity(issuer, subject, name, tx.now))
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, link)
            return await _existing_identity(tx, name, issuer, subject)

    async def unlink_identity(
        self, name: str, issuer: str, subject: str, *, key: IdempotencyKey | None = None
    ) -> None:
        """End that, and the user's sessions. Raises NotFound."""

        async def unlink() -> bool:
            await _existing_identity(tx, name, issuer, subject)
            await tx.identities.delete(issuer, subject)
            await tx.tokens.end_sessions(name, tx.now)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, unlink)

    async def list_identities(self, name: str, page: PageRequest) -> Page[LinkedIdentity]:
        """By issuer and subject. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await existing_user(tx, name)
            return await tx.identities.page(name, page)


async def existing_user(tx: Transaction, name: str) -> User:
    """The user, or NotFound."""
    user = await tx.users.get(name)
    if user is None:
        raise NotFound(name)
    return user


async def _existing_identity(
    tx: Transaction, name: str, issuer: str, subject: str
) -> LinkedIdentity:
    found = await tx.identities.get(issuer, subject)
    if found is None or found.user != name:
        raise NotFound(f"the identity {subject} of {issuer}")
    return found


async def _check_not_needed(tx: Transaction, name: str) -> None:
    """Raises LastOwner when the platform or an organization would be left without an owner."""
    subjects = [name, *await tx.groups.of_user(name)]
    scopes = {
        binding.scope
        for binding in await tx.bindings.of(subjects)
        if binding.scope == PLATFORM or is_organization(binding.scope)
    }
    for scope in sorted(scopes):
        owners = {binding.subject for binding in await tx.bindings.with_role(scope, "owner")}
        if owners & set(subjects):
            await check_owner_left(tx, scope, without=[name])


def _check_identity(issuer: str, subject: str) -> None:
    for field, value in (("issuer", issuer), ("subject", subject)):
        if not value or len(value) > _IDENTITY_MAX or not value.isprintable():
            raise InvalidField.of(field, f"must have 1 to {_IDENTITY_MAX} printable characters")


def _check_email(email: str) -> None:
    if email and (len(email) > _EMAIL_MAX or "@" not in email or not email.isprintable()):
        raise InvalidField.of("email", "is not a mail address")
