"""Faults that a link must survive, and what surviving means: nothing lost, nothing done twice, everything back by itself.

While each fault strikes, a log follow is open and a deploy is under way. Used by `test_chaos`, which asserts, and by
`scripts/bench chaos`, which prints how long recovery took.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import skerry
from skerry.errors import SkerryError
from skerry.platform.v1 import cluster_pb2

from tests.e2e.platform import Platform
from tests.e2e.waiting import wait_until
from tests.e2e.workload import (
    COUNTER,
    SLOW_START,
    assert_counts_without_a_hole,
    assert_deployed_once,
    deploy,
    following,
    wait_for_the_job,
)

ONLINE = "ONLINE"
UNREACHABLE = "UNREACHABLE"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` makes it and takes it away behind its block. A fault that `lasts` for None stays until everything is back."""

    name: str
    strike: Callable[[Platform], AbstractContextManager[None]]
    lasts: float | None
    must_show: bool = False
    """Whether the cluster must read as something else than ONLINE meanwhile; then the fault lasts until it does."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds. `noticed` counts from the fault's begin and is None when the cluster read ONLINE all the time; `recovered` counts
    from the fault's end, or from its begin when it never ended, until the cluster is ONLINE and log lines flow."""

    noticed: float | None
    recovered: float


def suffer(platform: Platform, environment: str, project: Path, fault: Fault) -> Recovery:
    """Let a fault strike, wait until all is well, and check that it is. AssertionError when it is not."""
    deploy(platform, environment, project, COUNTER, "--wait")
    with (
        following(platform, "--env", environment, "counter") as follower,
        _states(platform) as states,
    ):
        follower.wait_for_more(50)
        deploy(platform, environment, project, SLOW_START, "--detach")
        wait_for_the_job(platform, environment)
        states.forget()
        struck = time.monotonic()

        with fault.strike(platform):
            if fault.must_show:
                wait_until("the fault shows", lambda: states.left_online is not None, timeout=60)
            if fault.lasts is None:
                # The way back is another connection: what passes before the silence does not count.
                wait_until(
                    "lines stop", lambda: time.monotonic() - follower.last_line > 1, timeout=60
                )
                silent = time.monotonic()
                wait_until(
                    "all is back",
                    lambda: states.now == ONLINE and follower.last_line > silent,
                    timeout=120,
                )
                recovered = follower.last_line - struck
            else:
                threading.Event().wait(max(0.0, struck + fault.lasts - time.monotonic()))
        if fault.lasts is not None:
            ended = time.monotonic()
            wait_until(
                "all is back",
                lambda: (
                    states.now == ONLINE and states.heard >= ended and follower.last_line >= ended
                ),
                timeout=180,
            )
            recovered = time.monotonic() - ended
        noticed = None if states.left_online is None else states.left_online - struck
        follower.wait_for_more(100)
        lines = follower.stop()
    assert_counts_without_a_hole(lines)
    assert_deployed_once(platform, environment)
    platform.wait_connection(ONLINE)
    return Recovery(noticed, recovered)


# The faults


@contextmanager
def agent_frozen(platform: Platform) -> Iterator[None]:
    """The process stands still; its kernel still acknowledges what is sent to it."""
    platform.agent.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        platform.agent.signal(signal.SIGCONT)


@contextmanager
def agent_killed(platform: Platform) -> Iterator[None]:
    platform.agent.kill()
    yield
    platform.agent.start()


@contextmanager
def control_plane_frozen(platform: Platform) -> Iterator[None]:
    platform.controlplane.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        platform.controlplane.signal(signal.SIGCONT)


@contextmanager
def control_plane_killed(platform: Platform) -> Iterator[None]:
    platform.controlplane.kill()
    yield
    platform.controlplane.start()


