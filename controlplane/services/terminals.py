"""Commands in containers: one bidirectional call (native clients) or open, write, resize, close (grpc-web).

Called by `api/terminals`. Terminals live in this process: one that was opened here is not known to another replica.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from controlplane.domain.clock import Clock
from controlplane.domain.errors import InvalidField, TerminalGone
from controlplane.domain.ids import IdSource
from controlplane.domain.names import TerminalName
from controlplane.domain.terminals import ExecRequest, ExecStart, TerminalEvent, WindowSize
from controlplane.domain.tokens import Principal
from controlplane.services.ports import Agents, ExecSession
from controlplane.services.presence import Presence
from controlplane.services.targets import offline, target_of
from controlplane.services.terminal_session import TerminalSession
from controlplane.store.database import Store

INPUT_BYTES_MAX = 32 * 1024
_ARGUMENTS_MAX = 256
_COMMAND_BYTES_MAX = 32 * 1024
_SIDE_MAX = 10_000
_NAME_MAX = 253


class TerminalService:
    """Runs commands in containers."""

    def __init__(
        self, *, store: Store, clock: Clock, ids: IdSource, presence: Presence, agents: Agents
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._presence = presence
        self._agents = agents
        self._sessions: dict[str, TerminalSession] = {}

    async def exec(self, start: ExecStart) -> ExecSession:
        """Run a command; the caller reads and writes the session and closes it.

        Raises InvalidField, NotFound, AgentNeverJoined, AgentOffline; the session raises NoRunningPod and the like.
        """
        _check_start(start)
        target = await target_of(start.app, store=self._store, presence=self._presence)
        if not self._agents.is_connected(target.cluster_uid):
            raise offline(target.cluster)
        request = ExecRequest(
            namespace=target.namespace,
            app=start.app.app,
            service=start.service,
            pod=start.pod,
            command=start.command,
            tty=start.tty,
            stdin=start.stdin,
            size=start.size if start.tty else None,
        )
        return await self._agents.open_exec(target.cluster_uid, request)

    async def open_terminal(
        self, start: ExecStart, owner: Principal
    ) -> AsyncIterator[TerminalEvent | None]:
        """Run a command under a name: TerminalOpened, TerminalOutput…, ExecEnded; None is a heartbeat, at least every 20 s.

        Raises as `exec`. Leaving the iterator detaches; the command is ended 60 s later.
        """
        session = TerminalSession(
            self._ids.new(),
            owner.name,
            str(start.app),
            await self.exec(start),
            clock=self._clock,
            on_end=self._forget,
        )
        self._sessions[session.uid] = session
        async with aclosing(session.read(0)) as events:
            async for event in events:
                yield event

    async def attach_terminal(
        self, name: TerminalName, owner: Principal, *, output_offset: int
    ) -> AsyncIterator[TerminalEvent | None]:
        """Go on reading a terminal whose call broke, behind the output received; takes the place of a reader still there.

        What the ring no longer holds is missing: the first output then has a later offset. Raises TerminalGone, InvalidField.
        """
        if output_offset < 0:
            raise InvalidField.of("output_offset", "must not be negative")
        async with aclosing(self._session(name, owner).read(output_offset)) as events:
            async for event in events:
                yield event

    async def write_terminal(
        self,
        name: TerminalName,
        owner: Principal,
        *,
        input_offset: int,
        data: bytes,
        eof: bool = False,
    ) -> int:
        """Send input; what the session has already is skipped. Returns the input received so far, in bytes.

        Raises TerminalGone (unknown, ended, or another's), InvalidField (a hole before `input_offset`, over 32 KiB).
        """
        if len(data) > INPUT_BYTES_MAX:
            raise InvalidField.of(
                "data", f"has {len(data)} bytes; at most {INPUT_BYTES_MAX} are allowed"
            )
        return await self._session(name, owner).write(input_offset, data, eof=eof)

    async def resize_terminal(self, name: TerminalName, owner: Principal, size: WindowSize) -> None:
        """Change the window. Raises TerminalGone, InvalidField."""
        check_size(size)
        await self._session(name, owner).resize(size)

    async def close_terminal(self, name: TerminalName, owner: Principal) -> None:
        """End the command. Raises TerminalGone."""
        await self._session(name, owner).close()

    def app_of(self, uid: str) -> str | None:
        """The name of the app that a terminal is in; None for one that is not open."""
        session = self._sessions.get(uid)
        return None if session is None else session.app

    async def close(self) -> None:
        """End all terminals: the server stops."""
        await asyncio.gather(*(session.close() for session in list(self._sessions.values())))

    def _forget(self, uid: str) -> None:
        self._sessions.pop(uid, None)

    def _session(self, name: TerminalName, owner: Principal) -> TerminalSession:
        session = self._sessions.get(name.terminal)
        # Another's terminal is answered as one that is not there: who may not use it need not know that it is.
        if session is None or session.owner != owner.name:
            raise TerminalGone(f"{name} has ended or never was: open a new one")
        return session


def check_size(size: WindowSize, field: str = "size") -> None:
    """Raise InvalidField for a window that no terminal has."""
    if not (0 < size.rows <= _SIDE_MAX and 0 < size.columns <= _SIDE_MAX):
        raise InvalidField.of(field, f"rows and columns must be from 1 to {_SIDE_MAX}")


def _check_start(start: ExecStart) -> None:
    if start.tty and start.size is not None:
        check_size(start.size, "start.size")
    if len(start.command) > _ARGUMENTS_MAX:
        raise InvalidField.of("start.command", f"has more than {_ARGUMENTS_MAX} arguments")
    if sum(len(argument.encode()) for argument in start.command) > _COMMAND_BYTES_MAX:
        raise InvalidField.of("start.command", f"has more than {_COMMAND_BYTES_MAX} bytes")
    if any("\0" in argument for argument in start.command):
        raise InvalidField.of("start.command", "must have no NUL")
    if len(start.service) > _NAME_MAX or len(start.pod) > _NAME_MAX:
        raise InvalidField.of("start.service", "is too long for a name")
