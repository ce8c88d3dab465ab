"""The `exec` and `resume_exec` streams: a command's standard streams and its end, both ways at once.

stdin, stdout and stderr are Data on their channels; the control channel carries the window's size
and the end of input towards the command, where it runs and how it ended back. A session that the
control plane gave a name is kept while the link is away: see `exec_session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from skerry.agent.v1 import link_pb2, stream_pb2

from agent.handlers.errors import stream_error
from agent.handlers.exec_session import CommandSession, Sleep
from agent.kube import KubeClient, TerminalSize
from agent.kube.errors import KubeError
from agent.link.errors import StreamError
from agent.link.handlers import Stream
from agent.workloads.errors import INVALID_ARGUMENT, RESOURCE_EXHAUSTED, WorkloadError
from agent.workloads.terminal import ExecQuery, open_terminal

KEEP_SECONDS = 60.0
MAX_SESSIONS = 256
_NOT_FOUND = 5
_MAX_NAME = 64


class ExecHandler:
    """Commands by stream, and the named ones that wait for their next stream.

    `new_mark` gives an unguessable word for each command; `keep_seconds` is how long a cut may last.
    """

    def __init__(
        self,
        kube: KubeClient,
        new_mark: Callable[[], str],
        *,
        keep_seconds: float = KEEP_SECONDS,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._new_mark = new_mark
        self._keep_seconds = keep_seconds
        self._sleep = sleep
        self._sessions: dict[str, CommandSession] = {}

    async def __call__(self, opened: link_pb2.Open, stream: Stream) -> None:
        """Run a command, and carry it."""
        name = opened.exec.session
        if len(name) > _MAX_NAME or name in self._sessions:
            raise StreamError(INVALID_ARGUMENT, "INVALID_FIELD", "the session's name is in use")
        if len(self._sessions) >= MAX_SESSIONS:
            raise StreamError(
                RESOURCE_EXHAUSTED,
                "LINK_LIMIT_EXCEEDED",
                f"{MAX_SESSIONS} commands run in this cluster, which is the agent's limit; close some",
            )
        query = _query(opened.exec)
        try:
            terminal = await open_terminal(self._kube, query, self._new_mark)
        except (WorkloadError, KubeError) as error:
            raise stream_error(error) from error
        session = CommandSession(
            terminal,
            query,
            keep_seconds=self._keep_seconds if name else 0.0,
            sleep=self._sleep,
            on_end=lambda: self._forget(name),
        )
        if name:
            self._sessions[name] = session
        await session.carry(stream)

    async def resume(self, opened: link_pb2.Open, stream: Stream) -> None:
        """Carry a command on whose stream was cut."""
        session = self._sessions.get(opened.resume_exec.session)
        if session is None:
            raise StreamError(
                _NOT_FOUND,
                "TERMINAL_GONE",
                "the cluster's agent no longer has this session: it was restarted, or the link was away for "
                "too long; the command was ended, begin anew",
            )
        await session.carry(stream, opened.resume_exec.output_received)

    async def close(self) -> None:
        """End all commands: the agent stops."""
        await asyncio.gather(*(session.close() for session in list(self._sessions.values())))

    def _forget(self, name: str) -> None:
        self._sessions.pop(name, None)


def _query(message: stream_pb2.OpenExec) -> ExecQuery:
    size = TerminalSize(message.rows, message.columns) if message.rows and message.columns else None
    return ExecQuery(
        namespace=message.namespace,
        app=message.app,
        service=message.service,
        pod=message.pod,
        command=tuple(message.command),
        tty=message.tty,
        stdin=message.stdin,
        size=size,
    )
