"""Carries packets between two TUN devices and holds each for a while. Started by `slow_network`, as a process of its own.

`python -m bench.link.delay_line DEVICE DEVICE MILLISECONDS`: makes the devices, prints a line, runs until it is killed.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

_SET_INTERFACE = 0x400454CA  # TUNSETIFF
_TUN, _NO_HEADER = 0x0001, 0x1000  # IFF_TUN, IFF_NO_PI
_LARGEST = 65536


def main(names: list[str], seconds: float) -> None:
    """Each device's packets come out of the other `seconds` later."""
    os.nice(-15)  # it stands for a wire, which is never busy with other things
    ends = [_device(name) for name in names]
    print("ready", flush=True)
    waiting: dict[int, deque[tuple[float, bytes]]] = {end: deque() for end in ends}
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    clock = time.monotonic
    while True:
        due = min((queue[0][0] for queue in waiting.values() if queue), default=None)
        timeout = None if due is None else max(0.0, due - clock())
        for end in select.select(ends, [], [], timeout)[0]:
            queue, now = waiting[other[end]], clock()
            try:
                while True:
                    queue.append((now + seconds, os.read(end, _LARGEST)))
            except BlockingIOError:
                pass
        now = clock()
        for end, queue in waiting.items():
            while queue and queue[0][0] <= now:
                try:
                    os.write(end, queue.popleft()[1])
                except OSError:  # the device is not up yet: a wire that is not plugged in
                    break


def _device(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _SET_INTERFACE, struct.pack("16sH", name.encode(), _TUN | _NO_HEADER))
    return descriptor


if __name__ == "__main__":
    main(sys.argv[1:3], float(sys.argv[3]) / 1000)
