"""What a fake server stream does, step by step: send, wait, fail. Used by `tests.fakes.control_plane`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Fail:
    """An error as the control plane sends it."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "scripted failure"
    metadata: dict[str, str] = field(default_factory=dict)
    details: tuple[Message, ...] = ()

    async def abort(self, context: Any) -> None:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if self.reason:
            info = error_details_pb2.ErrorInfo(
                reason=self.reason, domain="skerry.dev", metadata=self.metadata
            )
            status.details.append(_pack(info))
        status.details.extend(_pack(detail) for detail in self.details)
        await context.abort_with_status(rpc_status.to_status(status))


@dataclass(frozen=True)
class Hold:
    """Stay open, silent, until the client goes."""


Step = Message | Fail | Hold | asyncio.Event
Script = Sequence[Step]


async def play(script: Script, context: Any) -> AsyncIterator[Any]:
    """Perform the steps; a script that runs out ends the stream."""
    for step in script:
        match step:
            case Fail():
                await step.abort(context)
            case Hold():
                await asyncio.Event().wait()
            case asyncio.Event():
                await step.wait()
            case _:
                yield step


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
