"""MemoryStream: a test double for the link's `Stream`, both ends in one process, with credit."""

from __future__ import annotations

import asyncio

from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.data import StreamData


class MemoryStream:
    """What the handler sends is read with `sent`; what the far end says is put with `say`."""

    def __init__(self, *, capacity: int = 1_000) -> None:
        self._to_handler: asyncio.Queue[StreamData | None] = asyncio.Queue()
        self._from_handler: asyncio.Queue[StreamData] = asyncio.Queue(capacity)
        self.max_message_bytes = 64 * 1024
        self.error: Exception | None = None

    async def send(
        self, payload: bytes, channel: link_pb2.Channel.ValueType = link_pb2.CHANNEL_UNSPECIFIED
    ) -> None:
        if payload:
            await self._from_handler.put(StreamData(payload, channel))

    async def send_message(
        self, payload: bytes, channel: link_pb2.Channel.ValueType = link_pb2.CHANNEL_UNSPECIFIED
    ) -> None:
        assert 0 < len(payload) <= self.max_message_bytes
        await self._from_handler.put(StreamData(payload, channel))

    async def receive(self) -> StreamData | None:
        return await self._to_handler.get()

    def finish(self) -> None:
        """The handler's return does it."""

    def reset(self, code: int, reason: str, message: str) -> None:
        raise AssertionError(f"the handler reset the stream: {code} {reason} {message}")

    def type(self, data: bytes) -> None:
        """The far end sends standard input."""
        self._to_handler.put_nowait(StreamData(data, link_pb2.CHANNEL_STDIN))

    def control(self, control: stream_pb2.ExecControl) -> None:
        data = StreamData(control.SerializeToString(), link_pb2.CHANNEL_CONTROL)
        self._to_handler.put_nowait(data)

    def hang_up(self) -> None:
        """The far end has nothing more to say."""
        self._to_handler.put_nowait(None)

    async def sent(self, within: float = 90.0) -> StreamData:
        """The next thing the handler sent."""
        async with asyncio.timeout(within):
            return await self._from_handler.get()

    def waiting(self) -> int:
        """How many frames nobody has read yet."""
        return self._from_handler.qsize()

    async def event(self, within: float = 90.0) -> stream_pb2.LogEvent:
        return stream_pb2.LogEvent.FromString((await self.sent(within)).payload)
