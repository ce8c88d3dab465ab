"""Users: `Client.users`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import user_pb2, user_pb2_grpc


class Users:
    """The people who may log in. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = user_pb2_grpc.UserServiceStub(channel)

    async def create(
        self, user_id: str, *, display_name: str = "", email: str = "", password: str = ""
    ) -> user_pb2.User:
        """Make a user without roles; without a password they cannot log in with one."""
        request = user_pb2.CreateUserRequest(
            user_id=user_id,
            display_name=display_name,
            email=email,
            password=password,
            request_id=self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.CreateUser, request)).user

    async def get(self, name: str) -> user_pb2.User:
        """One user by `users/{user}`."""
        return (
            await self._calls.unary(self._stub.GetUser, user_pb2.GetUserRequest(name=name))
        ).user

    def list(self) -> AsyncGenerator[user_pb2.User, None]:
        """All users by name."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListUsers, user_pb2.ListUsersRequest(page_token=token)
            ),
            lambda page: page.users,
        )

    async def set_disabled(self, name: str, disabled: bool) -> user_pb2.User:
        """Keep a user out, or let them in again."""
        request = user_pb2.UpdateUserRequest(
            user=user_pb2.User(name=name, disabled=disabled), request_id=self._calls.request_ids()
        )
        request.update_mask.paths.append("disabled")
        return (await self._calls.unary(self._stub.UpdateUser, request)).user

    async def reset_password(self, name: str, password: str) -> None:
        """Give a user a new password; ends their sessions."""
        request = user_pb2.ResetPasswordRequest(
            name=name, password=password, request_id=self._calls.request_ids()
        )
        await self._calls.unary(self._stub.ResetPassword, request)

    async def delete(self, name: str) -> None:
        """Delete a user with roles, sessions and tokens."""
        request = user_pb2.DeleteUserRequest(name=name, request_id=self._calls.request_ids())
        await self._calls.unary(self._stub.DeleteUser, request)

    async def link_identity(self, name: str, issuer: str, subject: str) -> user_pb2.Identity:
        """Let an identity at the identity provider log in as this user."""
        request = user_pb2.LinkIdentityRequest(
            name=name, issuer=issuer, subject=subject, request_id=self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.LinkIdentity, request)).identity

    async def unlink_identity(self, name: str, issuer: str, subject: str) -> None:
        """End that, and the user's sessions."""
        request = user_pb2.UnlinkIdentityRequest(
            name=name, issuer=issuer, subject=subject, request_id=self._calls.request_ids()
        )
        await self._calls.unary(self._stub.UnlinkIdentity, request)

    def list_identities(self, name: str) -> AsyncGenerator[user_pb2.Identity, None]:
        """The identities that log in as a user."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListIdentities,
                user_pb2.ListIdentitiesRequest(parent=name, page_token=token),
            ),
            lambda page: page.identities,
        )

    async def reset_totp(self, name: str) -> None:
        """Take the second factor from a user who lost it; ends their sessions."""
        request = user_pb2.ResetTotpRequest(name=name, request_id=self._calls.request_ids())
        await self._calls.unary(self._stub.ResetTotp, request)
