"""Operations."""

from skerry.platform.v1 import error_pb2, operation_pb2

from controlplane.api.convert import common
from controlplane.domain.operations import Operation, OperationError


def operation(value: Operation) -> operation_pb2.Operation:
    """`platform.v1.Operation`."""
    return operation_pb2.Operation(
        name=str(value.name),
        target=value.target,
        kind=value.kind.value,
        done=value.done,
        error=_error(value.error) if value.error else None,
        message=value.message,
        cancel_requested=value.cancel_requested,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        end_time=common.timestamp(value.end_time),
        deployment=value.deployment,
    )


def operation_event(value: Operation | None) -> operation_pb2.WatchOperationResponse:
    """One event of WatchOperation; None is a heartbeat."""
    return operation_pb2.WatchOperationResponse(operation=operation(value) if value else None)


def _error(value: OperationError) -> operation_pb2.OperationError:
    name = f"ERROR_REASON_{value.reason}"
    # A pod's reason (`CrashLoop`) is none of the enum's; the message says it, and the deployment has it by name.
    known = name in error_pb2.ErrorReason.keys()  # noqa: SIM118 - an enum wrapper, not a dict
    reason = error_pb2.ErrorReason.Value(name) if known else error_pb2.ERROR_REASON_UNSPECIFIED
    return operation_pb2.OperationError(code=int(value.code), reason=reason, message=value.message)
