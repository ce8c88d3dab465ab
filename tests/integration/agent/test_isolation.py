"""Environments are walled off from each other, from the nodes and from the API server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from agent.kube import KubeClient
from agent.workloads.model import EnvironmentSpec
from tests.integration.agent.conftest import IMAGE, App, eventually

pytestmark = pytest.mark.cluster

SERVER = f"""
services:
  web:
    image: {IMAGE}
    command: sh -c 'mkdir /tmp/www && echo welcome > /tmp/www/index.html && httpd -f -p 8080 -h /tmp/www'
    stop_grace_period: 0s
    ports: ["8080:8080"]
    healthcheck: {{test: [CMD, wget, -q, -O-, "http://127.0.0.1:8080/"], interval: 1s}}
"""
CLIENT = f"""
  client:
    image: {IMAGE}
    command: sleep 3600
    stop_grace_period: 0s
"""


@pytest.fixture
async def elsewhere(kube: KubeClient) -> AsyncIterator[App]:
    """The same server in another environment."""
    name = f"test-agent-{random.randrange(16**6):06x}"
    yield App(kube, EnvironmentSpec(name, f"uid-{name}", "default", "shop", "other"))
    await kube.delete("v1", "Namespace", name)


async def reaches(app: App, host: str, port: int = 8080) -> bool:
    """Whether a connection from the app's `client` pod succeeds."""
    (pod,) = await app.pods("client")
    session = await app.kube.exec(
        *(app.environment.namespace, pod["metadata"]["name"], "client"),
        ["nc", "-w", "2", host, str(port), "-e", "true"],
    )
    async for _ in session.output():
        pass
    await session.close()
    return session.result.exit_code == 0


async def test_only_the_own_environment_is_within_reach(
    app: App, elsewhere: App, kube: KubeClient
) -> None:
    deployed = await asyncio.gather(app.deploy(SERVER + CLIENT), elsewhere.deploy(SERVER))
    assert [outcome.code for outcome in deployed] == [0, 0]
    (mine,), (other,) = await app.pods("web"), await elsewhere.pods("web")
    (node, *_) = await kube.list("v1", "Node")
    addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}

    async def own_service() -> bool:
        return await reaches(app, "web")

    await eventually(own_service)
    assert await reaches(app, mine["status"]["podIP"])
    assert not await reaches(app, other["status"]["podIP"])
    assert not await reaches(app, f"web.{elsewhere.environment.namespace}.svc.cluster.local")
    assert not await reaches(app, addresses["InternalIP"], 10250)
    assert not await reaches(app, "kubernetes.default.svc.cluster.local", 443)
