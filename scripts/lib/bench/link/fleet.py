"""Thousands of idle agents on one control plane: what one costs, and how soon all are back after a restart.

The control plane is the real program. The agents are the real `agent.link.Link`, each with a connection, an identity and a
journal of its own; only the cluster behind them is missing. They run in a few processes (`python -m bench.link.fleet_agents`).
Beside it: a bare grpc.aio server over TLS that holds as many streams and pings each as often.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import skerry

from bench.link.ends import cpu_seconds
from bench.results import Row
from bench.running import ROOT, NotRunning

_PROCESSES = 2
_ENROL_SECONDS = 900
_UP_SECONDS = 240
_DIALS_A_SECOND = 25  # of all processes, the first time
_SECONDS_A_DAY = 86400
_HEADER_BYTES = 52  # IPv4 and TCP with time stamps, for each segment


@dataclass(frozen=True, slots=True)
class _Back:
    """How the agents came back: shares from 0 to 1, and the seconds until all were, or until nobody waited any more."""

    share_in_a_minute: float
    share: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Idle:
    """What an idle fleet costs: share of a core in percent, KiB for each agent, bytes a day for each agent."""

    cpu_percent: float
    kibibytes: float
    bytes_a_day: float


def run(arguments: argparse.Namespace) -> tuple[Sequence[Row], Sequence[str]]:
    """Ours, then the bare server."""
    count = arguments.agents
    folder = Path(tempfile.mkdtemp(prefix="skerry-fleet-", dir="/dev/shm"))
    try:
        ours, back = _ours(folder, count, arguments.idle_seconds)
        theirs, raw_back = _bare(folder, count, arguments.idle_seconds)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)

    def row(what: str, unit: str, own: float, other: float, aim: str) -> Row:
        return Row(f"{count} idle agents: {what}", unit, (own,), (other,), False, aim)

    return (
        [
            row("CPU of the control plane", "% of a core", ours.cpu_percent, theirs.cpu_percent, "< 10"),
            row("memory each", "KiB", ours.kibibytes, theirs.kibibytes, "< 250"),
            row("on the network each, TCP and IP included", "bytes/day", ours.bytes_a_day, theirs.bytes_a_day, "< 5,000,000"),
            Row(
                f"{count} agents: back 60 s after SIGKILL and a start", "%",
                (100 * back.share_in_a_minute,), (100 * raw_back.share_in_a_minute,), True, "100",
            ),
            row("all back after SIGKILL and a start", "s", back.seconds, raw_back.seconds, "< 60"),
        ],
        [
            f"fleet: ours: {100 * back.share:.0f} % of the agents were back when the clock was stopped; bare: {100 * raw_back.share:.0f} %",
            f"fleet: {_PROCESSES} processes simulate the agents on the same machine, so connecting is shared between their CPU and the control plane's; "
            "beside a bare grpc.aio server over TLS with a ping each 10 s and a client that dials again after 0.5 s"
        ],
    )  # fmt: skip


# Ours


def _ours(folder: Path, count: int, idle_seconds: int) -> tuple[_Idle, _Back]:
    control_plane = _ControlPlane(folder)
    control_plane.start()
    try:
        asyncio.run(_enrol(control_plane, folder, count))
        control_plane.stop()
        control_plane.start()  # what enrolling left behind in memory is not what an agent costs
        empty = _resident(control_plane.pid)
        with _fleet("agents", folder, count, control_plane.agent_port) as states:
            _wait_for_all(states, count)
            idle = _watch(control_plane.pid, control_plane.agent_port, count, empty, idle_seconds)
            control_plane.kill()
            _seconds_until_none(states)
            begun = time.monotonic()
            control_plane.start()
            back = _watch_return(states, count, begun)
    finally:
        control_plane.kill()
    return idle, back


class _ControlPlane:
    """The real program, with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.api_port, self.agent_port, self._edge_port = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.agent_port}"

    @property
    def ca_file(self) -> Path:
        return self._folder / "controlplane" / "pki" / "ca.crt"

    @property
    def token(self) -> str:
        return (self._folder / "admin-token").read_text().strip()

    def start(self) -> None:
        data = self._folder / "controlplane"
        data.mkdir(mode=0o700, exist_ok=True)
        settings = {
            "DATA_DIR": str(data),
            "ADMIN_TOKEN_FILE": str(self._folder / "admin-token"),
            "API_LISTEN": f"127.0.0.1:{self.api_port}",
            "AGENT_LISTEN": self.address,
            "EDGE_LISTEN": f"127.0.0.1:{self._edge_port}",
            "AGENT_ADVERTISE_ADDRESS": self.address,
            "LOG_LEVEL": "warning",
        }
        environment = {f"SKERRY_CONTROLPLANE_{name}": value for name, value in settings.items()}
        with (self._folder / "controlplane.log").open("ab") as log:
            self._process = subprocess.Popen(
                [ROOT / ".venv/bin/skerry-controlplane", "serve"],
                env={**os.environ, **environment}, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise NotRunning(
                    f"the control plane did not start: {self._folder}/controlplane.log"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)

    def _ready(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self._edge_port}/readyz", timeout=2),
        ):
            return True
        return False


