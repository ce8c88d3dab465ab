"""The `plan` stream: what a deploy would do, as one serialised PlanResult."""

from __future__ import annotations

from skerry.agent.v1 import link_pb2

from agent.handlers.errors import stream_error
from agent.handlers.messages import deploy_from, preview_to
from agent.handlers.redaction import Redaction
from agent.kube.errors import KubeError
from agent.link.handlers import Stream
from agent.workloads.errors import WorkloadError
from agent.workloads.preview import Previewer


class PlanHandler:
    def __init__(self, previewer: Previewer) -> None:
        self._previewer = previewer

    async def __call__(self, opened: link_pb2.Open, stream: Stream) -> None:
        redaction = Redaction.of(opened.plan.deploy)
        try:
            preview = await self._previewer.preview(deploy_from(opened.plan.deploy))
        except (WorkloadError, KubeError) as error:
            raise stream_error(error, redaction) from error
        result = preview_to(preview)
        redaction.apply(result)
        await stream.send(result.SerializeToString())
