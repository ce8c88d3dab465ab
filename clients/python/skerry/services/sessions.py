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

    async def login(self, user: str, password: str, code: str = "") -> session_pb2.LoginResponse:
        """Begin a session; its `secret` is the token for further clients.

        Fails with the reason SECOND_FACTOR_REQUIRED when the password is right and a code must come with it.
        """
        request = session_pb2.LoginRequest(user=user, password=password, code=code)
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

    async def enroll_totp(self, password: str) -> session_pb2.EnrollTotpResponse:
        """A key for an authenticator app; counts once it is confirmed."""
        request = session_pb2.EnrollTotpRequest(password=password)
        return await self._calls.unary(self._stub.EnrollTotp, request, repeatable=False)

    async def confirm_totp(self, code: str) -> list[str]:
        """Show that the app works; the recovery codes, shown once."""
        request = session_pb2.ConfirmTotpRequest(code=code)
        answer = await self._calls.unary(self._stub.ConfirmTotp, request, repeatable=False)
        return list(answer.recovery_codes)

    async def create_recovery_codes(self, code: str) -> list[str]:
        """New recovery codes; those before are worthless."""
        request = session_pb2.CreateRecoveryCodesRequest(code=code)
        answer = await self._calls.unary(self._stub.CreateRecoveryCodes, request, repeatable=False)
        return list(answer.recovery_codes)

    async def disable_totp(self, code: str) -> None:
        """Take your second factor away, with a code or a recovery code."""
        request = session_pb2.DisableTotpRequest(code=code)
        await self._calls.unary(self._stub.DisableTotp, request, repeatable=False)
