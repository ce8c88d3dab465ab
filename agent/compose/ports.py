"""The grammar of compose ports: `[[IP:]PUBLISHED[-PUBLISHED]:]TARGET[-TARGET][/PROTOCOL]`.

Used by the canonicaliser (short → long) and by the model (ranges counted out). Rules as
docker/go-connections nat.ParsePortSpec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PORT = 65_535
_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})


class PortSyntaxError(ValueError):
    """The text is no port; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class PortParts:
    """A short port taken apart; ranges are still text."""

    target: str
    published: str = ""
    host_ip: str = ""
    protocol: str = "tcp"

    def __str__(self) -> str:
        host_ip = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        ports = f"{self.published}:{self.target}" if self.published or host_ip else self.target
        return f"{host_ip + ':' if host_ip else ''}{ports}/{self.protocol}"


def split_port(port: str) -> PortParts:
    """Take a short port apart. Raises PortSyntaxError."""
    body, slash, protocol = port.strip().partition("/")
    protocol = check_protocol(protocol if slash else "tcp")
    pieces = body.rsplit(":", 2)
    target = pieces[-1]
    published = pieces[-2] if len(pieces) > 1 else ""
    host_ip = pieces[0].strip("[]") if len(pieces) > 2 else ""
    port_range(target)
    if published:
        port_range(published)
    return PortParts(target, published, host_ip, protocol)


def check_protocol(protocol: str) -> str:
    """The protocol in lower case. Raises PortSyntaxError for one compose does not know."""
    lower = protocol.lower()
    if lower not in _PROTOCOLS:
        raise PortSyntaxError(f'"{protocol[:20]}" is not a protocol; tcp and udp are')
    return lower


def port_range(value: str) -> tuple[int, int]:
    """First and last port of `N` or `N-M`. Raises PortSyntaxError."""
    match = _RANGE.fullmatch(value.strip())
    if match is None:
        raise PortSyntaxError(f'"{value[:40]}" is not a port')
    first = int(match.group(1))
    last = int(match.group(2) or first)
    if first > last:
        raise PortSyntaxError(f'"{value[:40]}" runs backwards')
    if last > MAX_PORT:
        raise PortSyntaxError(f"{last} is larger than {MAX_PORT}, the last port there is")
    return first, last


def pair(target: str, published: str) -> list[tuple[int, str]]:
    """Container ports with the host port each asks for (`8000-8002:80-82`).

    Raises PortSyntaxError when the ranges do not match; one target may have a range to pick from.
    """
    first, last = port_range(target)
    if first < 1:
        raise PortSyntaxError("0 is not a port a container can listen on")
    if not published:
        return [(port, "") for port in range(first, last + 1)]
    low, high = port_range(published)
    if first == last:
        return [(first, published)]
    if high - low != last - first:
        raise PortSyntaxError(f"the ranges {published} and {target} have different lengths")
    return [(port, str(low + port - first)) for port in range(first, last + 1)]
