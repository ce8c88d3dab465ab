"""An agent of the first release against this control plane, as bytes over a real port: it knows no message but those recorded then.

Nothing here is made with today's messages, except what must be fresh: the proof of the key.
"""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from skerry.agent.v1 import link_pb2

from controlplane.domain.errors import AgentOffline
from controlplane.domain.logs import LogsRequest
from controlplane.domain.terminals import ExecRequest, WindowSize
from tests.integration.link.conftest import UID, Plane, new_identity, until

CONNECT = "/skerry.agent.v1.LinkService/Connect"


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field, as protobuf writes it."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number(number: int, value: int) -> bytes:
    """A varint field."""
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def envelope(*frames: bytes) -> bytes:
    return b"".join(field(1, frame) for frame in frames)


class OldAgent:
    """The recorded peer: reads frames, keeps them, says what a test tells it to."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        self._call = call
        self.heard: list[link_pb2.Frame] = []

    async def say(self, *frames: bytes) -> None:
        await self._call.write(envelope(*frames))

    async def listen(self) -> None:
        while isinstance(message := await self._call.read(), bytes):
            self.heard.extend(link_pb2.ConnectResponse.FromString(message).frames)

    def of(self, kind: str) -> list[link_pb2.Frame]:
        return [frame for frame in self.heard if frame.WhichOneof("kind") == kind]


async def test_an_agent_of_the_first_release_is_served(plane: Plane) -> None:
    identity = new_identity(plane.authority, plane.port)
    credentials = grpc.ssl_channel_credentials(identity.ca_pem)
    async with grpc.aio.secure_channel(identity.address, credentials) as channel:
        call = channel.stream_stream(CONNECT)()
        agent = OldAgent(call)
        listening = asyncio.ensure_future(agent.listen())
        try:
            await until(lambda: bool(agent.of("challenge")), "the challenge")
            nonce = agent.of("challenge")[0].challenge.nonce
            hello = (
                number(1, 1)  # protocol_min
                + number(2, 1)  # protocol_max
                + field(4, b"0.1.0")
                + field(5, b"boot")
                + field(7, identity.certificate_der)
                + field(8, identity.sign(nonce))
            )
            await agent.say(field(3, hello))
            await until(lambda: plane.registry.is_connected(UID), "the agent")
            sample = plane.registry.link(UID)
            assert sample is not None
            assert (sample.protocol, sample.capabilities) == (1, ())

            # Pings of its own are answered, and what it answers is believed.
            await agent.say(field(16, number(1, 77)))
            await until(lambda: any(f.pong.id == 77 for f in agent.of("pong")), "the pong")

            # A frame that nobody knows changes nothing.
            await agent.say(field(100, b"\xde\xad"))

            # A kind of stream that it does not know is refused by it, and the connection goes on.
            stream = await plane.registry.open_logs(
                UID, LogsRequest("ns", "web", (), False, None, None, False)
            )
            await until(lambda: bool(agent.of("open")), "the stream")
            stream_id = agent.of("open")[0].stream_id
            status = number(1, 12) + field(2, b"INTERNAL") + field(3, b"not known here")
            await agent.say(number(1, stream_id) + field(8, field(1, status)))
            await until(lambda: not _streams(plane), "the end of the stream")
            assert plane.registry.is_connected(UID)
            del stream

            # It named no capability: a command gets no session that it would have to keep over a cut, and nobody waits for it.
            terminal = await plane.registry.open_exec(
                UID, ExecRequest("ns", "web", "api", "", ("sh",), True, True, WindowSize(24, 80))
            )
            await until(lambda: len(agent.of("open")) == 2, "the command")
            assert agent.of("open")[1].open.exec.session == ""
            call.cancel()
            with pytest.raises(AgentOffline):
                await terminal.receive()
            assert len(agent.of("open")) == 2
        finally:
            call.cancel()
            listening.cancel()
            await asyncio.wait({listening})


def _streams(plane: Plane) -> int:
    sample = plane.registry.link(UID)
    return sum(sample.streams.values()) if sample is not None else 0
