"""ServerService at the border. So small that no service stands behind it."""

from skerry.platform.v1 import server_pb2, server_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.interceptors.call import Context
from controlplane.domain.clock import Clock


class ServerServicer(server_pb2_grpc.ServerServiceServicer):
    """The control plane itself."""

    def __init__(self, *, version: str, agent_address: str, clock: Clock) -> None:
        self._version = version
        self._agent_address = agent_address
        self._clock = clock

    async def GetServerInfo(
        self, _request: server_pb2.GetServerInfoRequest, _context: Context
    ) -> server_pb2.GetServerInfoResponse:
        return server_pb2.GetServerInfoResponse(
            version=self._version,
            principal=caller.principal().display_name,
            server_time=common.timestamp(self._clock.now()),
            agent_address=self._agent_address,
        )
