"""A process full of simulated agents, or of bare gRPC streams, or the bare server. Started by `fleet`.

A simulated agent is `agent.link.Link` with an identity and a journal, and no cluster: it enrols, connects, keeps its link up,
sends the facts of a small cluster. `go` on standard input lets them dial, one by one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import structlog
import trustme
import uvloop
from skerry.agent.v1 import link_pb2, report_pb2
from skerry.wire.join_token import JoinToken

from agent.link import Journal, Link, ReportBoard, enrol
from agent.link.identity import IdentityStore
from agent.link.link import LinkState
from agent.link.transport import CHANNEL_OPTIONS
from controlplane.link.transport import SERVER_OPTIONS

_AT_ONCE = 16
_PING_SECONDS = 10.0
_DIALS_A_SECOND = 12.5  # of one process
_BARE = "/skerry.bench/Bare"


async def agents(folder: Path, state: Path, numbers: range) -> None:
    """Enrol, wait for the word, connect, and keep the state file current."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def make(number: int) -> Link:
        async with limit:
            home = folder / "agents" / str(number)
            store = IdentityStore(home)
            token = JoinToken.decode((folder / "tokens" / str(number)).read_text())
            identity = store.load() or await enrol(token, store, agent_version="bench")
        board = ReportBoard()
        board.put(
            "facts", report_pb2.ClusterFacts(kubernetes_version="v1.35.4", distribution="k3s")
        )
        return Link(
            identity=identity,
            store=store,
            journal=Journal(home / "journal.db", cluster_uid=identity.cluster_uid),
            board=board,
            stream_handlers={},
            command_handlers={},
            agent_version="bench",
            boot_id=secrets.token_hex(8),
        )

    links = await asyncio.gather(*(make(number) for number in numbers))
    await _word()
    async with asyncio.TaskGroup() as tasks:
        for link in links:
            tasks.create_task(_later(link.run(), len(links)))
        tasks.create_task(
            _tell(state, lambda: sum(link.state is LinkState.CONNECTED for link in links))
        )


async def bare(folder: Path, port: int, state: Path, numbers: range) -> None:
    """As many bare streams, each on a connection of its own."""
    credentials = grpc.ssl_channel_credentials((folder / "bare-ca.crt").read_bytes())
    options = [*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    up = [0]

    async def stream() -> None:
        while True:
            async with grpc.aio.secure_channel(
                f"localhost:{port}", credentials, options
            ) as channel:
                call = channel.stream_stream(
                    _BARE,
                    link_pb2.ConnectRequest.SerializeToString,
                    link_pb2.ConnectResponse.FromString,
                )()
                connected = False
                try:
                    while (message := await call.read()) is not grpc.aio.EOF:
                        if not connected:
                            connected = True
                            up[0] += 1
                        back = link_pb2.ConnectRequest()
                        back.frames.add().pong.id = message.frames[0].ping.id
                        await call.write(back)
                except (grpc.aio.AioRpcError, grpc.aio.UsageError):
                    pass  # the server went away; dialled again below
                up[0] -= connected
            await asyncio.sleep(0.5)

    await _word()
    async with asyncio.TaskGroup() as tasks:
        for _ in numbers:
            tasks.create_task(_later(stream(), len(numbers)))
        tasks.create_task(_tell(state, lambda: up[0]))


async def bare_server(folder: Path, port: int) -> None:
    """Pings every stream, reads what comes."""

    async def serve(requests: AsyncIterator[Any], context: Any) -> None:
        del requests
        number = 0
        while True:
            number += 1
            message = link_pb2.ConnectResponse()
            message.frames.add().ping.id = number
            await context.write(message)
            await context.read()
            await asyncio.sleep(_PING_SECONDS)

    if not (folder / "bare.crt").exists():  # a restart keeps its certificate, as ours does
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(folder / "bare-ca.crt")
        issued.private_key_pem.write_to_path(folder / "bare.key")
        issued.cert_chain_pems[0].write_to_path(folder / "bare.crt")
    key, certificate = ((folder / name).read_bytes() for name in ("bare.key", "bare.crt"))
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handler = grpc.stream_stream_rpc_method_handler(
        serve, link_pb2.ConnectRequest.FromString, link_pb2.ConnectResponse.SerializeToString
    )
    service, method = _BARE.strip("/").split("/")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


async def _later(work: Awaitable[None], of: int) -> None:
    """The first time they come one by one: what one process can simulate is not what is measured."""
    await asyncio.sleep(random.uniform(0, of / _DIALS_A_SECOND))
    await work


async def _word() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _tell(state: Path, count: Callable[[], int]) -> None:
    while True:
        waiting = state.with_suffix(".new")
        waiting.write_text(str(count()))
        waiting.replace(state)
        await asyncio.sleep(0.2)


def main(kind: str, *arguments: str) -> None:
    """`agents`, `bare` or `bare-server` with the arguments that `fleet` gives."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder, port = Path(arguments[0]), int(arguments[1])
    if kind == "bare-server":
        uvloop.run(bare_server(folder, port))
        return
    state, numbers = Path(arguments[2]), range(*json.loads(arguments[3]))
    if kind == "agents":
        uvloop.run(agents(folder, state, numbers))
    else:
        uvloop.run(bare(folder, port, state, numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
