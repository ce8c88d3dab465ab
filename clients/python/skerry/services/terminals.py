"""Commands in an app's containers: `Client.terminals`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from grpc import aio

from skerry import errors, paging
from skerry.calls import Calls
from skerry.platform.v1 import terminal_pb2, terminal_pb2_grpc
from skerry.services.kept_terminals import (
    MAX_STDIN_BYTES,
    Detached,
    KeptTerminal,
    Output,
    Stream,
)

__all__ = [
    "MAX_STDIN_BYTES",
    "Detached",
    "ExecSession",
    "KeptTerminal",
    "Output",
    "Stream",
    "Terminals",
]


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

    @asynccontextmanager
    async def open(
        self,
        app: str,
        command: Sequence[str] = (),
        *,
        service: str = "",
        pod: str = "",
        size: tuple[int, int] | None = None,
        on_cut: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[KeptTerminal]:
        """Run a command with a terminal that the server keeps: it survives a cut, and `detach`.

        Leaving the block without `detach` drops it; the server ends the command a minute later. Close it with `close` to end it
        at once.
        """
        start = terminal_pb2.ExecStart(
            app=app, service=service, pod=pod, command=command, tty=True, stdin=True, keep=True
        )
        if size is not None:
            start.size.rows, start.size.columns = size
        terminal = KeptTerminal(self._calls, self._stub, start=start, on_cut=on_cut)
        try:
            await terminal.begin()
            yield terminal
        finally:
            terminal.leave()

    @asynccontextmanager
    async def attach(
        self,
        name: str,
        *,
        scrollback: int = 0,
        size: tuple[int, int] | None = None,
        on_cut: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[KeptTerminal]:
        """Go on with a terminal, from this client or another: the last `scrollback` bytes first (0: all that is kept).

        A client that is attached is sent away.
        """
        attach = terminal_pb2.TerminalAttach(terminal=name, scrollback_bytes=scrollback)
        if size is not None:
            attach.size.rows, attach.size.columns = size
        terminal = KeptTerminal(self._calls, self._stub, attach=attach, on_cut=on_cut)
        try:
            await terminal.begin()
            yield terminal
        finally:
            terminal.leave()

    def list(
        self, parent: str = "", *, all_owners: bool = False, page_size: int = 0
    ) -> AsyncGenerator[terminal_pb2.Terminal, None]:
        """Your open terminals, newest first; with `all_owners` others' too, where you manage the environment."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListTerminals,
                terminal_pb2.ListTerminalsRequest(
                    parent=parent, all_owners=all_owners, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.terminals,
        )

    async def detach(self, name: str) -> None:
        """Send the client that is attached away; the command runs on."""
        request = terminal_pb2.DetachTerminalRequest(terminal=name)
        await self._calls.unary(self._stub.DetachTerminal, request)

    async def close(self, name: str) -> None:
        """End the command of a terminal."""
        request = terminal_pb2.CloseTerminalRequest(terminal=name)
        await self._calls.unary(self._stub.CloseTerminal, request, repeatable=False)


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
