"""One terminal that outlives the calls that use it: the agent's session, the last of its output, and how much input came.

Output goes through a ring of 256 KiB. What nobody has read yet is never thrown away: the ring stops reading the session
instead, and the command waits as it would for a slow terminal. What was read stays in the ring as long as there is room, so
that a reader whose call broke can ask for it again. Used by `services/terminals.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import structlog

from controlplane.domain.clock import Clock
from controlplane.domain.errors import InvalidField, SkerryError, TerminalGone
from controlplane.domain.terminals import (
    ExecEnded,
    ExecLost,
    ExecOutput,
    ExecRunning,
    TerminalEvent,
    TerminalOpened,
    TerminalOutput,
    WindowSize,
    loss_notice,
)
from controlplane.services.changes import flagged
from controlplane.services.ports import ExecSession
from controlplane.services.watching import HEARTBEAT_SECONDS

_log = structlog.get_logger(__name__)

RING_BYTES = 256 * 1024
# A piece of output in one message.
_PIECE_BYTES = 64 * 1024
DETACH_GRACE_SECONDS = 60.0


class TerminalSession:
    """A command, its output so far, and at most one reader at a time; a newer reader takes the place of an older one."""

    def __init__(
        self,
        uid: str,
        owner: str,
        app: str,
        session: ExecSession,
        *,
        clock: Clock,
        on_end: Callable[[str], None],
    ) -> None:
        self.uid = uid
        self.owner = owner
        self.app = app
        self._session = session
        self._clock = clock
        self._on_end = on_end
        self._ring = bytearray()
        self._ring_start = 0
        self._read_up_to = 0
        self._running: ExecRunning | None = None
        self._ended: ExecEnded | None = None
        self._failed: SkerryError | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._reader = 0
        self._input = asyncio.Lock()
        self._received = 0
        self._input_ended = False
        self._pump = asyncio.create_task(self._pump_output(), name=f"terminal-{uid}-output")
        self._grace: asyncio.Task[None] | None = None

    async def read(self, offset: int) -> AsyncGenerator[TerminalEvent | None, None]:
        """The terminal's events from an output offset on; None is a heartbeat. Leaving begins the grace period.

        Raises what the agent's session ended with.
        """
        self._reader += 1
        me = self._reader
        self._stop_grace()
        self._news.set()  # an older reader notices and leaves
        opened = False
        try:
            while me == self._reader:
                self._news.clear()
                if self._running is not None and not opened:
                    opened = True
                    yield TerminalOpened(self.uid, self._running.pod, self._running.container)
                while me == self._reader and (piece := self._piece(offset)) is not None:
                    offset = piece.offset + len(piece.data)
                    self._read_up_to = max(self._read_up_to, piece.offset)
                    yield piece
                    # Whoever asks for more has the piece before.
                    self._read_up_to = max(self._read_up_to, offset)
                    self._room.set()
                if self._failed is not None:
                    raise self._failed
                if self._ended is not None:
                    yield self._ended
                    return
                if not await flagged(self._news, self._clock, HEARTBEAT_SECONDS):
                    yield None
        finally:
            if me == self._reader:
                self._start_grace()

    async def write(self, input_offset: int, data: bytes, *, eof: bool) -> int:
        """Pass input on that is not there yet; the input received so far, in bytes.

        Raises TerminalGone when the command has ended, InvalidField when there is a hole before `input_offset`.
        """
        async with self._input:
            self._check_running()
            if input_offset > self._received:
                raise InvalidField.of(
                    "input_offset",
                    f"is {input_offset}, but only {self._received} bytes came before: send those first",
                )
            fresh = data[self._received - input_offset :]
            if fresh:
                await self._session.send_stdin(fresh)
                self._received += len(fresh)
            if eof and not self._input_ended:
                self._input_ended = True
                await self._session.close_stdin()
            return self._received

    async def resize(self, size: WindowSize) -> None:
        """Change the window. Raises TerminalGone."""
        self._check_running()
        await self._session.resize(size)

    async def close(self) -> None:
        """End the command and all tasks."""
        self._stop_grace()
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        with suppress(SkerryError):
            await self._session.close()
        if self._ended is None and self._failed is None:
            self._ended = ExecEnded(137, "the terminal was closed")
        self._news.set()
        self._on_end(self.uid)

    def _check_running(self) -> None:
        if self._ended is not None or self._failed is not None:
            raise TerminalGone("the terminal's command has ended")

    async def _pump_output(self) -> None:
        try:
            while (event := await self._session.receive()) is not None:
                if isinstance(event, ExecOutput):
                    await self._keep(event.data)
                elif isinstance(event, ExecLost):
                    await self._keep(loss_notice(event.bytes_lost))
                elif isinstance(event, ExecRunning):
                    self._running = event
                else:
                    self._ended = event
                self._news.set()
            if self._ended is None:
                self._ended = ExecEnded(255, "the agent did not say how the command ended")
        except SkerryError as error:
            self._failed = error
        self._news.set()

    async def _keep(self, data: bytes) -> None:
        """Put output into the ring, dropping what was read to make room, waiting for the reader when there is none."""
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            while True:
                self._room.clear()
                surplus = len(self._ring) + len(piece) - RING_BYTES
                if surplus <= 0:
                    break
                if self._read_up_to - self._ring_start >= surplus:
                    del self._ring[:surplus]
                    self._ring_start += surplus
                    break
                await self._room.wait()
            self._ring += piece
            self._news.set()

    def _piece(self, offset: int) -> TerminalOutput | None:
        """The next output at or behind an offset; later than asked for when the ring no longer has it."""
        offset = max(offset, self._ring_start)
        start = offset - self._ring_start
        if start >= len(self._ring):
            return None
        return TerminalOutput(offset, bytes(self._ring[start : start + _PIECE_BYTES]))

    def _start_grace(self) -> None:
        self._stop_grace()
        self._grace = asyncio.create_task(
            self._end_after_grace(), name=f"terminal-{self.uid}-grace"
        )

    def _stop_grace(self) -> None:
        if self._grace is not None and self._grace is not asyncio.current_task():
            self._grace.cancel()
        self._grace = None

    async def _end_after_grace(self) -> None:
        await self._clock.sleep(DETACH_GRACE_SECONDS)
        _log.info("terminal_abandoned", terminal=self.uid)
        await self.close()