@contextmanager
def packets_dropped(platform: Platform) -> Iterator[None]:
    """Every packet of the agent's one open connection is dropped; a new connection would work."""
    shown = subprocess.run(
        ["ss", "-tnH", "state", "established", f"( dport = :{platform.agent_port} )"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    ports = {word.rpartition(":")[2] for word in shown[2::4]}
    assert ports, "the agent has no connection"
    rules = [
        [
            "INPUT",
            "-i",
            "lo",
            "-p",
            "tcp",
            here,
            port,
            there,
            str(platform.agent_port),
            "-j",
            "DROP",
        ]
        for port in ports
        for here, there in (("--sport", "--dport"), ("--dport", "--sport"))
    ]
    with contextlib.ExitStack() as stack:
        for rule in rules:
            _iptables("-I", *rule)
            stack.callback(_iptables, "-D", *rule)
        yield


def network_cut(platform: Platform) -> AbstractContextManager[None]:
    """Nothing passes, nobody is told."""
    return _cut(platform)


def cut_every(seconds: float, times: int) -> Callable[[Platform], AbstractContextManager[None]]:
    """A proxy that closes every connection after so many seconds, as some do after 60."""

    @contextmanager
    def strike(platform: Platform) -> Iterator[None]:
        for _ in range(times):
            platform.proxy.heal()
            threading.Event().wait(seconds)  # the proxy's own time limit
        yield

    return strike


def clock_jumps(program: str, hours: float) -> Callable[[Platform], AbstractContextManager[None]]:
    """The wall clock of the agent or the control plane leaps; its monotonic clock does not. Needs `faked_clocks`."""

    @contextmanager
    def strike(platform: Platform) -> Iterator[None]:
        offset = platform.folder / f"{program}.clock"
        offset.write_text(f"{hours:+g}h\n")
        yield
        offset.write_text("+0\n")

    return strike


@contextmanager
def agent_cloned(platform: Platform) -> Iterator[None]:
    """A second agent runs with a copy of the first one's state, as from a restored backup."""
    copy = platform.folder / f"clone-{uuid.uuid4().hex[:6]}"
    shutil.copytree(platform.agent_state, copy)
    clone = platform.agent_process(copy, copy.with_suffix(".log"))
    clone.start()
    try:
        yield
    finally:
        clone.kill()


@contextmanager
def agent_disk_full(platform: Platform) -> Iterator[None]:
    """Not a byte more fits into the agent's state folder. Needs `small_disk`; the agent starts on the full disk, too."""
    filler = platform.agent_state / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


# What they need


def faked_clocks(folder: Path) -> dict[str, dict[str, str]]:
    """Arguments of Platform that put both programs under clocks which `clock_jumps` can move."""
    arguments = {}
    for program in ("agent", "controlplane"):
        offset = folder / f"{program}.clock"
        offset.write_text("+0\n")
        arguments[f"{program}_env"] = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }
    return arguments


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of two megabytes at `folder`; needs root."""
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def is_root() -> bool:
    """Packet filters and file systems are root's."""
    return os.geteuid() == 0


class _States:
    """What the control plane says of the cluster, asked again and again by a thread of its own."""

    def __init__(self) -> None:
        self.now = ""
        self.since = self.heard = 0.0
        """When it became so, and when it was last heard, by the monotonic clock."""
        self.left_online: float | None = None
        self._stop = threading.Event()

    def forget(self) -> None:
        """From now on a state other than ONLINE counts as noticed."""
        self.left_online = None

    def stop(self) -> None:
        self._stop.set()

    async def ask(self, platform: Platform) -> None:
        token = (platform.folder / "admin-token").read_text().strip()
        ca = platform.folder / "controlplane" / "pki" / "ca.crt"
        async with skerry.Client(
            f"127.0.0.1:{platform.api_port}", token, ca=ca, timeout=2
        ) as client:
            while not self._stop.is_set():
                asked = time.monotonic()
                try:
                    cluster = await client.clusters.get("clusters/home")
                except SkerryError:
                    state = UNREACHABLE
                else:
                    name = cluster_pb2.ConnectionState.Name(cluster.connection)
                    state = name.removeprefix("CONNECTION_STATE_").replace("DEGRADED", ONLINE)
                self._note(state, asked)
                await asyncio.sleep(0.1)

    def _note(self, state: str, asked: float) -> None:
        if state != self.now:
            self.since = time.monotonic()
        self.now, self.heard = state, asked
        if state != ONLINE and self.left_online is None:
            self.left_online = time.monotonic()


@contextmanager
def _states(platform: Platform) -> Iterator[_States]:
    states = _States()
    thread = threading.Thread(target=lambda: asyncio.run(states.ask(platform)), name="states")
    thread.start()
    try:
        wait_until("the control plane answers", lambda: states.now)
        yield states
    finally:
        states.stop()
        thread.join()


@contextmanager
def _cut(platform: Platform) -> Iterator[None]:
    platform.proxy.cut()
    yield
    platform.proxy.heal()


def _iptables(*argv: str) -> None:
    subprocess.run(["iptables", "-w", "10", *argv], check=True)


FAULTS = (
    Fault("agent frozen (SIGSTOP) until it shows", agent_frozen, 0, must_show=True),
    Fault("agent killed (SIGKILL), started 3 s later", agent_killed, 3, must_show=True),
    Fault("control plane frozen (SIGSTOP) for 20 s", control_plane_frozen, 20),
    Fault("control plane killed (SIGKILL), started at once", control_plane_killed, 0),
    Fault("all packets of the connection dropped (iptables)", packets_dropped, None),
    Fault("network dark for 30 s", network_cut, 30),
    Fault("proxy cuts every 8 s, five times", cut_every(8, 5), 0),
    Fault("agent cloned for 20 s", agent_cloned, 20),
)
DISK_FAULTS = (Fault("agent's disk full for 15 s", agent_disk_full, 15),)
CLOCK_FAULTS = (
    Fault("agent's clock an hour ahead, then back", clock_jumps("agent", 1), 12),
    Fault("agent's clock an hour behind, then back", clock_jumps("agent", -1), 12),
    Fault("control plane's clock an hour ahead, then back", clock_jumps("controlplane", 1), 12),
    Fault("control plane's clock an hour behind, then back", clock_jumps("controlplane", -1), 12),
)


def with_cuts_every(seconds: float) -> tuple[Fault, ...]:
    """The faults with the proxy that cuts every so many seconds, for `scripts/bench chaos`."""
    proxy = f"proxy cuts every {seconds:g} s, five times"
    return tuple(
        dataclasses.replace(fault, name=proxy, strike=cut_every(seconds, 5))
        if fault.name.startswith("proxy")
        else fault
        for fault in FAULTS
    )
