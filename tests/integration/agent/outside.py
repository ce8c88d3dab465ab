"""Stands for the world outside the cluster: addresses of the internet and of a cloud's metadata service.

A network namespace of the machine behind a pair of interfaces, answering on TCP. There is no internet
here; what is tested is which addresses the cluster lets pods reach, and for that somebody must answer.
"""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PORT = 8099
_SERVE = """
import socket, sys
made = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
while True:
    connection, _ = made.accept()
    connection.close()
"""


@contextmanager
def outside(addresses: Sequence[str]) -> Iterator[None]:
    """The addresses answer on PORT inside the block, for one such test at a time. Skips where this may not be
    set up."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to stand for the world outside the cluster")
    with (Path(tempfile.gettempdir()) / "skerry-test-outside.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _answering(addresses):
            yield


@contextmanager
def _answering(addresses: Sequence[str]) -> Iterator[None]:
    mark = f"{random.randrange(16**4):04x}"
    name, near, far = f"skerry-out-{mark}", f"so{mark}n", f"so{mark}f"
    try:
        _ip("netns", "add", name)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        _ip("link", "set", near, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", far, "up")
        for address in addresses:
            _ip("-n", name, "address", "add", f"{address}/32", "dev", far)
            _ip("route", "add", f"{address}/32", "dev", near)
        _ip("-n", name, "route", "add", "default", "dev", far)
        argv = ["ip", "netns", "exec", name, sys.executable, "-c", _SERVE, str(PORT)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == "ready\n"
                yield
            finally:
                server.terminate()
    finally:
        subprocess.run(["ip", "link", "delete", near], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
