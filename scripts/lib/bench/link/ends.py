"""Both ends that the link is measured between: ours, and raw grpc.aio with the same messages, each in a process of its own.

The agent's end drives: it dials, says in the call's metadata what the control plane's end shall do, and asks for the
figures of that end with a call of its own. `rates`, `stall` and `echo` use this; the far end is
`python -m bench.link serve HOST`, the near end runs in the caller or as `python -m bench.link drive TARGET PLAN`.

Our side is the real shell of both programs (`Session`, scheduler, credit); the raw side opens one call for each
stream on one connection, which is what HTTP/2 itself offers.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from skerry.agent.v1 import link_pb2
from skerry.wire.connection import Connection, Role
from skerry.wire.errors import StreamReset, WireError
from skerry.wire.limits import Limits
from skerry.wire.session import LinkStream, Session

from agent.link.transport import CHANNEL_OPTIONS, CallTransport
from controlplane.link.transport import SERVER_OPTIONS, ContextTransport

_PATH = "skerry.bench"
_KEY_SECONDS = 0.025
_LAST_ECHO_SECONDS = 1.5
_WARM_UP_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """One measurement. `side` is `link` or `raw`."""

    side: str
    streams: int = 1
    """Bulk streams from the agent's end to the control plane's."""
    payload: int = 16 * 1024
    count: int = 0
    """Payloads over all streams; 0 means that they send until the far end has measured."""
    stalled: int = 0
    """How many streams more are opened whose consumer never reads."""
    echo_seconds: float = 0.0
    """How long keystrokes are echoed, after a warm-up."""


@dataclass(slots=True)
class Figures:
    """What a measurement found. Times in seconds, sizes in bytes."""

    seconds: float = 0.0
    near_cpu: float = 0.0
    echoes: list[float] = field(default_factory=list)
    bulk_bytes: int = 0
    """What the consumers took while the echo was measured."""
    held: int = 0
    """What the sender could put into the stalled streams."""

    def echo(self, share: float) -> float:
        """A percentile of the echoes, in milliseconds."""
        ordered = sorted(self.echoes)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def drive(target: str, plan: Plan) -> Figures:
    """Run one plan against the server at `target`."""
    async with grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS) as channel:
        await channel.channel_ready()
        cpu = time.process_time()
        figures = await (_drive_link if plan.side == "link" else _drive_raw)(channel, plan)
        figures.near_cpu = time.process_time() - cpu
        if plan.echo_seconds:
            answer = await _call(channel, "Figures", plan).read()
            far = json.loads(answer.frames[0].data.payload)
            figures.echoes, figures.bulk_bytes = far["echoes"], far["bulk_bytes"]
            figures.seconds = far["seconds"]
        return figures


@contextlib.contextmanager
def server(host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> Iterator[tuple[str, int]]:
    """The far end, as a process: its address and its process id."""
    argv = [*prefix, sys.executable, "-m", "bench.link", "serve", host]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port, pid = process.stdout.readline().split()
            yield f"{host}:{port}", int(pid)
        finally:
            process.kill()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Our link


class _Owner:
    """Takes the streams that the peer opens; there are no commands here."""

    def __init__(self) -> None:
        self.opened: asyncio.Queue[tuple[LinkStream, link_pb2.Open]] = asyncio.Queue()

    def frame_arrived(self, kind: str, frame: link_pb2.Frame) -> None:
        raise AssertionError(kind, frame)

    def stream_opened(self, stream: LinkStream, open_: link_pb2.Open) -> None:
        self.opened.put_nowait((stream, open_))

    def stream_ended(self, stream: LinkStream) -> None: ...

    def peer_goes_away(self, go_away: link_pb2.GoAway) -> None: ...


def _session(role: Role, transport: Any) -> tuple[Session, _Owner]:
    loop = asyncio.get_running_loop()
    connection = Connection(role, now=loop.time())
    connection.establish(loop.time(), limits=Limits(), ping_seconds=10)
    owner = _Owner()
    return Session(connection, transport, owner, name=role.value), owner


async def _drive_link(channel: grpc.aio.Channel, plan: Plan) -> Figures:
    session, owner = _session(Role.AGENT, CallTransport(_call(channel, "Link", plan)))
    running = asyncio.ensure_future(session.run())
    figures = Figures()
    async with asyncio.TaskGroup() as tasks:
        bulk: list[asyncio.Task[None]] = []
        ends: list[asyncio.Task[Any]] = []
        held = [0]
        for _ in range(plan.streams + plan.stalled + (1 if plan.echo_seconds else 0)):
            stream, open_ = await owner.opened.get()
            match open_.logs.namespace:
                case "read":
                    bulk.append(tasks.create_task(_ignore_end(_wait_go(stream))))
                    ends.append(tasks.create_task(_ignore_end(_send(stream, plan))))
                case "stall":
                    ends.append(tasks.create_task(_ignore_end(_fill(stream, held))))
                case _:
                    ends.append(tasks.create_task(_ignore_end(_echo(stream))))
        begun = time.perf_counter()
        if plan.count:
            await asyncio.wait(bulk)
            figures.seconds = time.perf_counter() - begun
            session.close(flush_seconds=1)
        with contextlib.suppress(WireError):
            await running
        for task in ends:
            task.cancel()
    figures.held = held[0]
    return figures


async def _wait_go(stream: LinkStream) -> None:
    """The far end finishes a stream when it has read all of it."""
    await stream.receive()


async def _send(stream: LinkStream, plan: Plan) -> None:
    payload = bytes(plan.payload)
    if plan.count:
        for _ in range(plan.count // plan.streams):
            await stream.send(payload)
        stream.finish()
        return
    while True:
        await stream.send(payload)


async def _fill(stream: LinkStream, held: list[int]) -> None:
    while True:
        await stream.send(bytes(4096))
        held[0] += 4096


async def _echo(stream: LinkStream) -> None:
    while (data := await stream.receive()) is not None:
        await stream.send(data.payload)


async def _ignore_end(work: Any) -> None:
    with contextlib.suppress(StreamReset):
        await work


def _open(
    session: Session, what: str, lane: link_pb2.Lane.ValueType = link_pb2.LANE_BULK
) -> LinkStream:
    open_ = link_pb2.Open(lane=lane)
    open_.logs.namespace = what
    return session.open(open_)


async def _read(stream: LinkStream, taken: list[int]) -> None:
    while (data := await stream.receive()) is not None:
        taken[0] += len(data.payload)
    stream.finish()


# Raw grpc.aio


async def _drive_raw(channel: grpc.aio.Channel, plan: Plan) -> Figures:
    figures, held = Figures(), [0]
    bulk = [
        asyncio.ensure_future(_ignore_call_end(_raw_send(_call(channel, "RawRead", plan), plan)))
        for _ in range(plan.streams)
    ]
    others = [
        asyncio.ensure_future(_ignore_call_end(_raw_fill(_call(channel, "RawStall", plan), held)))
        for _ in range(plan.stalled)
    ]
    begun = time.perf_counter()
    if plan.echo_seconds:
        await _ignore_call_end(_raw_echo(_call(channel, "RawEcho", plan)))
    else:
        await asyncio.wait(bulk)
        figures.seconds = time.perf_counter() - begun
    for task in (*bulk, *others):
        task.cancel()
    await asyncio.wait({*bulk, *others}) if bulk or others else None
    figures.held = held[0]
    return figures


async def _raw_echo(call: Any) -> None:
    while (message := await call.read()) is not grpc.aio.EOF:
        await call.write(_message(message.frames[0].data.payload))


async def _raw_send(call: Any, plan: Plan) -> None:
    payload = bytes(plan.payload)
    left = plan.count // plan.streams if plan.count else -1
    while left:
        await call.write(_message(payload))
        left -= 1
    await call.done_writing()
    await call.read()


async def _raw_fill(call: Any, held: list[int]) -> None:
    while True:
        await call.write(_message(bytes(4096)))
        held[0] += 4096


async def _ignore_call_end(work: Any) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
        await work


def _message(payload: bytes) -> link_pb2.ConnectRequest:
    message = link_pb2.ConnectRequest()
    message.frames.add().data.payload = payload
    return message


class _Server:
    """The far end's handlers. One measurement at a time; `Figures` says what the last one found."""

    def __init__(self) -> None:
        self._taken = [0]
        self._figures = Figures()

    async def link(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Our link: open what the plan says, read it, press keys."""
        del requests
        plan = _plan(context)
        session, _ = _session(Role.CONTROL_PLANE, ContextTransport(context))
        running = asyncio.ensure_future(session.run())
        readers = [
            asyncio.ensure_future(_ignore_end(_read(_open(session, "read"), self._taken)))
            for _ in range(plan.streams)
        ]
        kept = [_open(session, "stall") for _ in range(plan.stalled)]
        if plan.echo_seconds:
            stream = _open(session, "echo", link_pb2.LANE_INTERACTIVE)

            async def press() -> None:
                await stream.send(b"x")

            self._figures = await _measure_echo(plan, press, stream.receive, self._taken)
            session.close(flush_seconds=0.1)
        with contextlib.suppress(WireError):
            await running
        del kept
        for reader in readers:
            reader.cancel()

    async def figures(self, requests: AsyncIterator[Any], context: Any) -> None:
        """What the last measurement found."""
        del requests
        answer = link_pb2.ConnectResponse()
        answer.frames.add().data.payload = json.dumps(dataclasses.asdict(self._figures)).encode()
        await context.write(answer)

    async def raw_read(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Take all that comes, then answer once."""
        del requests
        while (message := await context.read()) is not grpc.aio.EOF:
            for frame in message.frames:
                self._taken[0] += len(frame.data.payload)
        await context.write(link_pb2.ConnectResponse())

    async def raw_stall(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Take nothing."""
        del requests, context
        await asyncio.get_running_loop().create_future()

    async def raw_echo(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Press keys."""
        del requests

        async def press() -> None:
            message = link_pb2.ConnectResponse()
            message.frames.add().data.payload = b"x"
            await context.write(message)

        self._figures = await _measure_echo(_plan(context), press, context.read, self._taken)


# Both


async def _measure_echo(
    plan: Plan,
    press: Callable[[], Awaitable[None]],
    hear: Callable[[], Awaitable[object]],
    taken: list[int],
) -> Figures:
    """Press keys at a steady pace, whether or not the echoes have come; a warm-up does not count."""
    figures, clock = Figures(), time.perf_counter  # uvloop's own clock counts milliseconds
    pressed: deque[float] = deque()
    begun = clock()
    measure_from, end = begun + _WARM_UP_SECONDS, begun + _WARM_UP_SECONDS + plan.echo_seconds

    async def listen() -> None:
        while True:
            await hear()
            at = pressed.popleft()
            if at >= measure_from:
                figures.echoes.append(clock() - at)

    listening = asyncio.ensure_future(listen())
    before, since = 0, 0.0
    while (now := clock()) < end:
        if not since and now >= measure_from:
            before, since = taken[0], now
        pressed.append(now)
        await press()
        await asyncio.sleep(max(0.0, now + _KEY_SECONDS - clock()))
    figures.bulk_bytes, figures.seconds = taken[0] - before, clock() - since
    await asyncio.wait({listening}, timeout=_LAST_ECHO_SECONDS)
    listening.cancel()
    # A key whose echo has not come by now is not left out: it counts with what it has waited.
    figures.echoes += [clock() - at for at in pressed if at >= measure_from]
    return figures


def _call(channel: grpc.aio.Channel, method: str, plan: Plan) -> Any:
    return channel.stream_stream(
        f"/{_PATH}/{method}",
        link_pb2.ConnectRequest.SerializeToString,
        link_pb2.ConnectResponse.FromString,
    )(metadata=(("plan", json.dumps(dataclasses.asdict(plan))),))


def _plan(context: Any) -> Plan:
    metadata = dict(context.invocation_metadata())
    return Plan(**json.loads(metadata["plan"]))


async def serve(host: str) -> None:
    """The far end: prints its port and process id, then serves until it is killed."""
    options = [*SERVER_OPTIONS, ("grpc.max_concurrent_streams", 1000)]
    grpc_server = grpc.aio.server(options=options)
    far = _Server()

    def handler(behaviour: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(
            behaviour,
            link_pb2.ConnectRequest.FromString,
            link_pb2.ConnectResponse.SerializeToString,
        )

    methods = {
        "Link": handler(far.link),
        "Figures": handler(far.figures),
        "RawRead": handler(far.raw_read),
        "RawStall": handler(far.raw_stall),
        "RawEcho": handler(far.raw_echo),
    }
    grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_PATH, methods),))
    port = grpc_server.add_insecure_port(f"{host}:0")
    await grpc_server.start()
    print(port, os.getpid(), flush=True)
    await grpc_server.wait_for_termination()
