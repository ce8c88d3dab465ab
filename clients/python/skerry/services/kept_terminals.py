"""A terminal that the server keeps: used like an exec session, and it goes on after a cut.

Made by `Terminals.open` and `Terminals.attach`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from grpc import aio

from skerry import errors
from skerry.calls import Calls, Watchdog, is_passing
from skerry.platform.v1 import terminal_pb2, terminal_pb2_grpc
from skerry.terminal_resume import TerminalPosition

MAX_STDIN_BYTES = 32 << 10
"""Most bytes of one stdin message (the contract's bound)."""
PATIENCE = 60.0
"""Seconds that a cut may last: the server keeps the terminal that long."""
SILENCE = 45.0
"""Seconds without a message after which the call is dead; heartbeats come every 20."""
_MOST_PENDING = 256 << 10


class Stream(Enum):
    """Where a piece of output was written to."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of output. With a terminal everything is STDOUT."""

    stream: Stream
    data: bytes


class Detached(Enum):
    """Why this client is no longer attached to a terminal that runs on."""

    REQUESTED = "requested"
    TAKEN = "taken"


class KeptTerminal:
    """One client's part in a terminal: `output` ends with `exit` or with `detached` set.

    A server that keeps no terminals yet gives a session that ends with its call; `name` is then empty.
    """

    def __init__(
        self,
        calls: Calls,
        stub: terminal_pb2_grpc.TerminalServiceAsyncStub,
        *,
        start: terminal_pb2.ExecStart | None = None,
        attach: terminal_pb2.TerminalAttach | None = None,
        patience: float = PATIENCE,
        on_cut: Callable[[], None] = lambda: None,
    ) -> None:
        self._calls = calls
        self._stub = stub
        self._start = start
        self._attach = attach
        self._patience = patience
        self._on_cut = on_cut
        self._position = TerminalPosition(received=None if start is None else 0)
        self._call: Any = None
        self._request_id = ""
        self._size: tuple[int, int] | None = None
        self._writing = asyncio.Lock()
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._over = False
        self._plain = False
        self.name = attach.terminal if attach is not None else ""
        """`terminals/{id}`, once it runs."""
        self.started: terminal_pb2.ExecStarted | None = None
        self.exit: terminal_pb2.ExecExit | None = None
        """How the command ended, once `output` has ended."""
        self.detached: Detached | None = None
        """Why this client's part has ended while the command runs on."""

    async def begin(self) -> None:
        """Make the first call. Errors come with `output`."""
        await self._dial()
        if self._start is not None:
            self._ready.set()

    async def output(self) -> AsyncGenerator[Output, None]:
        """What it prints. A cut of up to a minute is bridged; what was lost is said in the output. Raises SkerryError."""
        loop = asyncio.get_running_loop()
        cut_since: float | None = None
        failures = 0
        while True:
            watchdog = Watchdog(self._call.cancel, SILENCE if self.name else None)
            try:
                while True:
                    watchdog.feed()
                    response = await self._call.read()
                    if response is aio.EOF:
                        break
                    watchdog.pause()
                    cut_since, failures = None, 0
                    piece = await self._heard(response)
                    if piece is not None:
                        yield piece
                    if self.exit is not None or self.detached is not None:
                        self._over = True
                        self._room.set()
                        return
                error: errors.SkerryError = errors.Unavailable(
                    "the session ended without an exit code; the command may still run"
                )
            except aio.AioRpcError as failure:
                error = await self._calls.translate(failure, self._request_id)
                if not self.name or not is_passing(error):
                    self._over = True
                    raise error from failure
            except asyncio.CancelledError as cancelled:
                if not watchdog.bit:
                    raise
                error = errors.Unavailable("the server has been silent for too long")
                error.__cause__ = cancelled
            finally:
                watchdog.stop()
            if not self.name:
                self._over = True
                raise error
            if cut_since is None:
                cut_since = loop.time()
                self._on_cut()
            failures += 1
            if loop.time() - cut_since > self._patience:
                self._over = True
                raise error
            self._ready.clear()
            self._call.cancel()
            await self._calls.sleep(self._calls.backoff.delay(failures))
            await self._dial()

    async def write(self, data: bytes) -> None:
        """Give it input; waits while it does not read, and over a cut."""
        for start in range(0, len(data), MAX_STDIN_BYTES):
            piece = data[start : start + MAX_STDIN_BYTES]
            while self._position.pending + len(piece) > _MOST_PENDING and not self._over:
                self._room.clear()
                await self._room.wait()
            await self._ready.wait()
            async with self._writing:
                if not self._plain:
                    self._position.sent(piece)
                await self._send(self._request(stdin=piece))

    async def close_stdin(self) -> None:
        """A terminal has no end of input: the key that says so goes through it."""
        await self.write(b"\x04")

    async def resize(self, rows: int, columns: int) -> None:
        """Change the window."""
        self._size = (rows, columns)
        await self._ready.wait()
        async with self._writing:
            size = terminal_pb2.WindowSize(rows=rows, columns=columns)
            await self._send(self._request(resize=size))

    async def detach(self) -> None:
        """Leave it running; `output` ends."""
        request = terminal_pb2.DetachTerminalRequest(terminal=self.name)
        await self._calls.unary(self._stub.DetachTerminal, request)

    def leave(self) -> None:
        """Drop the call; the server ends the command after a minute, or at once when it is not kept."""
        self._over = True
        if self._call is not None:
            self._call.cancel()

    async def _dial(self) -> None:
        if not self.name and self._start is not None:
            self._call, self._request_id = self._calls.bidirectional(self._stub.Exec)
            await self._send(terminal_pb2.ExecRequest(start=self._start))
            return
        attach = terminal_pb2.TerminalAttach(terminal=self.name)
        if self._position.output is not None or self._attach is None:
            attach.from_offset = self._position.output or 0
        else:
            attach.CopyFrom(self._attach)
        if self._size is not None:
            attach.size.rows, attach.size.columns = self._size
        self._start = None
        self._call, self._request_id = self._calls.bidirectional(self._stub.AttachTerminal)
        await self._send(terminal_pb2.AttachTerminalRequest(attach=attach))

    async def _heard(self, response: Any) -> Output | None:
        kept = bool(self.name)
        match response.WhichOneof("message"):
            case "started":
                self.started = response.started
                self.name = response.started.terminal
                self._plain = not self.name
                if self._plain:  # an older server: what was sent is not counted
                    self._position = TerminalPosition(received=0)
                if not self._ready.is_set():
                    await self._go_on(response.input_received)
            case "output":
                data, lost = self._position.take(response.output.offset, response.output.data)
                if lost:
                    data = f"\r\n… {lost} bytes lost …\r\n".encode() + data
                self._acknowledged(response.input_received)
                return Output(Stream.STDOUT, data)
            case "stdout":
                return Output(Stream.STDOUT, response.stdout)
            case "stderr":
                return Output(Stream.STDERR, response.stderr)
            case "exit":
                self.exit = response.exit
            case "detached":
                requested = terminal_pb2.DETACH_REASON_REQUESTED
                self.detached = (
                    Detached.REQUESTED if response.detached.reason == requested else Detached.TAKEN
                )
            case _:
                pass
        if kept:
            self._acknowledged(response.input_received)
        return None

    async def _go_on(self, received: int) -> None:
        """The server says how much input it has: send the rest again, then what is new."""
        async with self._writing:
            self._position.acknowledge(received)
            again = self._position.again()
            for start in range(0, len(again), MAX_STDIN_BYTES):
                await self._send(self._request(stdin=again[start : start + MAX_STDIN_BYTES]))
            self._ready.set()
            self._room.set()

    def _acknowledged(self, received: int) -> None:
        self._position.acknowledge(received)
        self._room.set()

    def _request(self, **fields: Any) -> Any:
        kind = (
            terminal_pb2.ExecRequest
            if self._start is not None
            else terminal_pb2.AttachTerminalRequest
        )
        return kind(**fields)

    async def _send(self, request: Any) -> None:
        """Send one message; a call that has ended is found by `output` and not here."""
        try:
            await self._call.write(request)
        except (aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
