"""The `check` stream: diagnostics and facts of a compose project, as one serialised CheckResult; and
the `compose_schema` stream: the JSON Schema for editors."""

from __future__ import annotations

import json

from skerry.agent.v1 import link_pb2

from agent.compose.schema import json_schema
from agent.handlers.errors import stream_error
from agent.handlers.messages import check_result_to, deploy_from
from agent.handlers.redaction import Redaction
from agent.link.handlers import Stream
from agent.workloads.checking import Checker
from agent.workloads.errors import WorkloadError


class CheckHandler:
    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    async def __call__(self, opened: link_pb2.Open, stream: Stream) -> None:
        request = deploy_from(opened.check.deploy)
        redaction = Redaction.of(opened.check.deploy)
        try:
            plan = await self._checker.check(request, opened.check.profiles)
        except WorkloadError as error:
            raise stream_error(error, redaction) from error
        result = check_result_to(plan)
        redaction.apply(result)
        await stream.send(result.SerializeToString())


class ComposeSchemaHandler:
    def __init__(self) -> None:
        self._text = json.dumps(json_schema(), ensure_ascii=False).encode()

    async def __call__(self, _: link_pb2.Open, stream: Stream) -> None:
        await stream.send(self._text)
