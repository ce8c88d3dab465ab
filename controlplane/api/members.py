"""MemberService at the border."""

from skerry.platform.v1 import member_pb2, member_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import people as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import OrganizationName
from controlplane.services.groups import GroupService
from controlplane.services.members import MemberService
from controlplane.services.roles import RoleService
from controlplane.services.service_accounts import ServiceAccountService


class MemberServicer(member_pb2_grpc.MemberServiceServicer):
    """Who has which role where."""

    def __init__(
        self,
        members: MemberService,
        groups: GroupService,
        roles: RoleService,
        accounts: ServiceAccountService,
    ) -> None:
        self._members = members
        self._groups = groups
        self._roles = roles
        self._accounts = accounts

    async def GrantRole(
        self, request: member_pb2.GrantRoleRequest, _context: Context
    ) -> member_pb2.GrantRoleResponse:
        binding = await self._members.grant_role(
            caller.principal(),
            request.resource,
            request.subject,
            request.role,
            key=caller.idempotency_key(request),
        )
        return member_pb2.GrantRoleResponse(binding=convert.binding(binding))

    async def RevokeRole(
        self, request: member_pb2.RevokeRoleRequest, _context: Context
    ) -> member_pb2.RevokeRoleResponse:
        await self._members.revoke_role(
            caller.principal(),
            request.resource,
            request.subject,
            request.role,
            key=caller.idempotency_key(request),
        )
        return member_pb2.RevokeRoleResponse()

    async def ListMembers(
        self, request: member_pb2.ListMembersRequest, _context: Context
    ) -> member_pb2.ListMembersResponse:
        page = await self._members.list_members(request.resource, common.page_request(request))
        return member_pb2.ListMembersResponse(
            members=[convert.binding(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def CreateGroup(
        self, request: member_pb2.CreateGroupRequest, _context: Context
    ) -> member_pb2.CreateGroupResponse:
        group = await self._groups.create_group(
            OrganizationName.parse(request.parent, "parent"),
            request.group_id,
            request.display_name,
            key=caller.idempotency_key(request),
        )
        return member_pb2.CreateGroupResponse(group=convert.group(group))

    async def GetGroup(
        self, request: member_pb2.GetGroupRequest, _context: Context
    ) -> member_pb2.GetGroupResponse:
        group = await self._groups.get_group(request.name)
        return member_pb2.GetGroupResponse(group=convert.group(group))

    async def ListGroups(
        self, request: member_pb2.ListGroupsRequest, _context: Context
    ) -> member_pb2.ListGroupsResponse:
        page = await self._groups.list_groups(
            OrganizationName.parse(request.parent, "parent"), common.page_request(request)
        )
        return member_pb2.ListGroupsResponse(
            groups=[convert.group(item) for item in page.items], next_page_token=page.next_token
        )

    async def AddGroupMember(
        self, request: member_pb2.AddGroupMemberRequest, _context: Context
    ) -> member_pb2.AddGroupMemberResponse:
        group = await self._groups.add_member(
            caller.principal(), request.name, request.user, key=caller.idempotency_key(request)
        )
        return member_pb2.AddGroupMemberResponse(group=convert.group(group))

    async def RemoveGroupMember(
        self, request: member_pb2.RemoveGroupMemberRequest, _context: Context
    ) -> member_pb2.RemoveGroupMemberResponse:
        group = await self._groups.remove_member(
            caller.principal(), request.name, request.user, key=caller.idempotency_key(request)
        )
        return member_pb2.RemoveGroupMemberResponse(group=convert.group(group))

    async def DeleteGroup(
        self, request: member_pb2.DeleteGroupRequest, _context: Context
    ) -> member_pb2.DeleteGroupResponse:
        await self._groups.delete_group(
            caller.principal(),
            request.name,
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return member_pb2.DeleteGroupResponse()

    async def CreateRole(
        self, request: member_pb2.CreateRoleRequest, _context: Context
    ) -> member_pb2.CreateRoleResponse:
        role = await self._roles.create_role(
            caller.principal(),
            OrganizationName.parse(request.parent, "parent"),
            request.role_id,
            request.display_name,
            convert.wanted_permissions(request.permissions),
            key=caller.idempotency_key(request),
        )
        return member_pb2.CreateRoleResponse(role=convert.role(role))

    async def ListRoles(
        self, request: member_pb2.ListRolesRequest, _context: Context
    ) -> member_pb2.ListRolesResponse:
        page = await self._roles.list_roles(
            OrganizationName.parse(request.parent, "parent"), common.page_request(request)
        )
        built_in = [] if request.page_token else convert.built_in_roles()
        return member_pb2.ListRolesResponse(
            roles=[*built_in, *(convert.role(item) for item in page.items)],
            next_page_token=page.next_token,
        )

    async def UpdateRole(
        self, request: member_pb2.UpdateRoleRequest, _context: Context
    ) -> member_pb2.UpdateRoleResponse:
        mask = common.field_mask(request.update_mask, "display_name", "permissions")
        wanted = request.role
        role = await self._roles.update_role(
            caller.principal(),
            wanted.name,
            display_name=wanted.display_name if "display_name" in mask else None,
            permissions=convert.wanted_permissions(wanted.permissions, "role.permissions")
            if "permissions" in mask
            else None,
            etag=wanted.etag,
            key=caller.idempotency_key(request),
        )
        return member_pb2.UpdateRoleResponse(role=convert.role(role))

    async def DeleteRole(
        self, request: member_pb2.DeleteRoleRequest, _context: Context
    ) -> member_pb2.DeleteRoleResponse:
        await self._roles.delete_role(
            request.name, etag=request.etag, key=caller.idempotency_key(request)
        )
        return member_pb2.DeleteRoleResponse()

    async def CreateServiceAccount(
        self, request: member_pb2.CreateServiceAccountRequest, _context: Context
    ) -> member_pb2.CreateServiceAccountResponse:
        account = await self._accounts.create_account(
            OrganizationName.parse(request.parent, "parent"),
            request.service_account_id,
            request.display_name,
            key=caller.idempotency_key(request),
        )
        return member_pb2.CreateServiceAccountResponse(
            service_account=convert.service_account(account)
        )

    async def ListServiceAccounts(
        self, request: member_pb2.ListServiceAccountsRequest, _context: Context
    ) -> member_pb2.ListServiceAccountsResponse:
        page = await self._accounts.list_accounts(
            OrganizationName.parse(request.parent, "parent"), common.page_request(request)
        )
        return member_pb2.ListServiceAccountsResponse(
            service_accounts=[convert.service_account(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteServiceAccount(
        self, request: member_pb2.DeleteServiceAccountRequest, _context: Context
    ) -> member_pb2.DeleteServiceAccountResponse:
        await self._accounts.delete_account(
            caller.principal(),
            request.name,
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return member_pb2.DeleteServiceAccountResponse()

    async def CreateServiceAccountToken(
        self, request: member_pb2.CreateServiceAccountTokenRequest, _context: Context
    ) -> member_pb2.CreateServiceAccountTokenResponse:
        issued = await self._accounts.create_token(
            caller.principal(),
            request.parent,
            request.display_name,
            permissions=convert.wanted_permissions(request.permissions) or None,
            scope=request.scope,
            ttl=common.span(request, "ttl"),
            key=caller.idempotency_key(request),
        )
        return member_pb2.CreateServiceAccountTokenResponse(
            token=convert.token(issued.token), secret=issued.secret
        )

    async def ListServiceAccountTokens(
        self, request: member_pb2.ListServiceAccountTokensRequest, _context: Context
    ) -> member_pb2.ListServiceAccountTokensResponse:
        page = await self._accounts.list_tokens(request.parent, common.page_request(request))
        return member_pb2.ListServiceAccountTokensResponse(
            tokens=[convert.token(item) for item in page.items], next_page_token=page.next_token
        )

    async def RevokeServiceAccountToken(
        self, request: member_pb2.RevokeServiceAccountTokenRequest, _context: Context
    ) -> member_pb2.RevokeServiceAccountTokenResponse:
        await self._accounts.revoke_token(request.name, key=caller.idempotency_key(request))
        return member_pb2.RevokeServiceAccountTokenResponse()
