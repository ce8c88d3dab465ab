"""Check a compose project as an editor does, end to end, beside the converter alone.

Three processes on the loopback, TLS between them: this client, a control plane, and an agent that has
the real link and check handler but no cluster. Every file of the corpus is checked in each run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import skerry
from skerry import names
from skerry.platform.v1 import app_pb2

from agent.compose import Context, SourceFile, plan
from bench.compose import FOLDERS, bundle_files, paths
from bench.results import Report, Row
from bench.running import ROOT, NotRunning

RUNS = 3
_BUNDLE_BYTES = 1 << 20
_BUNDLE_FILES = 200
_PATIENCE = 60.0


def run() -> Report:
    projects = [files for path in paths(FOLDERS) if (files := _project(path)) is not None]
    ours, theirs = asyncio.run(_measure(projects))
    rows = [
        Row(
            f"{what} of {len(projects)} files",
            "ms",
            _each(ours, share),
            _each(theirs, share),
            False,
        )
        for what, share in (("p50", 0.5), ("p99", 0.99))
    ]
    return Report("check", "the converter alone, called in this process", rows)


async def _measure(
    projects: Sequence[app_pb2.Bundle],
) -> tuple[list[list[float]], list[list[float]]]:
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    async with _platform() as (client, environment):
        for bundle in projects[:20]:
            await client.apps.check(environment, bundle)
        for _ in range(RUNS):
            ours.append([await _check(client, environment, bundle) for bundle in projects])
            theirs.append([_convert(bundle) for bundle in projects])
    return ours, theirs


async def _check(client: skerry.Client, environment: str, bundle: app_pb2.Bundle) -> float:
    start = time.perf_counter()
    await client.apps.check(environment, bundle)
    return 1000 * (time.perf_counter() - start)


def _convert(bundle: app_pb2.Bundle) -> float:
    files = {file.path: file.content for file in bundle.files}
    start = time.perf_counter()
    sources = [SourceFile(path, files[path]) for path in bundle.compose_files]
    plan(sources, Context(app="app", namespace="ns", files=files))
    return 1000 * (time.perf_counter() - start)


def _each(runs: Sequence[Sequence[float]], share: float) -> tuple[float, ...]:
    return tuple(statistics.quantiles(run, n=100)[round(share * 100) - 1] for run in runs)


def _project(path: Path) -> app_pb2.Bundle | None:
    """The file and those beside it; None where a bundle may not hold them."""
    files = {**bundle_files(path), path.name: path.read_bytes()}
    if sum(map(len, files.values())) > _BUNDLE_BYTES or len(files) > _BUNDLE_FILES:
        files = {path.name: path.read_bytes()}
    if not files[path.name]:
        return None
    return app_pb2.Bundle(
        compose_files=[path.name],
        files=[app_pb2.BundleFile(path=name, content=text) for name, text in files.items()],
    )


@contextlib.asynccontextmanager
async def _platform() -> AsyncIterator[tuple[skerry.Client, str]]:
    """A control plane and an agent, and a client with an environment to check in."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        base = Path(folder)
        api, agents, edge = (f"127.0.0.1:{port}" for port in _free_ports(3))
        settings = {
            "DATA_DIR": str(base / "data"),
            "API_LISTEN": api,
            "AGENT_LISTEN": agents,
            "EDGE_LISTEN": edge,
            "ADMIN_TOKEN_FILE": str(base / "token"),
            "LOG_LEVEL": "error",
        }
        _start(
            processes,
            [str(ROOT / ".venv/bin/skerry-controlplane"), "serve"],
            {f"SKERRY_CONTROLPLANE_{name}": value for name, value in settings.items()},
        )
        ca = base / "data/pki/ca.crt"
        await _until(lambda: (base / "token").exists() and ca.exists(), "the control plane")
        token = (base / "token").read_text().strip()
        async with skerry.Client(api, token, ca=ca) as client:
            await client.clusters.create("bench")
            join = await client.clusters.create_join_token("clusters/bench")
            _start(
                processes,
                [sys.executable, "-m", "bench.check_agent", join.token, str(base / "agent")],
                {"PYTHONPATH": f"{ROOT / 'scripts/lib'}:{ROOT}"},
            )
            await client.projects.create("bench")
            made = await client.environments.create(
                names.project("bench"), "bench", cluster="clusters/bench"
            )
            try:
                async with asyncio.timeout(_PATIENCE):
                    await client.operations.wait(made.operation.name)
            except TimeoutError as error:
                raise NotRunning(f"the agent did not join within {_PATIENCE:.0f} s") from error
            yield client, names.environment("bench", "bench")


def _start(processes: contextlib.ExitStack, argv: Sequence[str], environ: dict[str, str]) -> None:
    process = subprocess.Popen(
        argv, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    processes.callback(process.wait)
    processes.callback(process.terminate)


async def _until(condition: object, what: str) -> None:
    assert callable(condition)
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise NotRunning(f"{what} did not start within {_PATIENCE:.0f} s")
        await asyncio.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
