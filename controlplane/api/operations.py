"""OperationService at the border."""

from collections.abc import AsyncIterator

from skerry.platform.v1 import operation_pb2, operation_pb2_grpc

from controlplane.api import caller, streams
from controlplane.api.convert import common
from controlplane.api.convert import operations as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import OperationName
from controlplane.services.operations import OperationService


class OperationServicer(operation_pb2_grpc.OperationServiceServicer):
    """Long-running work."""

    def __init__(self, operations: OperationService) -> None:
        self._operations = operations

    async def GetOperation(
        self, request: operation_pb2.GetOperationRequest, _context: Context
    ) -> operation_pb2.GetOperationResponse:
        operation = await self._operations.get_operation(OperationName.parse(request.name))
        return operation_pb2.GetOperationResponse(operation=convert.operation(operation))

    async def ListOperations(
        self, request: operation_pb2.ListOperationsRequest, _context: Context
    ) -> operation_pb2.ListOperationsResponse:
        page = await self._operations.list_operations(
            common.page_request(request),
            target=request.target,
            active_only=request.active_only,
            visible=caller.visible(),
        )
        return operation_pb2.ListOperationsResponse(
            operations=[convert.operation(item) for item in page.items],
            next_page_token=page.next_token,
        )

    def WatchOperation(
        self, request: operation_pb2.WatchOperationRequest, _context: Context
    ) -> AsyncIterator[operation_pb2.WatchOperationResponse]:
        return streams.converted(
            self._operations.watch_operation(OperationName.parse(request.name)),
            convert.operation_event,
        )

    async def CancelOperation(
        self, request: operation_pb2.CancelOperationRequest, _context: Context
    ) -> operation_pb2.CancelOperationResponse:
        operation = await self._operations.cancel_operation(
            OperationName.parse(request.name), key=caller.idempotency_key(request)
        )
        return operation_pb2.CancelOperationResponse(operation=convert.operation(operation))
