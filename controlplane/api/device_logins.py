"""DeviceLoginService at the border."""

from skerry.platform.v1 import device_login_pb2, device_login_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import people as convert
from controlplane.api.interceptors import call as calls
from controlplane.api.interceptors.call import Context
from controlplane.domain.audit import AuditAction
from controlplane.services.device_logins import DeviceLoginService


class DeviceLoginServicer(device_login_pb2_grpc.DeviceLoginServiceServicer):
    """Logins by code."""

    def __init__(self, logins: DeviceLoginService, *, verification_uri: str) -> None:
        self._logins = logins
        self._verification_uri = verification_uri

    async def StartDeviceLogin(
        self, request: device_login_pb2.StartDeviceLoginRequest, context: Context
    ) -> device_login_pb2.StartDeviceLoginResponse:
        started = await self._logins.start(request.client, address=caller.address(context))
        answer = device_login_pb2.StartDeviceLoginResponse(
            device_code=started.secret,
            user_code=started.login.user_code,
            verification_uri=self._verification_uri,
            expire_time=common.timestamp(started.login.expire_time),
        )
        answer.interval.FromTimedelta(started.login.interval)
        return answer

    async def PollDeviceLogin(
        self, request: device_login_pb2.PollDeviceLoginRequest, context: Context
    ) -> device_login_pb2.PollDeviceLoginResponse:
        call = calls.current()
        action = AuditAction(call.method.strip("/"), caller.address(context), call.request_id)
        polled = await self._logins.poll(request.device_code, action)
        answer = device_login_pb2.PollDeviceLoginResponse(
            state=common.enum_value(
                device_login_pb2.DeviceLoginState, "DEVICE_LOGIN_STATE", polled.state
            )
        )
        answer.interval.FromTimedelta(polled.interval)
        if polled.issued is not None:
            answer.token.CopyFrom(convert.token(polled.issued.token))
            answer.secret = polled.issued.secret
        return answer

    async def GetDeviceLogin(
        self, request: device_login_pb2.GetDeviceLoginRequest, context: Context
    ) -> device_login_pb2.GetDeviceLoginResponse:
        login = await self._logins.get(
            caller.principal(), request.user_code, address=caller.address(context)
        )
        return device_login_pb2.GetDeviceLoginResponse(device_login=convert.device_login(login))

    async def ApproveDeviceLogin(
        self, request: device_login_pb2.ApproveDeviceLoginRequest, context: Context
    ) -> device_login_pb2.ApproveDeviceLoginResponse:
        await self._logins.approve(
            caller.principal(), request.user_code, address=caller.address(context)
        )
        return device_login_pb2.ApproveDeviceLoginResponse()

    async def DenyDeviceLogin(
        self, request: device_login_pb2.DenyDeviceLoginRequest, context: Context
    ) -> device_login_pb2.DenyDeviceLoginResponse:
        await self._logins.deny(
            caller.principal(), request.user_code, address=caller.address(context)
        )
        return device_login_pb2.DenyDeviceLoginResponse()
