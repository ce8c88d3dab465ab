"""A keystroke's echo through the link while bulk streams fill a slow line, beside raw grpc.aio with a call for each stream."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence

from bench.link.ends import Figures, Plan, server
from bench.link.slow_network import SlowNetwork, slow_network
from bench.results import Row
from bench.running import NotRunning

_MEGABITS = 40
_DELAYS = (1, 50, 200)
_BULK = (0, 1, 10, 100)
_SECONDS = 5.0
_ROUNDS = 2
_TIMEOUT = 60


def run(arguments: argparse.Namespace) -> tuple[Sequence[Row], Sequence[str]]:
    """Every delay with every number of streams; both sides in turns."""
    rows: list[Row] = []
    for delay in _DELAYS:
        found: dict[str, list[float]] = defaultdict(list)
        with slow_network(megabits=_MEGABITS, delay_milliseconds=delay) as network:
            for _ in range(min(arguments.rounds, _ROUNDS)):
                for streams in _BULK:
                    for side in ("link", "raw"):
                        figures = _once(network, Plan(side, streams, echo_seconds=_SECONDS))
                        key = f"{side} {streams}"
                        found[f"{key} p50"].append(figures.echo(0.5))
                        found[f"{key} p99"].append(figures.echo(0.99))
                        rate = figures.bulk_bytes * 8 / 1e6 / figures.seconds
                        found[f"{key} rate"].append(rate)
        rows += _rows(delay, found)
    return rows, [
        f"echo: {_MEGABITS} Mbit/s each way (tbf, 100 ms of queue) between two network namespaces; netem is not in this kernel, so "
        "a process between two TUN devices holds every packet for half of the added round trip; one key each 25 ms"
    ]


def _rows(delay: int, found: dict[str, list[float]]) -> list[Row]:
    rows = []
    idle = sorted(found["link 0 p99"])[len(found["link 0 p99"]) // 2]
    for streams in _BULK:
        where = f"+{delay} ms, {streams} bulk" if streams else f"+{delay} ms, idle"
        for share in ("p50", "p99"):
            aim = f"≤ {idle + 25:.0f}" if share == "p99" and streams else ""
            ours, theirs = (tuple(found[f"{side} {streams} {share}"]) for side in ("link", "raw"))
            rows.append(Row(f"echo {share}, {where}", "ms", ours, theirs, False, aim))
        if streams:
            ours, theirs = (tuple(found[f"{side} {streams} rate"]) for side in ("link", "raw"))
            rows.append(Row(f"bulk, {where}", "Mbit/s", ours, theirs, True, "≥ 34"))
    return rows


def _once(network: SlowNetwork, plan: Plan) -> Figures:
    with server(network.far_address, prefix=network.far) as (target, _pid):
        done = subprocess.run(
            [*network.near, sys.executable, "-m", "bench.link", "drive", target, json.dumps(dataclasses.asdict(plan))],
            capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    if done.returncode:
        raise NotRunning(f"the near end failed: {done.stderr[-2000:]}")
    return Figures(**json.loads(done.stdout))
