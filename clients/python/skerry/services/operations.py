"""Long-running work: `Client.operations`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from grpc import aio

from skerry import errors, paging, watching
from skerry.calls import Calls
from skerry.platform.v1 import error_pb2, operation_pb2, operation_pb2_grpc


class Operations:
    """Deploys, deletions, environment set-up. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = operation_pb2_grpc.OperationServiceStub(channel)

    def list(
        self, *, target: str = "", active_only: bool = False, page_size: int = 0
    ) -> AsyncGenerator[operation_pb2.Operation, None]:
        """Operations on a resource or below it, newest first."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListOperations,
                operation_pb2.ListOperationsRequest(
                    target=target, active_only=active_only, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.operations,
        )

    async def get(self, name: str) -> operation_pb2.Operation:
        """One operation by its name, `operations/{ulid}`."""
        request = operation_pb2.GetOperationRequest(name=name)
        return (await self._calls.unary(self._stub.GetOperation, request)).operation

    async def cancel(self, name: str, *, request_id: str | None = None) -> operation_pb2.Operation:
        """Ask for the work to stop; what was applied stays."""
        request = operation_pb2.CancelOperationRequest(
            name=name, request_id=request_id or self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.CancelOperation, request)).operation

    def watch(
        self, name: str, *, on_cut: watching.OnCut = watching.ignore_cut
    ) -> AsyncGenerator[operation_pb2.Operation, None]:
        """The operation now and after each change, until it is done; goes on after a cut."""
        return watching.latest(
            self._calls, lambda: self._stream(name), lambda operation: operation.done, on_cut
        )

    async def wait(self, name: str) -> operation_pb2.Operation:
        """Wait until it is done (bound it with asyncio.timeout).

        Raises the error that the operation ended with, as a failed call would.
        """
        async with aclosing(self.watch(name)) as stream:
            async for operation in stream:
                if operation.done:
                    raise_for(operation)
                    return operation
        raise AssertionError("a watched operation ends by being done")

    async def _stream(self, name: str) -> AsyncGenerator[operation_pb2.Operation, None]:
        request = operation_pb2.WatchOperationRequest(name=name)
        async with aclosing(self._calls.stream(self._stub.WatchOperation, request)) as stream:
            async for response in stream:
                if response.HasField("operation"):
                    yield response.operation


def raise_for(operation: operation_pb2.Operation) -> None:
    """Raise the error of an operation that failed."""
    if not operation.HasField("error"):
        return
    code = operation.error.code
    kind = errors.BY_CODE.get(errors.Code(code)) if code in set(errors.Code) else None
    reason = error_pb2.ErrorReason.Name(operation.error.reason).removeprefix("ERROR_REASON_")
    raise (kind or errors.Unknown)(operation.error.message, errors.Detail(reason))
