"""Commands in an app's containers: `Client.terminals`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from grpc import aio

from skerry import errors
from skerry.calls import Calls
from skerry.platform.v1 import terminal_pb2, terminal_pb2_grpc

MAX_STDIN_BYTES = 32 << 10
"""Most bytes of one stdin message (the contract's bound)."""


class Stream(Enum):
    """Where a piece of output was written to."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of output. With a terminal everything is STDOUT."""

    stream: Stream
    data: bytes


class Terminals:
    """Runs commands in containers."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = terminal_pb2_grpc.TerminalServiceStub(channel)

    @asynccontextmanager
    async def exec(
        self,
        app: str,
        command: Sequence[str] = (),
        *,
        service: str = "",
        pod: str = "",
        tty: bool = False,
        stdin: bool = False,
        size: tuple[int, int] | None = None,
    ) -> AsyncIterator[ExecSession]:
        """Run a command (a login shell when empty); leaving the block ends it.

        `size` is (rows, columns) of the terminal. Raises SkerryError, at the first read of output when
        the server refuses.
        """
        start = terminal_pb2.ExecStart(
            app=app, service=service, pod=pod, command=command, tty=tty, stdin=stdin
        )
        if size is not None:
            start.size.rows, start.size.columns = size
        call, request_id = self._calls.bidirectional(self._stub.Exec)
        session = ExecSession(self._calls, call, request_id)
        try:
            await session.send(terminal_pb2.ExecRequest(start=start))
            yield session
        finally:
            call.cancel()


class ExecSession:
    """A running command: its streams, its window and how it ended."""

    def __init__(
        self,
        calls: Calls,
        call: aio.StreamStreamCall[terminal_pb2.ExecRequest, terminal_pb2.ExecResponse],
        request_id: str,
    ) -> None:
        self._calls = calls
        self._call = call
        self._request_id = request_id
        self._writing = asyncio.Lock()
        self.started: terminal_pb2.ExecStarted | None = None
        """Where it runs, once it runs."""
        self.exit: terminal_pb2.ExecExit | None = None
        """How it ended, once `output` has ended."""

    async def output(self) -> AsyncGenerator[Output, None]:
        """What it prints, until it exits; then `exit` is set. Raises SkerryError."""
        try:
            while True:
                response = await self._call.read()
                if not isinstance(response, terminal_pb2.ExecResponse):  # aio.EOF
                    break
                match response.WhichOneof("message"):
                    case "stdout":
                        yield Output(Stream.STDOUT, response.stdout)
                    case "stderr":
                        yield Output(Stream.STDERR, response.stderr)
                    case "started":
                        self.started = response.started
                    case "exit":
                        self.exit = response.exit
                        return
                    case _:
                        pass
        except aio.AioRpcError as failure:
            raise await self._calls.translate(failure, self._request_id) from failure
        raise errors.Unavailable(
            "the session ended without an exit code; the command may still run"
        )

    async def write(self, data: bytes) -> None:
        """Give it input; waits while it does not read. Input after its end goes nowhere."""
        for start in range(0, len(data), MAX_STDIN_BYTES):
            piece = data[start : start + MAX_STDIN_BYTES]
            await self.send(terminal_pb2.ExecRequest(stdin=piece))

    async def close_stdin(self) -> None:
        """Say that there is no more input; its output goes on."""
        await self.send(terminal_pb2.ExecRequest(stdin_eof=True))

    async def resize(self, rows: int, columns: int) -> None:
        """Change the window of its terminal."""
        size = terminal_pb2.WindowSize(rows=rows, columns=columns)
        await self.send(terminal_pb2.ExecRequest(resize=size))

    async def send(self, request: terminal_pb2.ExecRequest) -> None:
        """Send one message; a call that has ended is reported by `output` and not here."""
        async with self._writing:
            try:
                await self._call.write(request)
            except (aio.AioRpcError, asyncio.InvalidStateError):
                return
