"""A piece of a stream as a consumer gets it."""

from __future__ import annotations

from typing import NamedTuple

from skerry.agent.v1 import link_pb2


class StreamData(NamedTuple):
    """The payload of one Data frame. Frame boundaries are kept: what one `send_message` sent arrives
    as one `StreamData`."""

    payload: bytes
    channel: link_pb2.Channel.ValueType
