"""A failed grpc call as a `skerry.errors` error. Called by `skerry.calls`, and nowhere else.

The wire shape is `google.rpc.Status` in the trailing metadata `grpc-status-details-bin` (AIP-193).
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from skerry import errors

DOMAIN = "skerry.dev"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"


def to_error(failure: aio.AioRpcError, *, server: str, request_id: str) -> errors.SkerryError:
    """The error for a failed call to `server` (`host:port`)."""
    code = _code(failure.code())
    detail = _detail(failure, request_id)
    message = failure.details() or code.name
    if code is errors.Code.UNAVAILABLE and not detail.reason:
        message = f"cannot reach {server}: {message}"
    elif code is errors.Code.DEADLINE_EXCEEDED and not detail.reason:
        message = f"{server} did not answer in time"
    return errors.BY_CODE[code](message, detail)


def _code(code: grpc.StatusCode) -> errors.Code:
    number: int = code.value[0]
    return errors.Code(number) if number else errors.Code.UNKNOWN


def _detail(failure: aio.AioRpcError, request_id: str) -> errors.Detail:
    reason, metadata, fields, resource, retry_after = "", {}, {}, "", None
    for item in _details(failure):
        match item:
            case error_details_pb2.ErrorInfo() if item.domain == DOMAIN:
                reason, metadata = item.reason, dict(item.metadata)
            case error_details_pb2.BadRequest():
                fields = {v.field: v.description for v in item.field_violations}
            case error_details_pb2.ResourceInfo():
                resource = item.resource_name
            case error_details_pb2.RetryInfo():
                retry_after = item.retry_delay.ToMilliseconds() / 1000
            case error_details_pb2.RequestInfo():
                request_id = item.request_id
            case _:
                pass
    return errors.Detail(reason, metadata, fields, resource, retry_after, request_id)


def _details(failure: aio.AioRpcError) -> Iterator[Message]:
    status = status_pb2.Status()
    for key, value in failure.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                status.ParseFromString(value)
            except DecodeError:
                return  # The code and the message are still there to act on.
    for packed in status.details:
        for kind in (
            error_details_pb2.ErrorInfo, error_details_pb2.BadRequest,
            error_details_pb2.ResourceInfo, error_details_pb2.RetryInfo,
            error_details_pb2.RequestInfo,
        ):  # fmt: skip
            if packed.Is(kind.DESCRIPTOR):
                item = kind()
                packed.Unpack(item)
                yield item
