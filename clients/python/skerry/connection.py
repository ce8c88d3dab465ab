"""Where the server is and how a channel to it is made: address, TLS, keepalive. Called by `skerry.client`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc import aio

DEFAULT_PORT = 7070
MAX_RECEIVE_BYTES = 16 << 20

# A dead server is noticed in 20 + 10 s even when the network swallows packets: keepalive finds it on an
# idle connection, and http2.ping_timeout_ms bounds the wait that keepalive_timeout_ms alone does not.
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    ("grpc.max_send_message_length", -1),
    # Repeats are decided in skerry.calls, which knows the error's reason.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # Below the time that skerry.calls repeats for, or a server that is back would stay unreachable to it.
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(:(?P<port>\d{1,5}))?/?")


class AddressError(ValueError):
    """The server's address cannot be used; the message says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Address:
    """`host:port` of a server."""

    host: str
    """A name or an address; IPv6 in brackets."""
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host`, `host:port` or `https://host[:port]`. Raises AddressError."""
        rest, default = text.strip(), DEFAULT_PORT
        if rest.startswith("http://"):
            raise AddressError(
                f"{text}: the connection is TLS, write https:// or only host:port "
                "(a server without TLS must be asked for with --insecure)"
            )
        if rest.startswith("https://"):
            rest, default = rest.removeprefix("https://"), 443
        match = _ADDRESS.fullmatch(rest)
        if match is None:
            raise AddressError(f"{text!r} is not a server address: write host or host:port")
        port = int(match["port"] or default)
        if not 0 < port < 65536:
            raise AddressError(f"{text!r}: a port is between 1 and 65535")
        return cls(match["host"], port)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Security:
    """How the server proves who it is."""

    ca: bytes | None = None
    """PEM certificates to trust; the system's when None."""
    insecure: bool = False
    """No TLS at all: the token and everything else can be read on the way."""


def read_ca(path: Path) -> bytes:
    """The PEM file's content. Raises AddressError when it holds no certificate, OSError when unreadable."""
    content = path.read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise AddressError(f"{path} holds no PEM certificate")
    return content


def open_channel(address: Address, security: Security) -> aio.Channel:
    """A lazy channel: the connection is made by the first call. Must be called in a running loop."""
    target = f"dns:///{address}"
    if security.insecure:
        return aio.insecure_channel(target, options=_OPTIONS)
    ca = security.ca if security.ca is not None else _system_roots()
    return aio.secure_channel(
        target, grpc.ssl_channel_credentials(root_certificates=ca), options=_OPTIONS
    )


def _system_roots() -> bytes | None:
    """The machine's own roots, which grpc would otherwise ignore in favour of the ones it bundles."""
    for path in _SYSTEM_ROOTS:
        if path.is_file():
            return path.read_bytes()
    return None


_SYSTEM_ROOTS = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
