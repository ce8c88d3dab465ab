"""Measure the link beside a raw grpc.aio stream: small frames a second and bytes a second at 64 KiB.

Both run over loopback without TLS, sender and receiver in two processes, alternating in one run. The
link's side is the real shell: `stream.send` on the agent's end, `stream.receive` on the control
plane's. The raw side writes the same bytes as one message of the same type, as fast as grpc.aio takes
them: 64 KiB a message for the throughput, one small frame a message for the rate.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from skerry.agent.v1 import link_pb2
from skerry.wire.connection import Connection, Role
from skerry.wire.limits import Limits
from skerry.wire.session import LinkStream, Session

from agent.link.transport import CHANNEL_OPTIONS, CallTransport
from bench.results import Report, Row
from controlplane.link.transport import SERVER_OPTIONS, ContextTransport

RUNS = 3
SMALL_BYTES, SMALL_COUNT, RAW_SMALL_COUNT = 100, 300_000, 20_000
LARGE_BYTES, LARGE_COUNT = 64 * 1024, 6_000
_PATH = "/skerry.bench/"


class _Owner:
    """Takes the streams that the peer opens; the bench has no commands."""

    def __init__(self) -> None:
        self.opened: asyncio.Queue[LinkStream] = asyncio.Queue()

    def frame_arrived(self, kind: str, frame: link_pb2.Frame) -> None:
        raise AssertionError(kind, frame)

    def stream_opened(self, stream: LinkStream, open_: link_pb2.Open) -> None:
        del open_
        self.opened.put_nowait(stream)

    def stream_ended(self, stream: LinkStream) -> None: ...

    def peer_goes_away(self, go_away: link_pb2.GoAway) -> None: ...


def _session(role: Role, transport: Any) -> tuple[Session, _Owner]:
    connection = Connection(role, now=asyncio.get_running_loop().time())
    connection.establish(asyncio.get_running_loop().time(), limits=Limits(), ping_seconds=15)
    owner = _Owner()
    return Session(connection, transport, owner, name=role.value), owner


async def _serve_link(requests: AsyncIterator[Any], context: Any) -> None:
    """Opens one stream, consumes all that comes, finishes when the agent has."""
    del requests
    session, _ = _session(Role.CONTROL_PLANE, ContextTransport(context))
    running = asyncio.ensure_future(session.run())
    open_ = link_pb2.Open(lane=link_pb2.LANE_BULK)
    open_.logs.namespace = "bench"
    stream = session.open(open_)
    while await stream.receive() is not None:
        pass
    stream.finish()
    await running


async def _serve_raw(requests: AsyncIterator[Any], context: Any) -> None:
    """Reads all that comes, then answers once."""
    del requests
    while (message := await context.read()) is not grpc.aio.EOF:
        for frame in message.frames:
            len(frame.data.payload)
    await context.write(link_pb2.ConnectResponse())


async def _serve() -> None:
    server = grpc.aio.server(options=SERVER_OPTIONS)

    def handler(behaviour: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(
            behaviour,
            link_pb2.ConnectRequest.FromString,
            link_pb2.ConnectResponse.SerializeToString,
        )

    methods = {"Link": handler(_serve_link), "Raw": handler(_serve_raw)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_PATH.strip("/"), methods),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


def _call(channel: grpc.aio.Channel, method: str) -> Any:
    return channel.stream_stream(
        _PATH + method,
        link_pb2.ConnectRequest.SerializeToString,
        link_pb2.ConnectResponse.FromString,
    )()


async def _link(channel: grpc.aio.Channel, size: int, count: int) -> float:
    session, owner = _session(Role.AGENT, CallTransport(_call(channel, "Link")))
    running = asyncio.ensure_future(session.run())
    stream = await owner.opened.get()
    payload = bytes(size)
    begun = time.perf_counter()
    for _ in range(count):
        await stream.send(payload)
    stream.finish()
    await stream.receive()
    taken = time.perf_counter() - begun
    session.close(flush_seconds=1)
    await running
    return taken


async def _raw(channel: grpc.aio.Channel, size: int, count: int) -> float:
    call = _call(channel, "Raw")
    payload = bytes(size)
    begun = time.perf_counter()
    for _ in range(count):
        message = link_pb2.ConnectRequest()
        message.frames.add().data.payload = payload
        await call.write(message)
    await call.done_writing()
    await call.read()
    taken = time.perf_counter() - begun
    call.cancel()
    return taken


async def _rate(measure: Callable[[], Awaitable[float]], amount: float) -> float:
    return amount / await measure()


async def _measure(port: int) -> Report:
    found: dict[str, list[float]] = {"link": [], "raw": [], "link_frames": [], "raw_frames": []}
    megabytes = LARGE_BYTES * LARGE_COUNT / 1e6
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel:
        for _ in range(RUNS):
            found["link"].append(
                await _rate(lambda: _link(channel, LARGE_BYTES, LARGE_COUNT), megabytes)
            )
            found["raw"].append(
                await _rate(lambda: _raw(channel, LARGE_BYTES, LARGE_COUNT), megabytes)
            )
            found["link_frames"].append(
                await _rate(lambda: _link(channel, SMALL_BYTES, SMALL_COUNT), SMALL_COUNT)
            )
            found["raw_frames"].append(
                await _rate(lambda: _raw(channel, SMALL_BYTES, RAW_SMALL_COUNT), RAW_SMALL_COUNT)
            )
    return Report(
        "link",
        "a raw grpc.aio stream (one message each) over loopback",
        [
            Row("64 KiB at a time", "MB/s", tuple(found["link"]), tuple(found["raw"]), True),
            Row(
                "100 B frames",
                "frames/s",
                tuple(found["link_frames"]),
                tuple(found["raw_frames"]),
                True,
            ),
        ],
    )


def run() -> Report:
    """Run everything; takes about a quarter of a minute. MB are 10^6 bytes."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.link", "--serve"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            return asyncio.run(_measure(int(server.stdout.readline())))
        finally:
            server.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(_serve())
    else:
        print(run().as_table())
