"""Who has which role where: `Client.members`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from skerry import names, paging
from skerry.calls import Calls
from skerry.platform.v1 import member_pb2, member_pb2_grpc, rule_pb2, session_pb2


class Members:
    """Roles, groups, custom roles and service accounts. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = member_pb2_grpc.MemberServiceStub(channel)

    async def grant(
        self, resource: str, subject: str, role: str, *, request_id: str | None = None
    ) -> member_pb2.RoleBinding:
        """Give a role on a resource (empty: the whole platform) and everything below."""
        request = member_pb2.GrantRoleRequest(
            resource=resource,
            subject=subject,
            role=role,
            request_id=request_id or self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.GrantRole, request)).binding

    async def revoke(
        self, resource: str, subject: str, role: str, *, request_id: str | None = None
    ) -> None:
        """Take a role."""
        request = member_pb2.RevokeRoleRequest(
            resource=resource,
            subject=subject,
            role=role,
            request_id=request_id or self._calls.request_ids(),
        )
        await self._calls.unary(self._stub.RevokeRole, request)

    def list(
        self, resource: str, *, page_size: int = 0
    ) -> AsyncGenerator[member_pb2.RoleBinding, None]:
        """The roles granted on this very resource."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListMembers,
                member_pb2.ListMembersRequest(
                    resource=resource, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.members,
        )

    async def create_group(
        self, group_id: str, *, parent: str = names.organization(), display_name: str = ""
    ) -> member_pb2.Group:
        """Make an empty group."""
        request = member_pb2.CreateGroupRequest(
            parent=parent,
            group_id=group_id,
            display_name=display_name,
            request_id=self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.CreateGroup, request)).group

    async def get_group(self, name: str) -> member_pb2.Group:
        """One group with its members."""
        request = member_pb2.GetGroupRequest(name=name)
        return (await self._calls.unary(self._stub.GetGroup, request)).group

    def list_groups(
        self, parent: str = names.organization()
    ) -> AsyncGenerator[member_pb2.Group, None]:
        """An organization's groups by name."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListGroups,
                member_pb2.ListGroupsRequest(parent=parent, page_token=token),
            ),
            lambda page: page.groups,
        )

    async def add_to_group(self, name: str, user: str) -> member_pb2.Group:
        """Put a user into a group."""
        request = member_pb2.AddGroupMemberRequest(
            name=name, user=user, request_id=self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.AddGroupMember, request)).group

    async def remove_from_group(self, name: str, user: str) -> member_pb2.Group:
        """Take a user out of a group."""
        request = member_pb2.RemoveGroupMemberRequest(
            name=name, user=user, request_id=self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.RemoveGroupMember, request)).group

    async def delete_group(self, name: str) -> None:
        """Delete a group and the roles it has."""
        request = member_pb2.DeleteGroupRequest(name=name, request_id=self._calls.request_ids())
        await self._calls.unary(self._stub.DeleteGroup, request)

    async def create_role(
        self,
        role_id: str,
        permissions: Iterable[rule_pb2.Permission.ValueType],
        *,
        parent: str = names.organization(),
    ) -> member_pb2.Role:
        """Make a role of an organization's own."""
        request = member_pb2.CreateRoleRequest(
            parent=parent,
            role_id=role_id,
            permissions=permissions,
            request_id=self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.CreateRole, request)).role

    def list_roles(
        self, parent: str = names.organization()
    ) -> AsyncGenerator[member_pb2.Role, None]:
        """The built-in roles and an organization's own."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListRoles, member_pb2.ListRolesRequest(parent=parent, page_token=token)
            ),
            lambda page: page.roles,
        )

    async def delete_role(self, name: str) -> None:
        """Delete a custom role that nobody has."""
        request = member_pb2.DeleteRoleRequest(name=name, request_id=self._calls.request_ids())
        await self._calls.unary(self._stub.DeleteRole, request)

    async def create_account(
        self, account_id: str, *, parent: str = names.organization()
    ) -> member_pb2.ServiceAccount:
        """Make an account for a program."""
        request = member_pb2.CreateServiceAccountRequest(
            parent=parent, service_account_id=account_id, request_id=self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.CreateServiceAccount, request)).service_account

    def list_accounts(
        self, parent: str = names.organization()
    ) -> AsyncGenerator[member_pb2.ServiceAccount, None]:
        """An organization's service accounts by name."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListServiceAccounts,
                member_pb2.ListServiceAccountsRequest(parent=parent, page_token=token),
            ),
            lambda page: page.service_accounts,
        )

    async def delete_account(self, name: str) -> None:
        """Delete an account with its roles and tokens."""
        request = member_pb2.DeleteServiceAccountRequest(
            name=name, request_id=self._calls.request_ids()
        )
        await self._calls.unary(self._stub.DeleteServiceAccount, request)

    async def create_account_token(
        self, account: str, display_name: str, *, ttl: timedelta | None = None
    ) -> member_pb2.CreateServiceAccountTokenResponse:
        """A token of an account; its `secret` is in this answer and nowhere else."""
        request = member_pb2.CreateServiceAccountTokenRequest(
            parent=account, display_name=display_name, request_id=self._calls.request_ids()
        )
        if ttl is not None:
            life = Duration()
            life.FromTimedelta(ttl)
            request.ttl.CopyFrom(life)
        return await self._calls.unary(self._stub.CreateServiceAccountToken, request)

    def list_account_tokens(self, account: str) -> AsyncGenerator[session_pb2.Token, None]:
        """An account's tokens, newest first."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListServiceAccountTokens,
                member_pb2.ListServiceAccountTokensRequest(parent=account, page_token=token),
            ),
            lambda page: page.tokens,
        )

    async def revoke_account_token(self, name: str) -> None:
        """End a token of an account."""
        request = member_pb2.RevokeServiceAccountTokenRequest(
            name=name, request_id=self._calls.request_ids()
        )
        await self._calls.unary(self._stub.RevokeServiceAccountToken, request)
