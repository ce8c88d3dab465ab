"""How much the link carries and at what CPU, beside a raw grpc.aio stream over the same loopback."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence

import uvloop

from bench.link.ends import Plan, cpu_seconds, drive, server
from bench.results import Row

_KIB64 = 64 * 1024
_LARGE = 6_000
_SMALL, _SMALL_COUNT, _RAW_SMALL_COUNT = 100, 300_000, 20_000


def run(arguments: argparse.Namespace) -> tuple[Sequence[Row], Sequence[str]]:
    """Both sides in turns."""
    found: dict[str, list[float]] = defaultdict(list)
    with server() as (target, pid):
        for _ in range(arguments.rounds):
            for side in ("link", "raw"):
                for streams in (1, 32):
                    seconds, cpu = _once(
                        target, pid, Plan(side, streams, _KIB64, _LARGE // streams * streams)
                    )
                    size = _KIB64 * (_LARGE // streams * streams)
                    found[f"{side} MB/s {streams}"].append(size / 1e6 / seconds)
                    found[f"{side} cpu {streams}"].append(cpu / (size / 1e9))
                count = _SMALL_COUNT if side == "link" else _RAW_SMALL_COUNT
                seconds, _ = _once(target, pid, Plan(side, 1, _SMALL, count))
                found[f"{side} frames"].append(count / seconds)

    def row(what: str, unit: str, key: str, *, higher: bool, aim: str = "") -> Row:
        return Row(what, unit, tuple(found[f"link {key}"]), tuple(found[f"raw {key}"]), higher, aim)

    return (
        [
            row("100 B frames, batched", "frames/s", "frames", higher=True, aim="≥ 150,000"),
            row("64 KiB at a time, 1 stream", "MB/s", "MB/s 1", higher=True, aim="≥ 0.9 of theirs"),
            row("64 KiB at a time, 32 streams", "MB/s", "MB/s 32", higher=True),
            row("CPU of both ends, 1 stream", "CPU-s/GB", "cpu 1", higher=False),
            row("CPU of both ends, 32 streams", "CPU-s/GB", "cpu 32", higher=False),
        ],
        [
            "rates: over loopback without TLS; raw grpc.aio sends one payload a message, one call a stream"
        ],
    )


def _once(target: str, pid: int, plan: Plan) -> tuple[float, float]:
    before = cpu_seconds(pid)
    figures = uvloop.run(drive(target, plan))
    return figures.seconds, figures.near_cpu + cpu_seconds(pid) - before
