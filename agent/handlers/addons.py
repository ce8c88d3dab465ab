"""`RetryAddOn`: bring a failed add-on's next try forward. Mounted by `agent.app`."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from skerry.agent.v1 import command_pb2

from agent.bootstrap.errors import AddOnDisabledError, UnknownAddOnError
from agent.bootstrap.machine import State
from agent.link import Progress


class Code(IntEnum):
    """Canonical gRPC codes, as `CommandResult.code` wants them."""

    OK = 0
    NOT_FOUND = 5
    FAILED_PRECONDITION = 9


class RetryAddOnHandler:
    """`retry` is `Bootstrap.retry`. The command ends as soon as the try is asked for: how it goes is told
    by the add-on's report."""

    def __init__(self, retry: Callable[[str], State]) -> None:
        self._retry = retry

    async def __call__(
        self, command: command_pb2.Command, _progress: Progress
    ) -> command_pb2.CommandResult:
        name = command.retry_add_on.add_on
        try:
            state = self._retry(name)
        except UnknownAddOnError as error:
            return command_pb2.CommandResult(
                code=Code.NOT_FOUND, reason="RESOURCE_NOT_FOUND", message=str(error)
            )
        except AddOnDisabledError as error:
            return command_pb2.CommandResult(
                code=Code.FAILED_PRECONDITION, reason="INVALID_FIELD", message=str(error)
            )
        if state is State.FAILED:
            return command_pb2.CommandResult(message=f"{name} is tried again")
        return command_pb2.CommandResult(
            message=f"{name} is {state.value.lower()}; nothing to try again"
        )
