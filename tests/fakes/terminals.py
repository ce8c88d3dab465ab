"""A double of the server's kept terminals for the tests of clients: one terminal, cut and continued by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc import aio
from skerry.platform.v1 import terminal_pb2

NAME = "terminals/01jd0000000000000000000000"


class FakeTerminal:
    """`print` is what the command prints; `cut` breaks the call; `away` refuses calls, `gone` says that it has ended."""

    def __init__(self) -> None:
        self.away = False
        self.gone = False
        self.stdin = bytearray()
        self.received = 0
        self.sizes: list[tuple[int, int]] = []
        self.attached_from: list[int] = []
        self._tries = 0
        self._output = bytearray()
        self._start = 0
        self._exit: int | None = None
        self._detached: int | None = None
        self._call = 0
        self._news = asyncio.Condition()
        self._readers: set[asyncio.Task[None]] = set()

    def print(self, data: bytes) -> None:
        self._output += data
        self._tell()

    def drop_output(self, offset: int) -> None:
        """The ring no longer holds what is before."""
        self._start = offset

    def exit(self, code: int) -> None:
        self._exit = code
        self._tell()

    def cut(self) -> None:
        self._call += 1
        self._tell()

    def take(self) -> None:
        """Another client attaches."""
        self._detached = terminal_pb2.DETACH_REASON_TAKEN
        self._tell()

    def detach(self) -> None:
        self._detached = terminal_pb2.DETACH_REASON_REQUESTED
        self._tell()

    def forget_input(self, size: int) -> None:
        """The last bytes never arrived."""
        del self.stdin[-size:]
        self.received -= size

    async def typed(self, wanted: bytes) -> None:
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: bytes(self.stdin) == wanted)

    async def tried(self, times: int) -> None:
        """Wait for so many calls in vain."""
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: self._tries >= times)

    async def serve(self, context: Any, message: Any, attach: Any = None) -> None:
        """Be the server of one call; `message` is its kind of response."""
        if self.away:
            self._tries += 1
            self._tell()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
        if self.gone:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{NAME} has ended or never was")
        self._call += 1
        call = self._call
        self._detached = None
        offset = 0
        if attach is not None:
            if attach.HasField("from_offset"):
                offset = attach.from_offset
                self.attached_from.append(offset)
            elif attach.scrollback_bytes:
                offset = len(self._output) - attach.scrollback_bytes
            if attach.HasField("size"):
                self.sizes.append((attach.size.rows, attach.size.columns))
        reading = asyncio.create_task(self._read(context, call), name="fake-terminal-input")
        started = terminal_pb2.ExecStarted(pod="web-1", container="web", terminal=NAME)
        await context.write(message(started=started, input_received=self.received))
        try:
            while call == self._call:
                offset = max(offset, self._start)
                if data := bytes(self._output[offset:]):
                    output = terminal_pb2.TerminalOutput(offset=offset, data=data)
                    await context.write(message(output=output, input_received=self.received))
                    offset += len(data)
                    continue
                if self._exit is not None:
                    await context.write(message(exit=terminal_pb2.ExecExit(code=self._exit)))
                    return
                if self._detached is not None:
                    detached = terminal_pb2.TerminalDetached(reason=self._detached)  # type: ignore[arg-type]
                    await context.write(message(detached=detached))
                    return
                async with self._news:
                    await self._news.wait()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
        finally:
            self._readers.add(reading)
            reading.add_done_callback(self._readers.discard)

    async def _read(self, context: Any, call: int) -> None:
        while (request := await context.read()) is not aio.EOF:
            if call != self._call:
                return
            if request.WhichOneof("message") == "stdin":
                self.stdin += request.stdin
                self.received += len(request.stdin)
            elif request.WhichOneof("message") == "resize":
                self.sizes.append((request.resize.rows, request.resize.columns))
            self._tell()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.get_running_loop().create_task(tell(), name="fake-terminal-news")
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)
