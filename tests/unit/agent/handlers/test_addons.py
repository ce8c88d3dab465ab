"""The RetryAddOn command."""

from __future__ import annotations

import pytest
from skerry.agent.v1 import command_pb2

from agent.bootstrap.errors import AddOnDisabledError, UnknownAddOnError
from agent.bootstrap.machine import State
from agent.handlers.addons import RetryAddOnHandler

COMMAND = command_pb2.Command(retry_add_on=command_pb2.RetryAddOn(add_on="garage"))


async def run(retry) -> command_pb2.CommandResult:
    return await RetryAddOnHandler(retry)(COMMAND, lambda message, deploy: None)


async def test_a_failed_one_is_tried_again():
    asked: list[str] = []

    def retry(name: str) -> State:
        asked.append(name)
        return State.FAILED

    result = await run(retry)
    assert asked == ["garage"]
    assert (result.code, result.message) == (0, "garage is tried again")


async def test_one_that_works_is_said_to_work():
    assert (await run(lambda name: State.READY)).message == "garage is ready; nothing to try again"


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (UnknownAddOnError("no such"), 5, "RESOURCE_NOT_FOUND"),
        (AddOnDisabledError("switched off"), 9, "INVALID_FIELD"),
    ],
)
async def test_what_cannot_be_tried_is_refused_with_the_reason(error, code, reason):
    def retry(name: str) -> State:
        raise error

    result = await run(retry)
    assert (result.code, result.reason, result.message) == (code, reason, str(error))
