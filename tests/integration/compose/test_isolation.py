"""Networks of a file keep services apart on a real cluster, in a namespace that allows it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.compose import Context, Manifest, SourceFile, plan
from agent.kube import KubeClient
from agent.kube.exec import OutputChannel

IMAGE = "docker.io/library/busybox:1.36"
SERVER = f"{{image: {IMAGE}, command: httpd -f -p 8000, expose: [8000]"
COMPOSE = f"""
services:
  proxy: {SERVER}, networks: [front]}}
  app: {SERVER}, networks: [front, back]}}
  db: {SERVER}, networks: [back]}}
networks: {{front: , back: }}
"""
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def namespace_policies(namespace: str) -> list[Manifest]:
    """What `Context.network_isolation` promises: default deny, DNS, and peers for pods that are
    not isolated."""
    not_isolated = {
        "matchExpressions": [{"key": "skerry.dev/isolated", "operator": "DoesNotExist"}]
    }
    both = ["Ingress", "Egress"]
    everyone = [{"podSelector": {}}]
    specs: dict[str, Manifest] = {
        "deny": {"podSelector": {}, "policyTypes": both},
        "peers": {
            "podSelector": not_isolated,
            "policyTypes": both,
            "ingress": [{"from": everyone}],
            "egress": [{"to": everyone}],
        },
        "dns": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "UDP", "port": 53}]}
            ],
        },
    }
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        for name, spec in specs.items()
    ]


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client


@pytest.fixture
async def namespace(kube: KubeClient) -> AsyncIterator[str]:
    name = f"test-compose-{random.randrange(16**6):06x}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await kube.apply(manifest, field_manager="test")
    yield name
    await kube.delete("v1", "Namespace", name)


async def running_pods(kube: KubeClient, namespace: str, count: int) -> dict[str, str]:
    """Names of the pods by service, once all are ready."""
    found: dict[str, str] = {}
    async with asyncio.timeout(120):
        async for event in kube.watch("v1", "Pod", namespace):
            status = event.obj.get("status", {})
            if any(
                c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
            ):
                metadata = event.obj["metadata"]
                found[metadata["labels"]["skerry.dev/service"]] = metadata["name"]
            if len(found) == count:
                return found
    raise AssertionError("the watch ended")


async def connects(kube: KubeClient, namespace: str, pod: str, client: str, server: str) -> bool:
    command = ["nc", "-w", "2", server, "8000", "-e", "true"]
    session = await kube.exec(namespace, pod, client, command)
    try:
        async for channel, data in session.output():
            assert channel in tuple(OutputChannel), data
        return session.result.exit_code == 0
    finally:
        await session.close()


async def test_only_services_on_a_common_network_connect(kube: KubeClient, namespace: str) -> None:
    context = Context(app="live", namespace=namespace, network_isolation=True)
    result = plan([SourceFile("compose.yml", COMPOSE.encode())], context)
    assert not result.rejected, [str(d) for d in result.diagnostics]
    for manifest in (*namespace_policies(namespace), *result.manifests):
        await kube.apply(manifest, field_manager="test")
    pods = await running_pods(kube, namespace, 3)
    # A policy holds a moment after its pods run: wait until the pair that must not connect does
    # not.
    async with asyncio.timeout(90):
        while await connects(kube, namespace, pods["proxy"], "proxy", "db"):
            continue
    pairs = [(a, b) for a in pods for b in pods if a != b]
    found = {
        (client, server)
        for client, server in pairs
        if await connects(kube, namespace, pods[client], client, server)
    }
    assert found == {("proxy", "app"), ("app", "proxy"), ("app", "db"), ("db", "app")}
