"""`scripts/bench [NAME] [--json]`."""

from __future__ import annotations

import argparse
import sys

from bench import compose, deploy, exec_open, link, logs
from bench.running import NotRunning

BENCHMARKS = {"link": link, "logs": logs, "exec": exec_open, "deploy": deploy, "compose": compose}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Runs one benchmark.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.name is None:
        for name, module in BENCHMARKS.items():
            print(f"{name:8} {(module.__doc__ or '').strip().splitlines()[0]}")
        return 0
    try:
        report = BENCHMARKS[arguments.name].run()
    except NotRunning as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(report.as_json() if arguments.json else report.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
