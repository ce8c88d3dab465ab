"""Chaos: how soon a fault of the link shows and how soon all is back, with a log follow open and a deploy under way.

Runs the faults of `tests/e2e/chaos.py` on a control plane and agents of its own, on the dev cluster; a fault that loses or
doubles something, or from which there is no way back, is a note and no row. There is nothing beside it to compare with. Takes about ten minutes; needs root.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.results import Report, Row
from bench.running import NotRunning, dev_kubeconfig
from tests.e2e import chaos
from tests.e2e.platform import Platform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scripts/bench chaos`."""
    parser.add_argument("--fault", help="only those whose name contains this")
    parser.add_argument(
        "--proxy-seconds", type=float, default=60, help="how often the proxy cuts, five times"
    )


def run(arguments: argparse.Namespace) -> Report:
    """Every fault once."""
    if not chaos.is_root():
        raise NotRunning("packets are dropped and a file system is mounted: needs root")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a background job: the programs started from here would inherit it and could not be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = arguments.fault or ""
    rows: list[Row] = []
    notes: list[str] = []
    faults = [*chaos.with_cuts_every(arguments.proxy_seconds), *chaos.DISK_FAULTS]
    chosen = [fault for fault in faults if wanted in fault.name]
    rows += _suffer(chosen, notes, clocks=False)
    if chaos.FAKETIME.exists():
        clock_faults = [fault for fault in chaos.CLOCK_FAULTS if wanted in fault.name]
        rows += _suffer(clock_faults, notes, clocks=True)
    else:
        notes.append("clock jumps left out: they need libfaketime (apt-get install faketime)")
    notes.append("in every row: no log line lost or doubled, the deploy under way done once")
    if not rows:
        raise NotRunning("\n".join(notes))
    return Report("chaos", "nothing", rows, notes)


def _suffer(faults: Sequence[chaos.Fault], notes: list[str], *, clocks: bool) -> Iterator[Row]:
    if not faults:
        return
    with _platform(clocks=clocks) as platform, tempfile.TemporaryDirectory() as project:
        for fault in faults:
            print(f"bench: {fault.name}", file=sys.stderr)
            environment = f"t{uuid.uuid4().hex[:8]}"
            platform.cli("env", "create", environment, "--cluster", "home")
            namespace = platform.json("env", "get", environment)["namespace"]
            try:
                recovery = chaos.suffer(platform, environment, Path(project), fault)
            except AssertionError as error:
                notes.append(f"NOT SURVIVED: {fault.name}: {error}")
                continue
            print(f"bench: {recovery}", file=sys.stderr)
            platform.kubectl("delete", "namespace", namespace, "--wait=false", check=False)
            if recovery.noticed is not None:
                yield Row(f"{fault.name}: shows after", "s", (recovery.noticed,), (), False)
            yield Row(f"{fault.name}: all back after", "s", (recovery.recovered,), (), False)


@contextmanager
def _platform(*, clocks: bool) -> Iterator[Platform]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skerry-chaos-")))
        faked = chaos.faked_clocks(folder) if clocks else {}
        platform = Platform(folder, dev_kubeconfig(), **faked)
        if not clocks:
            stack.enter_context(chaos.small_disk(platform.agent_state))
        stack.enter_context(platform.running())
        platform.cli("project", "create", "shop")
        yield platform
