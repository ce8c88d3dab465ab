"""This side's terminal during an exec: raw mode and back, its size, and standard input as it comes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

READ_BYTES = 16 << 10


def window_size(descriptor: int) -> tuple[int, int] | None:
    """(rows, columns), or None when the descriptor is no terminal."""
    try:
        packed = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return None
    rows, columns, _, _ = struct.unpack("HHHH", packed)
    return (rows, columns) if rows and columns else None


@contextmanager
def raw_mode(descriptor: int) -> Iterator[None]:
    """Every key goes to the command, Ctrl-C included; the terminal is put back on every way out.

    A stopped and continued process finds its terminal reset by the shell: SIGCONT sets it again.
    """
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def enter() -> None:
        tty.setraw(descriptor, termios.TCSADRAIN)

    loop.add_signal_handler(signal.SIGCONT, enter)
    try:
        enter()
        yield
    finally:
        loop.remove_signal_handler(signal.SIGCONT)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def on_resize(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` whenever the window changes."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, tell)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


class Input:
    """Standard input, read when there is something: the descriptor stays blocking, for it is shared with
    the shell, which would be surprised by O_NONBLOCK."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""
        ready = self._loop.create_future()
        try:
            self._loop.add_reader(self._descriptor, _settle, ready)
        except PermissionError:
            # A regular file or /dev/null: epoll refuses it, and reading it does not wait.
            return await asyncio.to_thread(os.read, self._descriptor, READ_BYTES)
        try:
            await ready
        finally:
            self._loop.remove_reader(self._descriptor)
        try:
            return os.read(self._descriptor, READ_BYTES)
        except OSError:
            return b""  # EIO: the terminal is gone.


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises BrokenPipeError when nobody reads any more."""
    view = memoryview(data)
    while view:
        with suppress(InterruptedError):
            view = view[os.write(descriptor, view) :]


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
