"""Measure the agent link beside raw grpc.aio and kubectl: rates, fairness, open times, thousands of agents.

Without options: what takes a minute (`rates` and `stall`). `--part NAME`, once or more, chooses; `--all` runs everything.

  rates   frames/s and MB/s with 1 and 32 streams, CPU, beside raw grpc.aio
  stall   one consumer that stalls beside seven that read, and what it makes the sender hold
  echo    a keystroke's echo idle and under bulk streams, over a slow link with delay (needs root: network namespaces)
  open    exec and logs, from nothing to the first byte, beside kubectl (needs scripts/up)
  fleet   thousands of idle agents on one control plane, and all of them coming back after a restart
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from bench.link import echo, fleet, opening, rates, stall
from bench.results import Report, Row

Part = Callable[[argparse.Namespace], tuple[Sequence[Row], Sequence[str]]]
PARTS: dict[str, Part] = {
    "rates": rates.run,
    "stall": stall.run,
    "echo": echo.run,
    "open": opening.run,
    "fleet": fleet.run,
}
DEFAULT = ("rates", "stall")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scripts/bench link`."""
    parser.add_argument("--part", action="append", choices=sorted(PARTS), help="run this part")
    parser.add_argument("--all", action="store_true", help="run every part")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side, in turns")
    parser.add_argument(
        "--agents", type=int, default=5000, help="how many agents `fleet` simulates"
    )
    parser.add_argument(
        "--idle-seconds", type=int, default=60, help="how long `fleet` watches them be idle"
    )


def run(arguments: argparse.Namespace) -> Report:
    """Run the chosen parts one after the other. MB are 10^6 bytes."""
    chosen = tuple(PARTS) if arguments.all else tuple(arguments.part or DEFAULT)
    rows: list[Row] = []
    notes: list[str] = []
    for name in chosen:
        part_rows, part_notes = PARTS[name](arguments)
        rows += part_rows
        notes += part_notes
    return Report("link", "raw grpc.aio, or kubectl where it says so", rows, notes)
