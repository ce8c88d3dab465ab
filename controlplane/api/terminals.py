"""TerminalService at the border."""

import asyncio
from collections.abc import AsyncIterator

from skerry.platform.v1 import terminal_pb2, terminal_pb2_grpc

from controlplane.api import caller, streams
from controlplane.api.convert import terminals as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.errors import InvalidField, SkerryError
from controlplane.domain.names import TerminalName
from controlplane.services.ports import ExecSession
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
        session = await self._terminals.exec(convert.exec_start(first.start))
        feed = _Input(request_iterator, session)
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


class _Input:
    """Carries what the client sends to the command, until either ends."""

    def __init__(
        self, requests: AsyncIterator[terminal_pb2.ExecRequest], session: ExecSession
    ) -> None:
        self.over = False
        self._requests = requests
        self._session = session
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
                await self._session.close_stdin()
        except Exception as error:
            # After the end of the call, whatever fails fails because of the end.
            if not self.over:
                self._error = error
                await self._session.close()

    async def _pass_on(self, request: terminal_pb2.ExecRequest) -> None:
        match request.WhichOneof("message"):
            case "stdin":
                if len(request.stdin) > MAX_STDIN_BYTES:
                    raise InvalidField.of("stdin", "is larger than 32 KiB: send it in pieces")
                await self._session.send_stdin(request.stdin)
            case "stdin_eof":
                await self._session.close_stdin()
            case "resize":
                await self._session.resize(convert.window_size(request.resize, "resize"))
            case "start":
                raise InvalidField.of("start", "came a second time: one call runs one command")
            case None:
                # A kind of message from a newer client, or none: nothing that this server could do.
                pass
