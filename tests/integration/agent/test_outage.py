"""The API server goes away for a moment: what is under way goes on where it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from skerry.agent.v1 import link_pb2, stream_pb2

from agent.handlers.logs import LogsHandler
from agent.kube import KubeClient
from agent.workloads.model import EnvironmentSpec, Phase
from tests.e2e.cutting_proxy import CuttingProxy
from tests.integration.agent.conftest import App, eventually
from tests.integration.agent.streams import MemoryStream
from tests.integration.agent.test_deploy import WEB
from tests.integration.agent.test_logs import pod, start, texts

pytestmark = pytest.mark.cluster


@pytest.fixture
def proxy(kubeconfig: str, tmp_path: Path) -> Iterator[tuple[CuttingProxy, Path]]:
    """A proxy before the API server, and a kubeconfig that leads through it."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    assert server.hostname
    with CuttingProxy((server.hostname, server.port or 443)) as running:
        cluster["server"] = f"https://127.0.0.1:{running.port}"
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        yield running, path


@pytest.fixture
async def shaky(proxy: tuple[CuttingProxy, Path]) -> AsyncIterator[KubeClient]:
    """A client whose connections the test can cut."""
    async with KubeClient(proxy[1]) as client:
        yield client


async def test_a_deploy_goes_on_after_an_outage(
    shaky: KubeClient,
    kube: KubeClient,
    environment: EnvironmentSpec,
    proxy: tuple[CuttingProxy, Path],
) -> None:
    app = App(shaky, environment)
    compose = WEB + (
        "    healthcheck: {test: [CMD, test, -e, /tmp/up], interval: 1s, start_interval: 1s}\n"
    )
    deploying = asyncio.create_task(app.deploy(compose))

    async def rolling_out() -> bool:
        return any(state and state.phase is Phase.ROLLING_OUT for _, state in app.progress)

    await eventually(rolling_out)
    proxy[0].cut()
    namespace = environment.namespace

    async def touched() -> bool:
        (found,) = await kube.list("v1", "Pod", namespace, "skerry.dev/service=web")
        name = found["metadata"]["name"]
        session = await kube.exec(namespace, name, "web", ["touch", "/tmp/up"])
        async for _ in session.output():
            pass
        await session.close()
        return session.result.exit_code == 0

    async def ready() -> bool:
        found = await kube.get("apps/v1", "Deployment", "web", namespace)
        return bool(found and found["status"].get("availableReplicas"))

    await eventually(touched)
    await eventually(ready)  # while the agent sees nothing
    proxy[0].heal()
    outcome = await deploying
    assert outcome.code == 0, outcome.message


async def test_a_followed_log_has_no_hole_after_an_outage(
    shaky: KubeClient, namespace: str, proxy: tuple[CuttingProxy, Path]
) -> None:
    script = "i=0; while true; do echo $i; i=$((i+1)); sleep 0.0$((i%3)); done"
    await start(shaky, pod(namespace, "a", script))
    stream = MemoryStream(capacity=100_000)
    opened = link_pb2.Open(logs=stream_pb2.OpenLogs(app="demo", namespace=namespace, follow=True))
    task = asyncio.create_task(LogsHandler(shaky)(opened, stream))
    numbers: list[str] = []
    for _ in range(3):
        target = len(numbers) + random.randrange(50, 100)
        while len(numbers) < target:
            numbers += texts([await stream.event()])
        proxy[0].cut()
        proxy[0].heal()
    target = len(numbers) + 100
    while len(numbers) < target:
        numbers += texts([await stream.event()])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert numbers == [str(i) for i in range(len(numbers))]
