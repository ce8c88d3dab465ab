"""The `logs` stream: each Data frame is one LogEvent. Credit of the far end paces the reading."""

from __future__ import annotations

from skerry.agent.v1 import link_pb2, stream_pb2

from agent.handlers.errors import stream_error
from agent.handlers.messages import log_query_from
from agent.kube import KubeClient
from agent.kube.errors import KubeError
from agent.link.errors import StreamError
from agent.link.handlers import Stream
from agent.workloads.errors import FAILED_PRECONDITION
from agent.workloads.logfollow import LogFollower, LogKind, LogRecord
from agent.workloads.loglines import FRAME_BYTES

_HEAD_BYTES = 1_024
"""More than the names in a LogEvent take."""


class LogsHandler:
    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def __call__(self, opened: link_pb2.Open, stream: Stream) -> None:
        query = log_query_from(opened.logs)

        async def sink(record: LogRecord) -> None:
            await stream.send_message(_event(record).SerializeToString())

        frame = min(FRAME_BYTES, stream.max_message_bytes - _HEAD_BYTES)
        follower = LogFollower(self._kube, query, sink, frame_bytes=frame)
        try:
            read = await follower.run()
        except KubeError as error:
            raise stream_error(error) from error
        if not read:
            which = f" of {', '.join(sorted(query.services))}" if query.services else ""
            raise StreamError(
                *(FAILED_PRECONDITION, "NO_RUNNING_POD"),
                f"{query.app} has no pods{which}: deploy it, or look at its status",
            )


def _event(record: LogRecord) -> stream_pb2.LogEvent:
    event = stream_pb2.LogEvent(
        service=record.service,
        pod=record.pod,
        pod_uid=record.pod_uid,
        container=record.container,
        restarts=record.restarts,
    )
    match record.kind:
        case LogKind.LINES:
            event.lines = record.lines
        case LogKind.GAP:
            event.gap = record.message
        case LogKind.STARTED:
            event.started = True
        case LogKind.ENDED:
            event.ended = record.message
    return event
