"""Detached processes: started once, found again by pid file, stopped without hitting anybody else.

A pid alone is not enough, for pids are reused, also after a reboot. The pid file therefore keeps the
kernel's start time of the process and the boot it belongs to; only a process matching all three is
ours. `programs` describes what to run; `up`, `down` and `status` use this module.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOG_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Program:
    """One long-running program: a name (also of its log) and how it is started."""

    name: str
    argv: tuple[str, ...]
    version: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    # Whatever else decides whether a running one is still right, such as its config file's text.
    config: str = ""
    nice: int = 0

    @property
    def digest(self) -> str:
        parts = json.dumps([self.argv, sorted(self.env.items()), self.config])
        return hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started by us and is alive."""

    pid: int
    since: float
    digest: str
    version: str


class Processes:
    """The detached processes of one state folder."""

    def __init__(self, pids: Path, logs: Path) -> None:
        self._pids = pids
        self._logs = logs

    def start(self, program: Program) -> int:
        """Start the program unless it runs in exactly this form; return its pid."""
        running = self.find(program.name)
        if running is not None:
            if running.digest == program.digest:
                return running.pid
            self.stop(program.name)
        self._pids.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        # Not subprocess: its objects want to be waited for, and this child outlives us on purpose.
        nice = ("nice", "-n", str(program.nice)) if program.nice else ()
        argv = (*nice, *program.argv)
        with self._open_log(program.name) as log:
            pid = os.posix_spawnp(
                argv[0],
                argv,
                {**os.environ, **program.env},
                setsid=True,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
            )
        self._record(program, pid)
        return pid

    def find(self, name: str) -> Running | None:
        """The live process of that name, or None."""
        try:
            record = json.loads((self._pids / f"{name}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if record["boot"] != _boot_id() or _start_ticks(record["pid"]) != record["start_ticks"]:
            return None
        return Running(record["pid"], record["since"], record["digest"], record["version"])

    def names(self) -> list[str]:
        """Names of all programs ever started here, alive or not."""
        return sorted(path.stem for path in self._pids.glob("*.json"))

    def pids(self) -> set[int]:
        """Pids of everything of ours that is alive."""
        found = (self.find(name) for name in self.names())
        return {running.pid for running in found if running is not None}

    def stop(self, name: str, timeout: float = 15.0) -> bool:
        """End the process: politely, then by SIGKILL after `timeout` seconds. False: it was not running."""
        running = self.find(name)
        if running is not None:
            end(running.pid, timeout)
        (self._pids / f"{name}.json").unlink(missing_ok=True)
        return running is not None

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _open_log(self, name: str) -> _Log:
        path = self.log(name)
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return _Log(path)

    def _record(self, program: Program, pid: int) -> None:
        record = {
            "pid": pid,
            "start_ticks": _start_ticks(pid),
            "boot": _boot_id(),
            "since": time.time(),
            "digest": program.digest,
            "version": program.version,
        }
        temporary = self._pids / f".{program.name}.tmp"
        temporary.write_text(json.dumps(record))
        temporary.replace(self._pids / f"{program.name}.json")


class _Log(contextlib.AbstractContextManager[int]):
    """An append-only file descriptor for a child's output."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def end(pid: int, timeout: float) -> None:
    """SIGTERM, wait up to `timeout` seconds, SIGKILL. The pidfd makes sure that it is one process throughout."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for sign, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, sign)
            if select.select([handle], [], [], patience)[0]:
                break
    finally:
        os.close(handle)
    with contextlib.suppress(
        ChildProcessError
    ):  # only ours to reap if this very command started it
        os.waitpid(pid, 0)


def _start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
