"""Logins by a code that somebody approves elsewhere: `Client.device_logins`."""

from __future__ import annotations

from grpc import aio

from skerry.calls import Calls
from skerry.platform.v1 import device_login_pb2, device_login_pb2_grpc


class DeviceLogins:
    """Both sides: the program that waits, and the person who approves. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = device_login_pb2_grpc.DeviceLoginServiceStub(channel)

    async def start(self, client: str = "") -> device_login_pb2.StartDeviceLoginResponse:
        """Begin to wait; `client` is what the person who approves is shown. Needs no token."""
        request = device_login_pb2.StartDeviceLoginRequest(client=client)
        return await self._calls.unary(self._stub.StartDeviceLogin, request)

    async def poll(self, device_code: str) -> device_login_pb2.PollDeviceLoginResponse:
        """Ask how far it is, not more often than the last answer's `interval`. Needs no token."""
        request = device_login_pb2.PollDeviceLoginRequest(device_code=device_code)
        # A repeat would come too soon, or find the session given out already.
        return await self._calls.unary(self._stub.PollDeviceLogin, request, repeatable=False)

    async def get(self, user_code: str) -> device_login_pb2.DeviceLogin:
        """Who waits behind a code."""
        request = device_login_pb2.GetDeviceLoginRequest(user_code=user_code)
        return (await self._calls.unary(self._stub.GetDeviceLogin, request)).device_login

    async def approve(self, user_code: str) -> None:
        """Let the program act as you."""
        request = device_login_pb2.ApproveDeviceLoginRequest(user_code=user_code)
        await self._calls.unary(self._stub.ApproveDeviceLogin, request, repeatable=False)

    async def deny(self, user_code: str) -> None:
        """Refuse the program."""
        request = device_login_pb2.DenyDeviceLoginRequest(user_code=user_code)
        await self._calls.unary(self._stub.DenyDeviceLogin, request, repeatable=False)
