"""TerminalService at the border."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol

from skerry.platform.v1 import terminal_pb2, terminal_pb2_grpc

from controlplane.api import caller, streams
from controlplane.api.convert import common
from controlplane.api.convert import terminals as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.errors import InvalidField, SkerryError, TerminalGone
from controlplane.domain.names import TerminalName
from controlplane.domain.terminals import TerminalEvent, WindowSize
from controlplane.services.ports import ExecSession
from controlplane.services.terminal_session import Attachment
from controlplane.services.terminals import TerminalService

MAX_STDIN_BYTES = 32 * 1024


class TerminalServicer(terminal_pb2_grpc.TerminalServiceServicer):
    """Commands in containers."""

    def __init__(self, terminals: TerminalService) -> None:
        self._terminals = terminals
        self._inputs: set[asyncio.Task[None]] = set()

    async def Exec(
        self, request_iterator: AsyncIterator[terminal_pb2.ExecRequest], _context: Context
    ) -> AsyncIterator[terminal_pb2.ExecResponse]:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "start":
            raise InvalidField.of("start", "must come first: it says what to run")
        if first.start.keep:
            attachment = await self._terminals.keep(
                convert.exec_start(first.start), caller.principal()
            )
            async for kept in self._attached(attachment, request_iterator):
                yield convert.kept_exec_event(kept, attachment.input_received)
            return
        session = await self._terminals.exec(convert.exec_start(first.start))
        feed = _Input(request_iterator, _ToSession(session))
        task = asyncio.create_task(feed.run(), name="exec-input")
        # The task ends by itself when the call does, a moment after this generator: keep it until then. It is not cancelled,
        # because that would cancel a pending read of gRPC, which leaks (https://github.com/grpc/grpc/issues/43360).
        self._inputs.add(task)
        task.add_done_callback(self._inputs.discard)
        try:
            while (event := await session.receive()) is not None:
                yield convert.exec_event(event)
            feed.check()
        except SkerryError:
            # The input's error ended the session, and says more than that the session was ended.
            feed.check()
            raise
        finally:
            feed.over = True
            await session.close()

    async def AttachTerminal(
        self,
        request_iterator: AsyncIterator[terminal_pb2.AttachTerminalRequest],
        _context: Context,
    ) -> AsyncIterator[terminal_pb2.AttachTerminalResponse]:
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "attach":
            raise InvalidField.of("attach", "must come first: it says which terminal")
        wanted = first.attach
        attachment = await self._terminals.attach(
            TerminalName.parse(wanted.terminal, "attach.terminal"),
            caller.principal(),
            from_offset=wanted.from_offset if wanted.HasField("from_offset") else None,
            scrollback=wanted.scrollback_bytes,
            size=convert.window_size(wanted.size, "attach.size")
            if wanted.HasField("size")
            else None,
        )
        async for event in self._attached(attachment, request_iterator):
            yield convert.attach_event(event, attachment.input_received)

    async def _attached(
        self, attachment: Attachment, requests: AsyncIterator[Any]
    ) -> AsyncGenerator[TerminalEvent | None, None]:
        """Carry one client of a kept terminal until its part is over."""
        feed = _Input(requests, _ToTerminal(attachment))
        task = asyncio.create_task(feed.run(), name="terminal-input")
        self._inputs.add(task)
        task.add_done_callback(self._inputs.discard)
        try:
            async with aclosing(attachment.events()) as events:
                async for event in events:
                    yield event
            feed.check()
        finally:
            feed.over = True
            attachment.leave()

    def OpenTerminal(
        self, request: terminal_pb2.OpenTerminalRequest, _context: Context
    ) -> AsyncIterator[terminal_pb2.OpenTerminalResponse]:
        owner = caller.principal()
        if request.terminal:
            if request.HasField("start"):
                raise InvalidField.of("start", "must be unset with terminal")
            events = self._terminals.attach_terminal(
                TerminalName.parse(request.terminal), owner, output_offset=request.output_offset
            )
        else:
            events = self._terminals.open_terminal(convert.exec_start(request.start), owner)
        return streams.converted(events, convert.terminal_event)

    async def WriteTerminal(
        self, request: terminal_pb2.WriteTerminalRequest, _context: Context
    ) -> terminal_pb2.WriteTerminalResponse:
        received = await self._terminals.write_terminal(
            TerminalName.parse(request.terminal),
            caller.principal(),
            input_offset=request.input_offset,
            data=request.data,
            eof=request.eof,
        )
        return terminal_pb2.WriteTerminalResponse(received=received)

    async def ResizeTerminal(
        self, request: terminal_pb2.ResizeTerminalRequest, _context: Context
    ) -> terminal_pb2.ResizeTerminalResponse:
        await self._terminals.resize_terminal(
            TerminalName.parse(request.terminal),
            caller.principal(),
            convert.window_size(request.size, "size"),
        )
        return terminal_pb2.ResizeTerminalResponse()

    async def CloseTerminal(
        self, request: terminal_pb2.CloseTerminalRequest, _context: Context
    ) -> terminal_pb2.CloseTerminalResponse:
        await self._terminals.close_terminal(
            TerminalName.parse(request.terminal), caller.principal()
        )
        return terminal_pb2.CloseTerminalResponse()

    async def DetachTerminal(
        self, request: terminal_pb2.DetachTerminalRequest, _context: Context
    ) -> terminal_pb2.DetachTerminalResponse:
        self._terminals.detach_terminal(TerminalName.parse(request.terminal), caller.principal())
        return terminal_pb2.DetachTerminalResponse()

    async def ListTerminals(
        self, request: terminal_pb2.ListTerminalsRequest, _context: Context
    ) -> terminal_pb2.ListTerminalsResponse:
        page = self._terminals.list_terminals(
            common.page_request(request),
            caller.principal(),
            parent=request.parent,
            all_owners=request.all_owners,
        )
        return terminal_pb2.ListTerminalsResponse(
            terminals=[convert.terminal(item) for item in page.items],
            next_page_token=page.next_token,
        )


class _Taker(Protocol):
    """Where input goes."""

    async def write(self, data: bytes) -> None: ...
    async def resize(self, size: WindowSize) -> None: ...
    async def end(self) -> None:
        """The client says that its input has ended."""
        ...

    async def give_up(self) -> None:
        """The input was wrong: end what the client reads."""
        ...


class _ToSession:
    """Input of a command that ends with its call."""

    def __init__(self, session: ExecSession) -> None:
        self._session = session

    async def write(self, data: bytes) -> None:
        await self._session.send_stdin(data)

    async def resize(self, size: WindowSize) -> None:
        await self._session.resize(size)

    async def end(self) -> None:
        await self._session.close_stdin()

    async def give_up(self) -> None:
        await self._session.close()


class _ToTerminal:
    """Input of a client of a kept terminal, which goes on without it."""

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    async def write(self, data: bytes) -> None:
        await self._attachment.write(data)

    async def resize(self, size: WindowSize) -> None:
        await self._attachment.resize(size)

    async def end(self) -> None:
        """A terminal has no end of input; a client that stops typing goes on reading."""

    async def give_up(self) -> None:
        self._attachment.leave()


class _Input:
    """Carries what the client sends to the command, until either ends."""

    def __init__(self, requests: AsyncIterator[Any], taker: _Taker) -> None:
        self.over = False
        self._requests = requests
        self._taker = taker
        self._error: Exception | None = None

    def check(self) -> None:
        """Raises what was wrong with the input."""
        if self._error is not None:
            raise self._error

    async def run(self) -> None:
        """An error ends the session, whose reader then finds it with `check`."""
        try:
            async for request in self._requests:
                await self._pass_on(request)
            if not self.over:
                await self._taker.end()
        except TerminalGone:
            pass  # the command has ended: the output says how
        except Exception as error:
            # After the end of the call, whatever fails fails because of the end.
            if not self.over:
                self._error = error
                await self._taker.give_up()

    async def _pass_on(self, request: Any) -> None:
        match request.WhichOneof("message"):
            case "stdin":
                if len(request.stdin) > MAX_STDIN_BYTES:
                    raise InvalidField.of("stdin", "is larger than 32 KiB: send it in pieces")
                await self._taker.write(request.stdin)
            case "stdin_eof":
                await self._taker.end()
            case "resize":
                await self._taker.resize(convert.window_size(request.resize, "resize"))
            case "start" | "attach" as first:
                raise InvalidField.of(first, "came a second time: one call runs one command")
            case _:
                # A kind of message from a newer client, or none: nothing that this server could do.
                pass
