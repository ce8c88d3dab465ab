"""One terminal that outlives the calls that use it: the agent's session, the last of its output, and how much input came.

Output goes through a ring of 256 KiB. What nobody has read yet is not thrown away while a reader is there or may come back after a cut: the
ring stops reading the session instead, and the command waits as it would for a slow terminal. A terminal that was left on purpose runs on, and
keeps the newest. What was read stays in the ring as long as there is room: it is the scrollback of whoever attaches. Used by
`services/terminals.py`; decisions 036 and 121.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from controlplane.domain.clock import Clock
from controlplane.domain.errors import InvalidField, SkerryError, TerminalGone
from controlplane.domain.terminals import (
    DetachReason,
    ExecEnded,
    ExecLost,
    ExecOutput,
    ExecRunning,
    Terminal,
    TerminalDetached,
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
# Input after which the client is told how much came, so that it can forget it.
_ACKNOWLEDGED_BYTES = 16 * 1024
DETACH_GRACE_SECONDS = 60.0


class Attachment:
    """One client's part in a terminal: ends when the client leaves, when another takes its place, and with the command."""

    def __init__(self, session: "TerminalSession", number: int, offset: int) -> None:
        self._session = session
        self._number = number
        self._offset = offset

    @property
    def input_received(self) -> int:
        """The input that the terminal has, in bytes."""
        return self._session.received

    def events(self) -> AsyncGenerator[TerminalEvent | None, None]:
        """TerminalOpened, TerminalOutput…, then ExecEnded or TerminalDetached; None is a heartbeat. Leaving is `leave`.

        Raises what the agent's session ended with.
        """
        return self._session.events(self._number, self._offset)

    async def write(self, data: bytes) -> None:
        """Pass input on; what comes after this client's part has ended goes nowhere."""
        if self._session.is_attached(self._number):
            await self._session.write(self._session.received, data, eof=False)

    async def resize(self, size: WindowSize) -> None:
        """Change the window, as `write`."""
        if self._session.is_attached(self._number):
            await self._session.resize(size)

    def leave(self) -> None:
        """This client is gone; harmless when another came. The command is ended 60 s later when nobody does."""
        self._session.leave(self._number)


