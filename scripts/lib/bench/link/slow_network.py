"""A slow line between two network namespaces: so many Mbit/s, so many milliseconds, real TCP on both sides.

The kernel shapes the rate (tbf). Delay is added by `delay_line`, a process between two TUN devices, because netem is not
in every kernel. Used by `echo`; needs root.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.running import NotRunning

_QUEUE_MILLISECONDS = 100  # what a home router queues before it drops
_BURST = "16kb"


@dataclass(frozen=True, slots=True)
class SlowNetwork:
    """The commands that enter each side, and the address of the far one."""

    near: Sequence[str]
    far: Sequence[str]
    far_address: str


@contextlib.contextmanager
def slow_network(*, megabits: int, delay_milliseconds: float) -> Iterator[SlowNetwork]:
    """Make it, and take it away behind the block. `delay_milliseconds` is added to the round trip.

    Raises NotRunning where namespaces or TUN devices cannot be made.
    """
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise NotRunning("network namespaces and /dev/net/tun need root")
    name = f"skb{os.getpid() % 100000}"
    sides = ((f"{name}a", "10.213.0.1/30"), (f"{name}b", "10.213.0.2/30"))
    devices = [side for side, _ in sides]
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "bench.link.delay_line",
                    *devices,
                    str(delay_milliseconds / 2),
                ],
                stdout=subprocess.PIPE,
                stdin=subprocess.PIPE,
            )
        )
        stack.callback(relay.kill)
        assert relay.stdout is not None
        if not relay.stdout.readline():
            raise NotRunning("TUN devices cannot be made here")
        for side, address in sides:
            _run("ip", "netns", "add", side)
            stack.callback(_run, "ip", "netns", "del", side)
            _run("ip", "link", "set", side, "netns", side)
            inside = ("ip", "netns", "exec", side)
            _run(*inside, "ip", "link", "set", "lo", "up")
            _run(*inside, "ip", "address", "add", address, "dev", side)
            _run(*inside, "ip", "link", "set", side, "up")
            _run(*inside, "tc", "qdisc", "add", "dev", side, "root", "tbf",
                 "rate", f"{megabits}mbit", "burst", _BURST, "latency", f"{_QUEUE_MILLISECONDS}ms")  # fmt: skip
        stack.callback(relay.kill)  # before its devices go
        yield SlowNetwork(
            near=("ip", "netns", "exec", devices[0]),
            far=("ip", "netns", "exec", devices[1]),
            far_address="10.213.0.2",
        )


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRunning(f"{' '.join(argv)}: {done.stderr.strip()}")
