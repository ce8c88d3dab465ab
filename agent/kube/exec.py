"""Run a command in a container over a WebSocket, with terminal, resize and exit code.

Speaks `v5.channel.k8s.io`, which can end standard input, and falls back to v4 on old servers. The
library's own WebSocket client asks for v4 only. The first byte of each message is the channel: 0
stdin, 1 stdout, 2 stderr, 3 the end as a Status, 4 the window's size, 255 (v5) closes a channel.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import aiohttp

from agent.kube.connection import Connection, translated
from agent.kube.errors import ExecError

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
_STDIN = b"\x00"
_RESIZE = b"\x04"
_CLOSE_STDIN = b"\xff\x00"
_ERROR_CHANNEL = 3
_WRITE_LIMIT = 32 * 1024


class OutputChannel(IntEnum):
    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, slots=True)
class TerminalSize:
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command ended."""

    exit_code: int | None
    """None when the command could not be run at all."""
    message: str = ""
    """Why, when it was not the command's own exit."""

    @property
    def not_found(self) -> bool:
        """Whether the container has no such program."""
        return self.exit_code is None and (
            "executable file not found" in self.message or "no such file" in self.message
        )


class ExecSession:
    """A running command. Read `output()` to its end, then look at `result`; close it always."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, about: str) -> None:
        self._socket = socket
        self._about = about
        self._result: ExecResult | None = None

    @property
    def can_end_stdin(self) -> bool:
        """Whether `end_stdin` works; it does not on servers older than 1.29."""
        return self._socket.protocol == V5

    @property
    def result(self) -> ExecResult:
        """How it ended; known after `output()` is exhausted."""
        if self._result is None:
            return ExecResult(None, "the connection was cut before the command ended")
        return self._result

    async def output(self) -> AsyncGenerator[tuple[OutputChannel, bytes], None]:
        """What the command writes, as it comes. A terminal has no STDERR of its own."""
        with translated(self._about):
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                    continue
                channel, payload = message.data[0], message.data[1:]
                if channel == _ERROR_CHANNEL:
                    self._result = _result(payload)
                    return
                if payload and channel in (OutputChannel.STDOUT, OutputChannel.STDERR):
                    yield OutputChannel(channel), payload

    async def write(self, data: bytes) -> None:
        """To the command's standard input."""
        for start in range(0, len(data), _WRITE_LIMIT):
            await self._send(_STDIN + data[start : start + _WRITE_LIMIT])

    async def end_stdin(self) -> None:
        """No more input. Raises ExecError on a server that cannot say so."""
        if not self.can_end_stdin:
            raise ExecError(
                f"{self._about}: this Kubernetes version cannot end standard input; use 1.29 or newer"
            )
        await self._send(_CLOSE_STDIN)

    async def resize(self, size: TerminalSize) -> None:
        """The window changed."""
        await self._send(
            _RESIZE + json.dumps({"Width": size.columns, "Height": size.rows}).encode()
        )

    async def close(self) -> None:
        """Let go of the connection. What the container's runtime does to the command is its own
        choice: whoever must be sure kills it."""
        await self._socket.close()

    async def _send(self, message: bytes) -> None:
        if self._socket.closed:  # the command ended first; its result tells more
            return
        try:
            await self._socket.send_bytes(message)
        except (ConnectionError, aiohttp.ClientError):
            # Input for a command that has just ended is not an error of the session.
            return


async def open_exec(
    connection: Connection,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    tty: bool,
    stdin: bool,
    size: TerminalSize | None,
) -> ExecSession:
    """Start a command. Raises NotFoundError (no such pod), ForbiddenError, InvalidError and the
    other KubeErrors; a program that is not there is told by the session's result."""
    query = [
        ("container", container),
        *(("command", part) for part in command),
        ("stdin", str(stdin).lower()),
        ("stdout", "true"),
        ("stderr", str(not tty).lower()),
        ("tty", str(tty).lower()),
    ]
    about = f"run a command in {pod}/{container}"
    socket = await connection.websocket(
        f"/api/v1/namespaces/{namespace}/pods/{pod}/exec",
        about=about,
        query=query,
        protocols=(V5, V4),
    )
    session = ExecSession(socket, about)
    if tty and size is not None:
        await session.resize(size)
    return session


def _result(payload: bytes) -> ExecResult:
    """From the Status on the error channel."""
    try:
        status: dict[str, Any] = json.loads(payload)
    except ValueError:
        return ExecResult(None, payload.decode("utf-8", "replace"))
    if status.get("status") == "Success":
        return ExecResult(0)
    message = str(status.get("message", ""))
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return ExecResult(int(cause["message"]))
    return ExecResult(None, message)
