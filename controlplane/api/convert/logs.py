"""Log streams."""

from skerry.platform.v1 import log_pb2

from controlplane.api.convert import common
from controlplane.domain.errors import InvalidField
from controlplane.domain.logs import LogEvent, LogEventKind, TailRequest
from controlplane.domain.names import AppName


def tail_request(request: log_pb2.TailLogsRequest) -> TailRequest:
    """What is asked for. Raises InvalidField."""
    tail_lines = request.tail_lines if request.HasField("tail_lines") else None
    if tail_lines is not None and tail_lines < 0:
        raise InvalidField.of("tail_lines", "must not be negative")
    return TailRequest(
        app=AppName.parse(request.app, "app"),
        services=tuple(request.services),
        follow=request.follow,
        since_time=common.moment(request, "since_time"),
        tail_lines=tail_lines,
        previous=request.previous,
    )


def log_event(event: LogEvent | None) -> log_pb2.TailLogsResponse:
    """One event; None is a heartbeat."""
    if event is None:
        return log_pb2.TailLogsResponse()
    match event.kind:
        case LogEventKind.LINES:
            chunk = log_pb2.LogChunk(
                service=event.service,
                pod=event.pod,
                container=event.container,
                lines=event.lines,
                restarts=event.restarts,
            )
            return log_pb2.TailLogsResponse(chunk=chunk)
        case LogEventKind.GAP:
            gap = log_pb2.LogGap(
                service=event.service,
                pod=event.pod,
                from_time=common.timestamp(event.from_time),
                message=event.message,
            )
            return log_pb2.TailLogsResponse(gap=gap)
        case LogEventKind.STARTED | LogEventKind.ENDED:
            source = log_pb2.LogSource(
                service=event.service,
                pod=event.pod,
                container=event.container,
                ended=event.kind is LogEventKind.ENDED,
                message=event.message,
            )
            return log_pb2.TailLogsResponse(source=source)
