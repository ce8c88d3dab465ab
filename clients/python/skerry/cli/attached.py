"""Tying this terminal to a command's: raw mode, the window, keys, detaching. Used by `exec` and `terminal`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager
from typing import Protocol

from skerry import names
from skerry.cli.detach_keys import DetachKeys
from skerry.cli.exit_codes import CliError
from skerry.cli.run import Run
from skerry.cli.terminal import Input, on_resize, raw_mode, window_size, write_all
from skerry.platform.v1 import terminal_pb2
from skerry.services.terminals import Detached, KeptTerminal


class Resizable(Protocol):
    """A command with a window."""

    async def resize(self, rows: int, columns: int) -> None: ...


@asynccontextmanager
async def carried(
    session: Resizable, in_: int, *, tty: bool, raw: bool
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """While the block runs the window follows and the terminal is raw; the tasks put into the list are ended with it."""
    sending: list[asyncio.Task[None]] = []

    def resize() -> None:
        size = window_size(in_)
        if size is not None:
            sending.append(asyncio.create_task(session.resize(*size), name="exec-resize"))

    with ExitStack() as restored:
        if raw:
            restored.enter_context(raw_mode(in_))
        if tty:
            restored.enter_context(on_resize(resize))
        try:
            yield sending
        finally:
            for task in sending:
                task.cancel()
            if sending:
                await asyncio.wait(sending)
    for task in sending:
        if not task.cancelled():
            task.result()


async def attached(
    run: Run, terminal: KeptTerminal, keys: DetachKeys, in_: int, out: int, err: int
) -> int:
    """Be a client of the terminal until the command ends, the keys are typed, or another client comes; the exit code."""
    async with carried(terminal, in_, tty=True, raw=True) as sending:
        sending.append(
            asyncio.create_task(_type(terminal, Input(in_), keys), name="terminal-stdin")
        )
        async with aclosing(terminal.output()) as pieces:
            async for piece in pieces:
                write_all(out, piece.data)
    if terminal.detached is None:
        return exit_code(terminal.exit, err)
    short = names.last(terminal.name)
    reason = "Detached" if terminal.detached is Detached.REQUESTED else "Another client attached"
    run.out.say(f"{reason}: `skerry terminal attach {short}` goes on")
    return 0


async def _type(terminal: KeptTerminal, source: Input, keys: DetachKeys) -> None:
    while data := await source.read():
        typed, leave = keys.feed(data)
        if typed:
            await terminal.write(typed)
        if leave and terminal.name:
            await terminal.detach()
            return
    await terminal.close_stdin()


def exit_code(end: terminal_pb2.ExecExit | None, err: int) -> int:
    """The command's exit code; why it ended goes to `err`. Raises CliError when nobody knows."""
    if end is None:
        raise CliError("the command ended without an exit code")
    if end.message:
        write_all(err, f"{end.message}\n".encode())
    return end.code
