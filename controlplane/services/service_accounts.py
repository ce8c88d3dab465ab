"""Accounts for programs, and their tokens. Called by `api/members`.

Whoever makes a token for an account can do what the account can, so they must hold all of it themselves.
"""

from datetime import timedelta

from controlplane.domain.access import Permissions
from controlplane.domain.errors import NotFound
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import USER_ID_MAX, IdSource, check_id
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import ServiceAccount
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.tokens import ApiToken, Principal, TokenKind
from controlplane.services.etags import check_etag
from controlplane.services.granting import check_covers, grants_of
from controlplane.services.idempotency import once
from controlplane.services.organizations import existing_organization
from controlplane.services.sessions import existing_token
from controlplane.services.token_maker import IssuedToken, TokenMaker
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


class ServiceAccountService:
    """Use cases of service accounts."""

    def __init__(self, *, store: Store, ids: IdSource, tokens: TokenMaker) -> None:
        self._store = store
        self._ids = ids
        self._tokens = tokens

    async def create_account(
        self,
        parent: OrganizationName,
        account_id: str,
        display_name: str = "",
        *,
        key: IdempotencyKey | None = None,
    ) -> ServiceAccount:
        """Make an account without roles. Raises InvalidField, NotFound, AlreadyExists."""
        check_id("service_account_id", account_id, USER_ID_MAX)
        check_display_name(display_name)
        name = f"{parent}/serviceAccounts/{account_id}"

        async def create() -> ServiceAccount:
            await existing_organization(tx, parent)
            account = ServiceAccount(
                self._ids.new(), name, display_name or account_id, 1, tx.now, tx.now
            )
            await tx.accounts.add(account)
            return account

        async with self._store.transaction() as tx:
            return await once(tx, key, ServiceAccount, create)

    async def list_accounts(
        self, parent: OrganizationName, page: PageRequest
    ) -> Page[ServiceAccount]:
        """By name. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await existing_organization(tx, parent)
            return await tx.accounts.page(parent.organization, page)

    async def delete_account(
        self, granter: Principal, name: str, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Delete an account with its roles and tokens. Raises NotFound, EtagMismatch, PermissionDenied."""

        async def delete() -> bool:
            account = await _existing(tx, name)
            check_etag(etag, account.etag, name)
            check_covers(granter.grants, await grants_of(tx, name))
            await tx.tokens.revoke_all(name, tx.now)
            await tx.bindings.forget_subject(name)
            await tx.accounts.delete(account)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)

    async def create_token(
        self,
        granter: Principal,
        account: str,
        display_name: str,
        *,
        permissions: Permissions | None,
        scope: str,
        ttl: timedelta | None,
        key: IdempotencyKey | None = None,
    ) -> IssuedToken:
        """A token of the account. Raises InvalidField, NotFound, PermissionDenied, AlreadyExists (a repeat)."""
        async with self._store.transaction() as tx:
            await _existing(tx, account)
            held = (await grants_of(tx, account)).restricted(scope, permissions)
            check_covers(granter.grants, held)
            return await self._tokens.make_once(
                tx,
                account,
                TokenKind.SERVICE_ACCOUNT,
                display_name,
                permissions=permissions,
                scope=scope,
                ttl=ttl,
                key=key,
            )

    async def list_tokens(self, account: str, page: PageRequest) -> Page[ApiToken]:
        """Newest first. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await _existing(tx, account)
            return await tx.tokens.page(account, page, kinds=frozenset(TokenKind))

    async def revoke_token(self, name: str, *, key: IdempotencyKey | None = None) -> None:
        """End a token of an account. Raises NotFound."""
        account = name.partition("/tokens/")[0]

        async def revoke() -> bool:
            await _existing(tx, account)
            token = await existing_token(tx, name, account)
            await tx.tokens.revoke(token.uid, tx.now)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, revoke)


async def _existing(tx: Transaction, name: str) -> ServiceAccount:
    account = await tx.accounts.get(name)
    if account is None:
        raise NotFound(name)
    return account
