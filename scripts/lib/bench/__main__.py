"""`scripts/bench [NAME] [--json] [options of the benchmark]`."""

from __future__ import annotations

import argparse
import sys

from bench import chaos, check, compose, deploy, exec_open, link, logs
from bench.running import NotRunning

BENCHMARKS = {
    "link": link,
    "chaos": chaos,
    "logs": logs,
    "exec": exec_open,
    "deploy": deploy,
    "compose": compose,
    "check": check,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Runs one benchmark.")
    names = parser.add_subparsers(dest="name", metavar="NAME")
    for name, module in BENCHMARKS.items():
        one = names.add_parser(name, description=module.__doc__, help=_first_line(module.__doc__))
        one.add_argument("--json", action="store_true", help="print one JSON object")
        if add_arguments := getattr(module, "add_arguments", None):
            add_arguments(one)
    arguments = parser.parse_args()
    if arguments.name is None:
        for name, module in BENCHMARKS.items():
            print(f"{name:8} {_first_line(module.__doc__)}")
        return 0
    module = BENCHMARKS[arguments.name]
    try:
        report = module.run(arguments) if hasattr(module, "add_arguments") else module.run()
    except NotRunning as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(report.as_json() if arguments.json else report.as_table())
    return 0


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
