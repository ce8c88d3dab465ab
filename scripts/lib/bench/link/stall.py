"""One consumer that stalls: what it costs the seven others, and how much the sender is made to hold for it."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence

import uvloop

from bench.link.ends import Plan, drive, server
from bench.results import Row

_OTHERS = 7
_SECONDS = 3.0


def run(arguments: argparse.Namespace) -> tuple[Sequence[Row], Sequence[str]]:
    """With and without the stalled one, ours and raw grpc.aio, in turns."""
    found: dict[str, list[float]] = defaultdict(list)
    with server() as (target, _pid):
        for _ in range(arguments.rounds):
            for side in ("link", "raw"):
                for stalled in (0, 1):
                    figures = uvloop.run(
                        drive(
                            target,
                            Plan(side, _OTHERS, stalled=stalled, echo_seconds=_SECONDS),
                        )
                    )
                    found[f"{side} {stalled}"].append(figures.bulk_bytes / 1e6 / figures.seconds)
                    found[f"{side} {stalled} p99"].append(figures.echo(0.99))
                    if stalled:
                        found[f"{side} held"].append(figures.held / 1024)
    beside, alone = (tuple(found[f"link {stalled}"]) for stalled in (1, 0))
    return (
        [
            Row(
                "7 streams beside a stalled one / without it",
                "MB/s",
                beside,
                alone,
                higher_is_better=True,
                aim="unaffected",
            ),
            Row(
                "7 streams beside a stalled one / raw grpc.aio",
                "MB/s",
                beside,
                tuple(found["raw 1"]),
                higher_is_better=True,
            ),
            Row(
                "keystroke echo p99 beside them",
                "ms",
                tuple(found["link 1 p99"]),
                tuple(found["raw 1 p99"]),
                higher_is_better=False,
            ),
            Row(
                "held for the stalled stream",
                "KiB",
                tuple(found["link held"]),
                tuple(found["raw held"]),
                higher_is_better=False,
                aim="bounded",
            ),
        ],
        ["stall: in the first row `theirs` is ours without the stalled consumer"],
    )
