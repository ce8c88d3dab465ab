"""Runs many schedules of the simulated link, in as many processes as there are cores."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time

from tests.unit.wire.link_world import Violation, run

_CHUNK = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="SEED")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    if arguments.seed is not None:
        run(arguments.seed)
        print(f"seed {arguments.seed}: all that must hold holds")
        return 0
    begun = time.monotonic()
    last = arguments.first + arguments.count
    chunks = [(first, min(first + _CHUNK, last)) for first in range(arguments.first, last, _CHUNK)]
    failed = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for violations in pool.imap_unordered(_run_chunk, chunks):
            failed += len(violations)
            for line in violations:
                print(line, flush=True)
    seconds = time.monotonic() - begun
    print(f"{arguments.count} schedules, {failed} failed, {seconds:.0f} s")
    return 1 if failed else 0


def _run_chunk(seeds: tuple[int, int]) -> list[str]:
    violations = []
    for seed in range(*seeds):
        try:
            run(seed)
        except Violation as violation:
            violations.append(f"seed {seed}: {violation}")
    return violations


if __name__ == "__main__":
    sys.exit(main())
