"""What a person sees while `up` works: finished lines, and on a terminal one line that moves.

Everything goes to standard error, so that standard output stays for results. Without a terminal each build
says how far it is every fifteen seconds in a line of its own.
"""

from __future__ import annotations

import shutil
import threading
import time
from typing import TextIO

from devcluster.builds import Progress

EVERY = 15.0
_CLEAR = "\r\x1b[K"


class Display:
    """Safe to use from several threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._running: dict[str, Progress] = {}
        self._said: dict[str, float] = {}
        self._started = time.monotonic()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            start = _CLEAR if self._terminal else ""
            self._stream.write(f"{start}[{self._elapsed()}] {text}\n")
            self._redraw()

    def progress(self, progress: Progress) -> None:
        """Show how far a build is."""
        with self._lock:
            if progress.state != "building":
                if self._running.pop(progress.name, None):
                    took = time.time() - progress.started
                    start = _CLEAR if self._terminal else ""
                    outcome = "built" if progress.state == "built" else "FAILED"
                    self._stream.write(
                        f"{start}[{self._elapsed()}] {progress.name}: {outcome} in {took:.0f} s\n"
                    )
                self._redraw()
                return
            self._running[progress.name] = progress
            if self._terminal:
                self._redraw()
            elif time.monotonic() - self._said.get(progress.name, 0.0) > EVERY:
                self._said[progress.name] = time.monotonic()
                self._stream.write(f"[{self._elapsed()}] building {describe(progress)}\n")
                self._stream.flush()

    def _redraw(self) -> None:
        if self._terminal:
            text = " · ".join(describe(progress) for progress in self._running.values())
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(_CLEAR + (f"building {text}"[:width] if text else ""))
        self._stream.flush()

    def _elapsed(self) -> str:
        return minutes(time.monotonic() - self._started)


def describe(progress: Progress) -> str:
    """One build in a few words: name, share done, time left."""
    left = progress.left(time.time())
    share = f" {min(99, 100 * progress.steps_done // progress.steps)} %" if progress.steps else ""
    return f"{progress.name}{share}, about {minutes(left)} left"


def minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
