"""Asks the cluster's DNS a question, the way a pod would.

After a restart the API still shows yesterday's "Available"; only an answer proves that the node, its
network and CoreDNS work together. `up` calls `wait_for_answer`.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time

from devcluster.errors import NotReadyError

_A, _IN = 1, 1


def wait_for_answer(server: str, name: str, seconds: float) -> str:
    """The IPv4 address `server` gives for `name`. Raises NotReadyError when none comes in time."""
    deadline = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            if address := ask(server, name):
                return address
            last = "an answer without an address"
        except OSError as error:
            last = str(error)
        time.sleep(0.1)
    raise NotReadyError(
        f"the cluster's DNS at {server} gave {last} for {name} within {seconds:.0f} s; "
        "`scripts/devcluster kubectl -n kube-system describe pods -l k8s-app=kube-dns` tells more"
    )


def ask(server: str, name: str, timeout: float = 1.0) -> str | None:
    """One question over UDP; the first A record of the answer, or None. Raises OSError."""
    number = secrets.randbelow(1 << 16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(timeout)
        wire.connect((server, 53))
        wire.send(question(number, name))
        return first_address(wire.recv(1500), number)


def question(number: int, name: str) -> bytes:
    """A query for the A record of `name` (RFC 1035 §4.1)."""
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.rstrip(".").split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, _A, _IN)


def first_address(message: bytes, number: int) -> str | None:
    """The first A record of a response to query `number`, or None when it is none or has none."""
    if len(message) < 12:
        return None
    got, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
    if got != number or flags & 0x000F:
        return None
    at = 12
    for _ in range(questions):
        at = _after_name(message, at) + 4
    for _ in range(answers):
        at = _after_name(message, at)
        kind, _, _, length = struct.unpack_from("!HHIH", message, at)
        at += 10
        if kind == _A and length == 4:
            return socket.inet_ntoa(message[at : at + 4])
        at += length
    return None


def _after_name(message: bytes, at: int) -> int:
    while True:
        length = message[at]
        if length >= 0xC0:
            return at + 2  # a pointer ends a name
        at += 1 + length
        if length == 0:
            return at
