"""SessionService at the border."""

from skerry.platform.v1 import session_pb2, session_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import people as convert
from controlplane.api.interceptors.call import Context
from controlplane.services.second_factors import SecondFactorService
from controlplane.services.sessions import SessionService
from controlplane.services.setup import SetupService


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """Logging in, and a caller's own credentials."""

    def __init__(
        self, sessions: SessionService, setup: SetupService, second_factors: SecondFactorService
    ) -> None:
        self._sessions = sessions
        self._setup = setup
        self._second_factors = second_factors

    async def Login(
        self, request: session_pb2.LoginRequest, context: Context
    ) -> session_pb2.LoginResponse:
        issued = await self._sessions.login(
            request.user, request.password, code=request.code, address=caller.address(context)
        )
        return session_pb2.LoginResponse(token=convert.token(issued.token), secret=issued.secret)

    async def CompleteSetup(
        self, request: session_pb2.CompleteSetupRequest, _context: Context
    ) -> session_pb2.CompleteSetupResponse:
        issued = await self._setup.complete(
            request.code,
            request.password,
            user_id=request.user_id,
            display_name=request.display_name,
        )
        return session_pb2.CompleteSetupResponse(
            token=convert.token(issued.token), secret=issued.secret
        )

    async def Logout(
        self, _request: session_pb2.LogoutRequest, _context: Context
    ) -> session_pb2.LogoutResponse:
        await self._sessions.logout(caller.principal())
        return session_pb2.LogoutResponse()

    async def WhoAmI(
        self, _request: session_pb2.WhoAmIRequest, _context: Context
    ) -> session_pb2.WhoAmIResponse:
        principal = caller.principal()
        return session_pb2.WhoAmIResponse(
            principal=principal.name,
            display_name=principal.display_name,
            token=convert.token(await self._sessions.current(principal)),
            grants=convert.grants(principal.grants),
        )

    async def ChangePassword(
        self, request: session_pb2.ChangePasswordRequest, context: Context
    ) -> session_pb2.ChangePasswordResponse:
        await self._sessions.change_password(
            caller.principal(),
            request.old_password,
            request.new_password,
            address=caller.address(context),
        )
        return session_pb2.ChangePasswordResponse()

    async def CreateToken(
        self, request: session_pb2.CreateTokenRequest, _context: Context
    ) -> session_pb2.CreateTokenResponse:
        issued = await self._sessions.create_token(
            caller.principal(),
            request.display_name,
            permissions=convert.wanted_permissions(request.permissions) or None,
            scope=request.scope,
            ttl=common.span(request, "ttl"),
            key=caller.idempotency_key(request),
        )
        return session_pb2.CreateTokenResponse(
            token=convert.token(issued.token), secret=issued.secret
        )

    async def ListTokens(
        self, request: session_pb2.ListTokensRequest, _context: Context
    ) -> session_pb2.ListTokensResponse:
        page = await self._sessions.list_tokens(caller.principal(), common.page_request(request))
        return session_pb2.ListTokensResponse(
            tokens=[convert.token(item) for item in page.items], next_page_token=page.next_token
        )

    async def RevokeToken(
        self, request: session_pb2.RevokeTokenRequest, _context: Context
    ) -> session_pb2.RevokeTokenResponse:
        await self._sessions.revoke_token(
            caller.principal(), request.name, key=caller.idempotency_key(request)
        )
        return session_pb2.RevokeTokenResponse()

    async def EnrollTotp(
        self, request: session_pb2.EnrollTotpRequest, context: Context
    ) -> session_pb2.EnrollTotpResponse:
        made = await self._second_factors.enroll(
            caller.principal(), request.password, address=caller.address(context)
        )
        return session_pb2.EnrollTotpResponse(key=made.key, uri=made.uri)

    async def ConfirmTotp(
        self, request: session_pb2.ConfirmTotpRequest, context: Context
    ) -> session_pb2.ConfirmTotpResponse:
        codes = await self._second_factors.confirm(
            caller.principal(), request.code, address=caller.address(context)
        )
        return session_pb2.ConfirmTotpResponse(recovery_codes=codes)

    async def CreateRecoveryCodes(
        self, request: session_pb2.CreateRecoveryCodesRequest, context: Context
    ) -> session_pb2.CreateRecoveryCodesResponse:
        codes = await self._second_factors.new_recovery_codes(
            caller.principal(), request.code, address=caller.address(context)
        )
        return session_pb2.CreateRecoveryCodesResponse(recovery_codes=codes)

    async def DisableTotp(
        self, request: session_pb2.DisableTotpRequest, context: Context
    ) -> session_pb2.DisableTotpResponse:
        await self._second_factors.disable(
            caller.principal(), request.code, address=caller.address(context)
        )
        return session_pb2.DisableTotpResponse()
