"""How long a stream takes to open: exec and logs to their first byte, as processes beside kubectl, and over an open connection."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence

import skerry
from skerry.cli.config.store import ConfigStore
from skerry.platform.v1 import log_pb2

from bench.results import Row
from bench.running import WHERE, RunningPlatform, seconds_to_first_byte

_ROUNDS = 9
_APP = "organizations/default/projects/bench/environments/bench/apps/opening"
_PRINTER = """
services:
  printer:
    image: docker.io/library/busybox:1.36
    command: ["sh", "-c", "echo hello; sleep 1000000"]
    stop_grace_period: 1s
"""


def run(arguments: argparse.Namespace) -> tuple[Sequence[Row], Sequence[str]]:
    """On one pod of the running platform."""
    del arguments
    platform = RunningPlatform()
    platform.deploy("opening", _PRINTER)
    pod = platform.pod("opening", "printer")
    pairs = {
        "exec": (
            [platform.skerry, "exec", *WHERE, "opening", "--", "echo", "x"],
            platform.kubectl("exec", pod, "--", "echo", "x"),
        ),
        "logs": (
            [platform.skerry, "logs", *WHERE, "opening"],
            platform.kubectl("logs", pod),
        ),
    }
    rows = []
    for what, (ours, theirs) in pairs.items():
        own, other = [], []
        for _ in range(_ROUNDS):
            own.append(1000 * seconds_to_first_byte(ours))
            other.append(1000 * seconds_to_first_byte(theirs))
        row = Row(
            f"{what}, process start to first byte / kubectl {what}",
            "ms",
            tuple(own),
            tuple(other),
            higher_is_better=False,
            aim="≤ theirs" if what == "exec" else "",
        )
        rows.append(row)
    exec_times, log_times = asyncio.run(_over_an_open_connection())
    rows.append(Row("exec, call to first byte, connection open", "ms", exec_times, (), False))
    rows.append(Row("logs, call to first byte, connection open", "ms", log_times, (), False))
    platform.delete("opening")
    return rows, []


async def _over_an_open_connection() -> tuple[tuple[float, ...], tuple[float, ...]]:
    config = ConfigStore.of(os.environ).load()
    context = config.contexts[config.current]
    execs, logs = [], []
    async with skerry.Client(context.server, context.token, ca=context.ca.encode()) as client:
        await client.server.info()
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            async with client.terminals.exec(_APP, ["echo", "x"]) as session:
                async for _piece in session.output():
                    execs.append(1000 * (time.perf_counter() - start))
                    break
            start = time.perf_counter()
            async for event in client.logs.tail(_APP):
                if isinstance(event, log_pb2.LogChunk):
                    logs.append(1000 * (time.perf_counter() - start))
                    break
    return tuple(execs), tuple(logs)