async def _enrol(control_plane: _ControlPlane, folder: Path, count: int) -> None:
    """A cluster, a join token and an identity for each agent."""
    tokens = folder / "tokens"
    tokens.mkdir()
    limit = asyncio.Semaphore(16)
    async with skerry.Client(
        f"127.0.0.1:{control_plane.api_port}", control_plane.token, ca=control_plane.ca_file
    ) as client:

        async def make(number: int) -> None:
            async with limit:
                cluster = await client.clusters.create(f"sim-{number}")
                made = await client.clusters.create_join_token(cluster.name)
                (tokens / str(number)).write_text(made.token)

        async with asyncio.timeout(_ENROL_SECONDS), asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(make(number))


# The bare server


def _bare(folder: Path, count: int, idle_seconds: int) -> tuple[_Idle, _Back]:
    (port,) = _free_ports(1)
    argv = [sys.executable, "-m", "bench.link.fleet_agents", "bare-server", str(folder), str(port)]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    server = start()
    try:
        empty = _resident(server.pid)
        with _fleet("bare", folder, count, port) as states:
            _wait_for_all(states, count)
            idle = _watch(server.pid, port, count, empty, idle_seconds)
            server.kill()
            server.wait()
            _seconds_until_none(states)
            begun = time.monotonic()
            server = start()
            back = _watch_return(states, count, begun)
    finally:
        server.kill()
        server.wait()
    return idle, back


# Both


@contextlib.contextmanager
def _fleet(kind: str, folder: Path, count: int, port: int) -> Iterator[list[Path]]:
    """Processes that simulate the agents; each keeps a file that says how many of its agents are up."""
    states, processes = [], []
    try:
        for number in range(_PROCESSES):
            state = folder / f"{kind}-{number}.state"
            state.write_text("0")
            states.append(state)
            numbers = range(number, count, _PROCESSES)
            argv = [
                sys.executable, "-m", "bench.link.fleet_agents", kind, str(folder), str(port),
                str(state), json.dumps([numbers.start, numbers.stop, numbers.step]),
            ]  # fmt: skip
            with (folder / f"{kind}-{number}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                    )
                )
        for process in processes:  # all have their identities before any dials
            assert process.stdout is not None
            if not process.stdout.readline():
                raise NotRunning(f"a process of agents ended: see {folder}/{kind}-*.log")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        yield states
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _wait_for_all(states: list[Path], count: int) -> None:
    deadline = time.monotonic() + _UP_SECONDS + count / _DIALS_A_SECOND
    while (up := _up(states)) < count:
        if time.monotonic() > deadline:
            raise NotRunning(f"only {up} of {count} agents connected; the machine may be too busy")
        time.sleep(0.2)


def _watch_return(states: list[Path], count: int, begun: float) -> _Back:
    in_a_minute = 0.0
    while (share := _up(states) / count) < 1 and time.monotonic() - begun < _UP_SECONDS:
        if time.monotonic() - begun < 60:
            in_a_minute = share
        time.sleep(0.1)
    seconds = time.monotonic() - begun
    return _Back(share if seconds < 60 else in_a_minute, share, seconds)


def _seconds_until_none(states: list[Path]) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while _up(states) and time.monotonic() < deadline:
        time.sleep(0.1)


def _up(states: list[Path]) -> int:
    return sum(int(state.read_text() or 0) for state in states)


def _watch(pid: int, port: int, count: int, empty: int, seconds: int) -> _Idle:
    time.sleep(20)  # what connecting left behind: first reports, first pings, the database
    cpu, traffic = cpu_seconds(pid), _network_bytes(port)
    begun = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - begun
    return _Idle(
        cpu_percent=100 * (cpu_seconds(pid) - cpu) / elapsed,
        kibibytes=(_resident(pid) - empty) / 1024 / count,
        bytes_a_day=(_network_bytes(port) - traffic) / elapsed * _SECONDS_A_DAY / count,
    )


def _resident(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _network_bytes(port: int) -> int:
    """Both directions of all connections to the port, with headers."""
    shown = subprocess.run(
        ["ss", "-tinH", "state", "established", f"( sport = :{port} )"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    total = 0
    for word in shown.split():
        name, _, value = word.partition(":")
        if name in ("bytes_sent", "bytes_received"):
            total += int(value)
        elif name in ("segs_out", "segs_in"):
            total += int(value) * _HEADER_BYTES
    return total


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
