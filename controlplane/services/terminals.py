"""Commands in containers: one bidirectional call (native clients) or open, write, resize, close (grpc-web).

Called by `api/terminals`. Terminals live in this process: one that was opened here is not known to another replica.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from controlplane.domain.access import Permission, covers, fixed_part
from controlplane.domain.clock import Clock
from controlplane.domain.errors import (
    InvalidField,
    PageTokenInvalid,
    SkerryError,
    TerminalGone,
    TerminalLimitExceeded,
)
from controlplane.domain.ids import IdSource, is_ulid
from controlplane.domain.names import TerminalName
from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.terminals import (
    ExecRequest,
    ExecStart,
    Terminal,
    TerminalEvent,
    TerminalLimits,
    WindowSize,
)
from controlplane.domain.tokens import Principal
from controlplane.services.ports import Agents, ExecSession
from controlplane.services.presence import Presence
from controlplane.services.targets import offline, target_of
from controlplane.services.terminal_session import Attachment, TerminalSession
from controlplane.store.database import Store

INPUT_BYTES_MAX = 32 * 1024
_ARGUMENTS_MAX = 256
_COMMAND_BYTES_MAX = 32 * 1024
_SIDE_MAX = 10_000
_NAME_MAX = 253


class TerminalService:
    """Runs commands in containers."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: IdSource,
        presence: Presence,
        agents: Agents,
        limits: TerminalLimits | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._presence = presence
        self._agents = agents
        self._limits = limits or TerminalLimits()
        self._sessions: dict[str, TerminalSession] = {}
        # Owner and cluster of terminals that are being opened: they count, too.
        self._opening: list[tuple[str, str]] = []

    async def exec(self, start: ExecStart) -> ExecSession:
        """Run a command; the caller reads and writes the session and closes it.

        Raises InvalidField, NotFound, AgentNeverJoined, AgentOffline; the session raises NoRunningPod and the like.
        """
        cluster_uid, request = await self._request(start)
        return await self._agents.open_exec(cluster_uid, request)

    async def keep(self, start: ExecStart, owner: Principal) -> Attachment:
        """Run a command under a name; the caller is its first client.

        Raises as `exec`, TerminalLimitExceeded, and InvalidField without a terminal.
        """
        if not start.tty:
            raise InvalidField.of("start.keep", "needs tty: only terminals are kept")
        return (await self._open(start, owner)).attach()

    async def attach(
        self,
        name: TerminalName,
        owner: Principal,
        *,
        from_offset: int | None = None,
        scrollback: int = 0,
        size: WindowSize | None = None,
    ) -> Attachment:
        """Go on with a terminal; takes the place of a client still there. Raises TerminalGone, InvalidField."""
        if size is not None:
            check_size(size, "attach.size")
        session = self._session(name, owner)
        attachment = session.attach(from_offset, scrollback=scrollback)
        if size is not None:
            try:
                await attachment.resize(size)
            except SkerryError:
                pass  # it has ended: the events say how
            except BaseException:
                attachment.leave()
                raise
        return attachment

    async def open_terminal(
        self, start: ExecStart, owner: Principal
    ) -> AsyncIterator[TerminalEvent | None]:
        """Run a command under a name: TerminalOpened, TerminalOutput…, ExecEnded; None is a heartbeat, at least every 20 s.

        Raises as `exec`, and TerminalLimitExceeded. Leaving the iterator detaches; the command is ended 60 s later.
        """
        session = await self._open(start, owner)
        async with aclosing(session.attach(0).events()) as events:
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
        async with aclosing(self._session(name, owner).attach(output_offset).events()) as events:
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

    def detach_terminal(self, name: TerminalName, owner: Principal) -> None:
        """Send the client away; the command runs on. Raises TerminalGone."""
        self._session(name, owner).detach()

    async def close_terminal(self, name: TerminalName, caller: Principal) -> None:
        """End the command: one's own, or in an environment that the caller manages. Raises TerminalGone."""
        session = self._sessions.get(name.terminal)
        if session is None or not (session.owner == caller.name or _manages(caller, session.app)):
            raise _gone(name)
        await session.close()

    def list_terminals(
        self, page: PageRequest, caller: Principal, *, parent: str = "", all_owners: bool = False
    ) -> Page[Terminal]:
        """Newest first. Raises PageTokenInvalid, InvalidField."""
        if page.token and not is_ulid(page.token):
            raise PageTokenInvalid("page_token is not from a page of terminals: ask for the first")
        found = [
            session
            for uid, session in sorted(self._sessions.items(), reverse=True)
            if (not page.token or uid < page.token)
            and covers(fixed_part(parent), session.app)
            and (session.owner == caller.name or (all_owners and _manages(caller, session.app)))
            and caller.grants.allows(Permission.CONTAINERS_EXEC, session.app)
        ]
        shown = found[: page.limit]
        return Page(
            tuple(one.view(with_command=one.owner == caller.name) for one in shown),
            shown[-1].uid if len(found) > len(shown) else "",
        )

    def app_of(self, uid: str) -> str | None:
        """The name of the app that a terminal is in; None for one that is not open."""
        session = self._sessions.get(uid)
        return None if session is None else session.app

    async def close(self) -> None:
        """End all terminals: the server stops."""
        await asyncio.gather(*(session.close() for session in list(self._sessions.values())))

    async def _open(self, start: ExecStart, owner: Principal) -> TerminalSession:
        cluster_uid, request = await self._request(start)
        self._check_limits(owner.name, cluster_uid)
        place = (owner.name, cluster_uid)
        self._opening.append(place)
        try:
            running = await self._agents.open_exec(cluster_uid, request)
        finally:
            self._opening.remove(place)
        session = TerminalSession(
            self._ids.new(),
            owner.name,
            str(start.app),
            running,
            clock=self._clock,
            on_end=self._forget,
            cluster_uid=cluster_uid,
            command=start.command,
            detached_seconds=self._limits.detached_seconds,
        )
        self._sessions[session.uid] = session
        return session

    def _check_limits(self, owner: str, cluster_uid: str) -> None:
        places = self._opening + [(s.owner, s.cluster_uid) for s in self._sessions.values()]
        if sum(one == owner for one, _ in places) >= self._limits.per_user:
            raise TerminalLimitExceeded(
                f"you have {self._limits.per_user} terminals open, which is the limit: "
                "`skerry terminal list` shows them, `skerry terminal close` ends one"
            )
        if sum(one == cluster_uid for _, one in places) >= self._limits.per_cluster:
            raise TerminalLimitExceeded(
                f"{self._limits.per_cluster} terminals are open in this cluster, which is the limit: close one"
            )

    async def _request(self, start: ExecStart) -> tuple[str, ExecRequest]:
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
        return target.cluster_uid, request

    def _forget(self, uid: str) -> None:
        self._sessions.pop(uid, None)

    def _session(self, name: TerminalName, owner: Principal) -> TerminalSession:
        session = self._sessions.get(name.terminal)
        # Another's terminal is answered as one that is not there: who may not use it need not know that it is.
        if session is None or session.owner != owner.name:
            raise _gone(name)
        return session


def _gone(name: TerminalName) -> TerminalGone:
    return TerminalGone(f"{name} has ended or never was: open a new one")


def _manages(caller: Principal, app: str) -> bool:
    return caller.grants.allows(Permission.ENVIRONMENTS_MANAGE, app)


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
