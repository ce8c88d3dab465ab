"""Logging in, and the caller's own credentials: `Client.sessions`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import rule_pb2, session_pb2, session_pb2_grpc


class Sessions:
    """Login, password, personal tokens. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = session_pb2_grpc.SessionServiceStub(channel)

    async def login(self, user: str, password: str) -> session_pb2.LoginResponse:
        """Begin a session; its `secret` is the token for further clients."""
        request = session_pb2.LoginRequest(user=user, password=password)
        return await self._calls.unary(self._stub.Login, request)

    async def complete_setup(
        self, code: str, password: str, *, user_id: str = "", display_name: str = ""
    ) -> session_pb2.CompleteSetupResponse:
        """Become an owner of the platform with the code of a setup link (`skerry.setup_link`); begins a session."""
        request = session_pb2.CompleteSetupRequest(
            code=code, user_id=user_id, display_name=display_name, password=password
        )
        # The code works once: a repeat would be refused and hide what the first call did.
        return await self._calls.unary(self._stub.CompleteSetup, request, repeatable=False)

    async def logout(self) -> None:
        """End what this client calls with."""
        await self._calls.unary(self._stub.Logout, session_pb2.LogoutRequest())

    async def who_am_i(self) -> session_pb2.WhoAmIResponse:
        """Who calls, and what they may do where."""
        return await self._calls.unary(self._stub.WhoAmI, session_pb2.WhoAmIRequest())

    async def change_password(self, old: str, new: str) -> None:
        """Set a new password; ends the caller's other sessions."""
        request = session_pb2.ChangePasswordRequest(old_password=old, new_password=new)
        await self._calls.unary(self._stub.ChangePassword, request)

    async def create_token(
        self,
        display_name: str,
        *,
        scope: str = "",
        permissions: Iterable[rule_pb2.Permission.ValueType] = (),
        ttl: timedelta | None = None,
    ) -> session_pb2.CreateTokenResponse:
        """A personal token; its `secret` is in this answer and nowhere else."""
        request = session_pb2.CreateTokenRequest(
            display_name=display_name,
            scope=scope,
            permissions=permissions,
            request_id=self._calls.request_ids(),
        )
        if ttl is not None:
            request.ttl.FromTimedelta(ttl)
        return await self._calls.unary(self._stub.CreateToken, request)

    def list_tokens(self) -> AsyncGenerator[session_pb2.Token, None]:
        """The caller's own tokens and sessions, newest first."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListTokens, session_pb2.ListTokensRequest(page_token=token)
            ),
            lambda page: page.tokens,
        )

    async def revoke_token(self, name: str) -> None:
        """End one of the caller's own."""
        request = session_pb2.RevokeTokenRequest(name=name, request_id=self._calls.request_ids())
        await self._calls.unary(self._stub.RevokeToken, request)
