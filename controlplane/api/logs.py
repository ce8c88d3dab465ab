"""LogService at the border."""

from collections.abc import AsyncIterator

from skerry.platform.v1 import log_pb2, log_pb2_grpc

from controlplane.api import streams
from controlplane.api.convert import logs as convert
from controlplane.api.interceptors.call import Context
from controlplane.services.logs import LogService


class LogServicer(log_pb2_grpc.LogServiceServicer):
    """What containers print."""

    def __init__(self, logs: LogService) -> None:
        self._logs = logs

    def TailLogs(
        self, request: log_pb2.TailLogsRequest, _context: Context
    ) -> AsyncIterator[log_pb2.TailLogsResponse]:
        return streams.converted(
            self._logs.tail_logs(convert.tail_request(request)), convert.log_event
        )
