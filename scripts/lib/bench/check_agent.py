"""The agent of `scripts/bench check`, as a process of its own: the real link and the real check handler, and no cluster.

`python -m bench.check_agent TOKEN STATE_DIR`; runs until it is told to stop.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop
from skerry.agent.v1 import command_pb2
from skerry.wire.join_token import JoinToken

from agent.compose import plan
from agent.handlers.check import CheckHandler
from agent.link import IdentityStore, Journal, Link, ReportBoard, enrol
from agent.workloads.checking import Checker


async def main(token: str, state: Path) -> None:
    store = IdentityStore(state)
    identity = await enrol(JoinToken.decode(token), store, agent_version="bench")
    with ThreadPoolExecutor(2, "check") as executor:
        link = Link(
            identity=identity,
            store=store,
            journal=Journal(state / "journal.db", cluster_uid=identity.cluster_uid),
            board=ReportBoard(),
            stream_handlers={"check": CheckHandler(Checker(plan, executor))},
            command_handlers={"ensure_environment": _nothing_to_do},
            agent_version="bench",
            boot_id="bench",
        )
        await link.run()


async def _nothing_to_do(
    _command: command_pb2.Command, _progress: object
) -> command_pb2.CommandResult:
    return command_pb2.CommandResult()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