class TerminalSession:
    """A command, its output so far, and at most one client at a time; a newer one takes the place of an older one.

    `detached_seconds` is how long it runs on without a client after `detach`.
    """

    def __init__(
        self,
        uid: str,
        owner: str,
        app: str,
        session: ExecSession,
        *,
        clock: Clock,
        on_end: Callable[[str], None],
        cluster_uid: str = "",
        command: tuple[str, ...] = (),
        detached_seconds: float = DETACH_GRACE_SECONDS,
    ) -> None:
        self.uid = uid
        self.owner = owner
        self.app = app
        self.cluster_uid = cluster_uid
        self.received = 0
        """Input that came, in bytes."""
        self._command = command
        self._create_time = clock.now()
        self._session = session
        self._clock = clock
        self._on_end = on_end
        self._detached_seconds = detached_seconds
        self._ring = bytearray()
        self._ring_start = 0
        self._read_up_to = 0
        self._running: ExecRunning | None = None
        self._ended: ExecEnded | None = None
        self._failed: SkerryError | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._client = 0
        self._attached = False
        self._kept_running = False
        self._left_because = DetachReason.TAKEN
        self._left_time: datetime | None = None
        self._expire_time: datetime | None = None
        self._input = asyncio.Lock()
        self._sending: asyncio.Task[None] | None = None
        self._acknowledged = 0
        self._input_ended = False
        self._pump = asyncio.create_task(self._pump_output(), name=f"terminal-{uid}-output")
        self._timer: asyncio.Task[None] | None = None

    def view(self, *, with_command: bool) -> Terminal:
        """What lists show."""
        running = self._running
        return Terminal(
            uid=self.uid,
            app=self.app,
            owner=self.owner,
            pod=running.pod if running else "",
            container=running.container if running else "",
            command=self._command if with_command else (),
            create_time=self._create_time,
            attached=self._attached,
            detach_time=None if self._attached else self._left_time,
            expire_time=None if self._attached else self._expire_time,
            output_bytes=self._ring_start + len(self._ring),
        )

    # Clients

    def attach(self, offset: int | None = None, *, scrollback: int = 0) -> Attachment:
        """Make a client the only one. Output goes on at `offset`, or with the last `scrollback` bytes (0: all that is kept)."""
        self._client += 1
        self._attached = True
        self._kept_running = False
        self._left_because = DetachReason.TAKEN
        self._stop_timer()
        self._news.set()  # an older client notices and leaves
        if offset is None:
            end = self._ring_start + len(self._ring)
            offset = max(self._ring_start, end - scrollback) if scrollback else self._ring_start
        return Attachment(self, self._client, offset)

    def is_attached(self, number: int) -> bool:
        """Whether that client is the one."""
        return self._attached and number == self._client

    def leave(self, number: int) -> None:
        """A client is gone: the grace period begins if it was the one."""
        if self.is_attached(number):
            self._attached = False
            self._news.set()
            self._start_timer(DETACH_GRACE_SECONDS)

    def detach(self) -> None:
        """Send the client away and run on without one. Raises TerminalGone."""
        self._check_running()
        self._client += 1
        self._attached = False
        self._kept_running = True
        self._left_because = DetachReason.REQUESTED
        self._news.set()
        self._room.set()
        self._start_timer(self._detached_seconds)

    async def events(self, number: int, offset: int) -> AsyncGenerator[TerminalEvent | None, None]:
        """What `Attachment.events` gives."""
        opened = False
        try:
            while self.is_attached(number):
                self._news.clear()
                if self._running is not None and not opened:
                    opened = True
                    yield TerminalOpened(self.uid, self._running.pod, self._running.container)
                while self.is_attached(number) and (piece := self._piece(offset)) is not None:
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
                self._acknowledged = self.received
                if (
                    not await flagged(self._news, self._clock, HEARTBEAT_SECONDS)
                    or self.received - self._acknowledged >= _ACKNOWLEDGED_BYTES
                ):
                    yield None
            if number != self._client:
                yield TerminalDetached(self._left_because)
        finally:
            self.leave(number)

    # Input

    async def write(self, input_offset: int, data: bytes, *, eof: bool) -> int:
        """Pass input on that is not there yet; the input received so far, in bytes.

        Raises TerminalGone when the command has ended, InvalidField when there is a hole before `input_offset`.
        """
        async with self._input:
            await self._sent()
            self._check_running()
            if input_offset > self.received:
                raise InvalidField.of(
                    "input_offset",
                    f"is {input_offset}, but only {self.received} bytes came before: send those first",
                )
            fresh = data[self.received - input_offset :]
            if fresh or (eof and not self._input_ended):
                # Counted now and sent by a task of its own: a call that breaks here must not lose half of it.
                self.received += len(fresh)
                self._sending = asyncio.create_task(
                    self._send(fresh, eof and not self._input_ended),
                    name=f"terminal-{self.uid}-input",
                )
                self._input_ended = self._input_ended or eof
                await self._sent()
                if self.received - self._acknowledged >= _ACKNOWLEDGED_BYTES:
                    self._news.set()
            return self.received

    async def resize(self, size: WindowSize) -> None:
        """Change the window. Raises TerminalGone."""
        self._check_running()
        await self._session.resize(size)

    async def _send(self, data: bytes, eof: bool) -> None:
        if data:
            await self._session.send_stdin(data)
        if eof:
            await self._session.close_stdin()

    async def _sent(self) -> None:
        if self._sending is not None:
            await asyncio.shield(self._sending)

    # The end

    async def close(self) -> None:
        """End the command and all tasks."""
        self._stop_timer()
        tasks = [task for task in (self._pump, self._sending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(SkerryError):
            await self._session.close()
        if self._ended is None and self._failed is None:
            self._ended = ExecEnded(137, "the terminal was closed")
        self._news.set()
        self._on_end(self.uid)

    def _check_running(self) -> None:
        if self._ended is not None or self._failed is not None:
            raise TerminalGone("the terminal's command has ended")

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._left_time = self._clock.now()
        self._expire_time = self._left_time + timedelta(seconds=seconds)
        self._timer = asyncio.create_task(
            self._end_later(seconds), name=f"terminal-{self.uid}-timer"
        )

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer is not asyncio.current_task():
            self._timer.cancel()
        self._timer = None

    async def _end_later(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        _log.info("terminal_abandoned", terminal=self.uid)
        await self.close()

    # Output

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
                if self._kept_running or self._read_up_to - self._ring_start >= surplus:
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
