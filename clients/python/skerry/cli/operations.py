"""Waiting for long-running work with progress on stderr; Ctrl-C leaves it running and says so."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import skerry
from skerry import errors, names
from skerry.cli.durations import parse_duration
from skerry.cli.run import Run
from skerry.platform.v1 import operation_pb2
from skerry.services.operations import raise_for


async def wait_for(
    run: Run, client: skerry.Client, operation: operation_pb2.Operation, within: str
) -> operation_pb2.Operation:
    """The operation when it is done. Raises the SkerryError it ended with, or DeadlineExceeded."""
    limit = parse_duration(within).total_seconds()
    said = ""
    try:
        async with (
            asyncio.timeout(limit),
            aclosing(client.operations.watch(operation.name, on_cut=run.cut)) as stream,
        ):
            async for operation in stream:
                if operation.message and operation.message != said and not operation.done:
                    said = operation.message
                    run.out.say(said)
    except TimeoutError as error:
        raise errors.DeadlineExceeded(
            f"not done after {within}: {said or operation.kind}; it goes on ({_ways(operation)})"
        ) from error
    except asyncio.CancelledError:
        run.out.insist(f"Detached; it goes on ({_ways(operation)})")
        raise
    raise_for(operation)
    return operation


def _ways(operation: operation_pb2.Operation) -> str:
    name = names.last(operation.name)
    return f"watch: skerry operation wait {name}, stop: skerry operation cancel {name}"
