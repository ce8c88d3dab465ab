"""What every noun's conversion needs: times, pages, idempotency keys, enums, states, events."""

import hashlib
from collections.abc import Callable, MutableMapping, MutableSequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Protocol, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from skerry.platform.v1 import cluster_pb2, state_pb2

from controlplane.domain.errors import InvalidField
from controlplane.domain.requests import EventType, IdempotencyKey, PageRequest, WatchEvent
from controlplane.domain.workloads import Condition, State

T = TypeVar("T")
M = TypeVar("M", bound=Message)
V = TypeVar("V", covariant=True)


class PageFields(Protocol):
    """A request of a List method."""

    page_size: int
    page_token: str


def page_request(request: PageFields) -> PageRequest:
    """Which page is asked for."""
    return PageRequest(size=request.page_size, token=request.page_token)


def idempotency_key(request: Any, *, principal: str, method: str) -> IdempotencyKey | None:
    """The key of a mutation, None when the caller gave no request_id. Raises InvalidField when it is not a UUID."""
    if not request.request_id:
        return None
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    # Deterministic: maps come in a fixed order, so that the same request has the same hash in each try.
    digest = hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()
    return IdempotencyKey(
        principal=principal,
        method=method,
        request_id=request.request_id.lower(),
        request_hash=digest,
    )


def clear_values(message: Any, path: str) -> None:
    """Take the values out of a field and leave the names: of a map, of items with a `key`; another field is cleared whole."""
    *parents, last = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    value = getattr(message, last)
    if isinstance(value, MutableMapping):
        # A map that is written to while it is walked is walked wrongly.
        for name in list(value):
            value[name] = ""
    elif isinstance(value, MutableSequence):
        for item in value:
            item.ClearField("value")
    else:
        message.ClearField(last)


def timestamp(moment: datetime | None) -> Timestamp | None:
    """None stays unset."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def duration(span: timedelta | None) -> Duration | None:
    """None stays unset."""
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message


def moment(request: Message, field: str) -> datetime | None:
    """A Timestamp field as an aware datetime; None when unset. Raises InvalidField when it is no time at all."""
    if not request.HasField(field):
        return None
    try:
        value: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidField.of(field, "is not a time between the years 1 and 9999") from error
    return value


def span(request: Message, field: str) -> timedelta | None:
    """A Duration field; None when unset. Raises InvalidField when it is out of range."""
    if not request.HasField(field):
        return None
    try:
        value: timedelta = getattr(request, field).ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise InvalidField.of(field, "is not a duration") from error
    return value


def field_mask(mask: FieldMask, *known: str) -> frozenset[str]:
    """The fields that change. Raises InvalidField when none does, or one that cannot."""
    paths = frozenset(mask.paths)
    if not paths:
        raise InvalidField.of("update_mask", f"is required: name some of {', '.join(known)}")
    if unknown := sorted(paths - set(known)):
        raise InvalidField.of(
            "update_mask", f"{unknown[0]!r} cannot be changed; these can: {', '.join(known)}"
        )
    return paths


class ProtoEnum(Protocol[V]):
    """A generated enum."""

    def Value(self, name: str) -> V:
        """The number behind a name."""
        ...


def enum_value(wrapper: ProtoEnum[V], prefix: str, member: Enum) -> V:
    """The proto value whose name is `prefix` and the member's value."""
    return wrapper.Value(f"{prefix}_{member.value.upper()}")


def state(value: State) -> "state_pb2.State.ValueType":
    """`platform.v1.State`."""
    return enum_value(state_pb2.State, "STATE", value)


def condition(value: Condition) -> state_pb2.Condition:
    """`platform.v1.Condition`."""
    return state_pb2.Condition(
        type=value.type,
        status=value.status,
        reason=value.reason,
        message=value.message,
        transition_time=timestamp(value.transition_time),
    )


def event_type(value: EventType) -> "cluster_pb2.EventType.ValueType":
    """`platform.v1.EventType`."""
    return enum_value(cluster_pb2.EventType, "EVENT_TYPE", value)


def event_resource(
    event: WatchEvent[T], convert: Callable[[T], M], gone: Callable[[str, str], M]
) -> M | None:
    """The resource of an event: whole, or `gone(name, uid)` of one that was deleted, or None."""
    if event.resource is not None:
        return convert(event.resource)
    if event.type is EventType.DELETED:
        return gone(event.name, event.uid)
    return None
