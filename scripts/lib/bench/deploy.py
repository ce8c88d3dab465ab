"""Deploy: from the call to the moment all objects are applied, beside `kubectl apply` of the same manifests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import skerry
from skerry.cli.config.store import ConfigStore
from skerry.platform.v1 import app_pb2

from bench.results import Report, Row
from bench.running import ROOT, RunningPlatform

ROUNDS = 7
SERVICES = 6


def run() -> Report:
    platform = RunningPlatform()
    compose = _compose()
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        app = f"b{uuid.uuid4().hex[:6]}"
        ours.append(1000 * asyncio.run(_seconds_to_applied(app, compose)))
        platform.delete(app)
        theirs.append(1000 * _seconds_to_kubectl_apply(platform, app, compose))
    return Report(
        "deploy",
        f"kubectl apply --server-side of the same manifests ({SERVICES} services)",
        [Row("call to all objects applied", "ms", tuple(ours), tuple(theirs), False)],
    )


async def _seconds_to_applied(app: str, compose: str) -> float:
    config = ConfigStore.of(os.environ).load()
    context = config.contexts[config.current]
    bundle = app_pb2.Bundle(
        compose_files=["docker-compose.yml"],
        files=[app_pb2.BundleFile(path="docker-compose.yml", content=compose.encode())],
    )
    parent = "organizations/default/projects/bench/environments/bench"
    async with skerry.Client(context.server, context.token, ca=context.ca.encode()) as client:
        await (
            client.server.info()
        )  # the connection is warm, as kubectl's process start is not counted either way
        start = time.perf_counter()
        response = await client.apps.deploy(parent, app, bundle)
        async for deployment in client.deployments.watch(response.deployment):
            if deployment.objects_total and deployment.objects_applied >= deployment.objects_total:
                return time.perf_counter() - start
    raise RuntimeError("the deployment ended before its objects were applied")


def _seconds_to_kubectl_apply(platform: RunningPlatform, app: str, compose: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        source, manifests = Path(folder) / "docker-compose.yml", Path(folder) / "manifests.yaml"
        source.write_text(compose)
        with manifests.open("wb") as out:
            subprocess.run(
                [str(ROOT / ".venv/bin/skerry-agent"), "convert", "-f", str(source), "--app", app, "--namespace", platform.namespace],
                stdout=out, check=True,
            )  # fmt: skip
        apply = platform.kubectl("apply", "--server-side", "-f", str(manifests))
        start = time.perf_counter()
        subprocess.run(apply, check=True, capture_output=True)
        elapsed = time.perf_counter() - start
        subprocess.run(
            platform.kubectl("delete", "-f", str(manifests), "--wait=true"),
            check=True,
            capture_output=True,
        )
    return elapsed


def _compose() -> str:
    services = "".join(
        f"  s{number}:\n"
        "    image: docker.io/library/busybox:1.36\n"
        '    command: ["sleep", "1000000"]\n'
        "    stop_grace_period: 1s\n"
        "    expose: ['8080']\n"
        f"    environment: {{NUMBER: '{number}'}}\n"
        for number in range(SERVICES)
    )
    return f"services:\n{services}"
