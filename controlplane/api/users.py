"""UserService at the border."""

from skerry.platform.v1 import user_pb2, user_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import people as convert
from controlplane.api.interceptors.call import Context
from controlplane.services.second_factors import SecondFactorService
from controlplane.services.users import UserService


class UserServicer(user_pb2_grpc.UserServiceServicer):
    """Users."""

    def __init__(self, users: UserService, second_factors: SecondFactorService) -> None:
        self._users = users
        self._second_factors = second_factors

    async def CreateUser(
        self, request: user_pb2.CreateUserRequest, _context: Context
    ) -> user_pb2.CreateUserResponse:
        user = await self._users.create_user(
            request.user_id,
            request.display_name,
            email=request.email,
            password=request.password,
            key=caller.idempotency_key(request, unkept="password"),
        )
        return user_pb2.CreateUserResponse(user=convert.user(user))

    async def GetUser(
        self, request: user_pb2.GetUserRequest, _context: Context
    ) -> user_pb2.GetUserResponse:
        return user_pb2.GetUserResponse(user=convert.user(await self._users.get_user(request.name)))

    async def ListUsers(
        self, request: user_pb2.ListUsersRequest, _context: Context
    ) -> user_pb2.ListUsersResponse:
        page = await self._users.list_users(common.page_request(request))
        return user_pb2.ListUsersResponse(
            users=[convert.user(item) for item in page.items], next_page_token=page.next_token
        )

    async def UpdateUser(
        self, request: user_pb2.UpdateUserRequest, _context: Context
    ) -> user_pb2.UpdateUserResponse:
        mask = common.field_mask(request.update_mask, "display_name", "email", "disabled")
        wanted = request.user
        user = await self._users.update_user(
            wanted.name,
            display_name=wanted.display_name if "display_name" in mask else None,
            email=wanted.email if "email" in mask else None,
            disabled=wanted.disabled if "disabled" in mask else None,
            etag=wanted.etag,
            key=caller.idempotency_key(request),
        )
        return user_pb2.UpdateUserResponse(user=convert.user(user))

    async def DeleteUser(
        self, request: user_pb2.DeleteUserRequest, _context: Context
    ) -> user_pb2.DeleteUserResponse:
        await self._users.delete_user(
            request.name, etag=request.etag, key=caller.idempotency_key(request)
        )
        return user_pb2.DeleteUserResponse()

    async def ResetPassword(
        self, request: user_pb2.ResetPasswordRequest, _context: Context
    ) -> user_pb2.ResetPasswordResponse:
        await self._users.reset_password(
            request.name,
            request.password,
            key=caller.idempotency_key(request, unkept="password"),
        )
        return user_pb2.ResetPasswordResponse()

    async def LinkIdentity(
        self, request: user_pb2.LinkIdentityRequest, _context: Context
    ) -> user_pb2.LinkIdentityResponse:
        identity = await self._users.link_identity(
            request.name, request.issuer, request.subject, key=caller.idempotency_key(request)
        )
        return user_pb2.LinkIdentityResponse(identity=convert.identity(identity))

    async def UnlinkIdentity(
        self, request: user_pb2.UnlinkIdentityRequest, _context: Context
    ) -> user_pb2.UnlinkIdentityResponse:
        await self._users.unlink_identity(
            request.name, request.issuer, request.subject, key=caller.idempotency_key(request)
        )
        return user_pb2.UnlinkIdentityResponse()

    async def ListIdentities(
        self, request: user_pb2.ListIdentitiesRequest, _context: Context
    ) -> user_pb2.ListIdentitiesResponse:
        page = await self._users.list_identities(request.parent, common.page_request(request))
        return user_pb2.ListIdentitiesResponse(
            identities=[convert.identity(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def ResetTotp(
        self, request: user_pb2.ResetTotpRequest, _context: Context
    ) -> user_pb2.ResetTotpResponse:
        await self._second_factors.reset(request.name, key=caller.idempotency_key(request))
        return user_pb2.ResetTotpResponse()
