"""Who reaches whom: environments, the platform, the node, the API server, metadata, the world.

Every pair is tried from real pods and printed as a table. A pod in a namespace without guards tries
all of them too: what it cannot reach either would prove nothing.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import pytest

from agent.kube import KubeClient, Manifest
from agent.workloads.environments import Environments
from agent.workloads.model import EnvironmentSpec, LinkedEnvironment
from tests.integration.agent.conftest import IMAGE, App, eventually
from tests.integration.agent.outside import PORT, outside

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SERVER = f"""
services:
  web:
    image: {IMAGE}
    command: sh -c 'mkdir /tmp/www && echo welcome > /tmp/www/index.html && httpd -f -p 8080 -h /tmp/www'
    stop_grace_period: 0s
    ports: ["8080:8080"]
    healthcheck: {{test: [CMD, wget, -q, -O-, "http://127.0.0.1:8080/"], interval: 1s}}
"""
# Addresses reserved for documentation (RFC 5737), so no real host is meant.
INTERNET, METADATA, PRIVATE = "203.0.113.80", "169.254.169.254", "192.168.77.7"


@dataclass(frozen=True)
class Target:
    """Something that answers on TCP, and whether a tenant may reach it."""

    name: str
    host: str
    port: int
    allowed: bool


@dataclass(frozen=True)
class Source:
    """A pod that tries."""

    name: str
    namespace: str
    pod: str
    container: str


@dataclass
class Town:
    """Two tenants, and a bystander whose namespace nothing guards."""

    kube: KubeClient
    first: App
    second: App
    bystander: Source

    async def pod(self, app: App) -> Manifest:
        (pod,) = await app.pods("web")
        return pod

    async def tenant(self, app: App, name: str) -> Source:
        pod = await self.pod(app)
        return Source(name, app.environment.namespace, pod["metadata"]["name"], "web")

    async def address(self, app: App) -> str:
        return str((await self.pod(app))["status"]["podIP"])

    async def reaches(self, source: Source, host: str, port: int = 8080) -> bool:
        """Whether a connection is accepted."""
        session = await self.kube.exec(
            *(source.namespace, source.pod, source.container),
            ["nc", "-w", "2", host, str(port), "-e", "true"],
        )
        async for _ in session.output():
            pass
        await session.close()
        return session.result.exit_code == 0


@pytest.fixture
async def town(kube: KubeClient) -> AsyncIterator[Town]:
    mark = f"{random.randrange(16**6):06x}"
    names = [f"test-{mark}-{part}" for part in ("first", "second", "open")]
    first, second = (
        App(kube, EnvironmentSpec(name, f"uid-{name}", "default", "shop", "prod"))
        for name in names[:2]
    )
    try:
        await kube.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names[2]}},
            field_manager="test",
        )
        deployed = await asyncio.gather(first.deploy(SERVER), second.deploy(SERVER))
        assert [outcome.code for outcome in deployed] == [0, 0], deployed
        bystander = Source("bystander", names[2], "probe", "probe")
        await _start(kube, bystander)
        yield Town(kube, first, second, bystander)
    finally:
        for name in names:
            await kube.delete("v1", "Namespace", name)


async def test_every_pair_is_allowed_or_refused_as_written(town: Town, kube: KubeClient) -> None:
    sources = [
        await town.tenant(town.first, "first"),
        await town.tenant(town.second, "second"),
        town.bystander,
    ]
    addresses = [await town.address(app) for app in (town.first, town.second)]
    platform = await _platform(kube)
    with outside([INTERNET, METADATA, PRIVATE]):
        world = [
            Target("internet", INTERNET, PORT, allowed=True),
            Target("metadata service", METADATA, PORT, allowed=False),
            Target("operator's private network", PRIVATE, PORT, allowed=False),
        ]
        expected: dict[tuple[str, str], bool] = {}
        found: dict[tuple[str, str], bool] = {}
        for source, own in zip(sources, (0, 1, None), strict=True):
            tenants = [
                Target(f"{name} tenant's pod", addresses[at], 8080, allowed=at == own)
                for at, name in enumerate(("first", "second"))
            ]
            tenants += [
                Target(
                    f"{name} tenant's service",
                    f"web.{app.environment.namespace}.svc.cluster.local",
                    8080,
                    allowed=at == own,
                )
                for at, (name, app) in enumerate((("first", town.first), ("second", town.second)))
            ]
            for target in (*tenants, *platform, *world):
                pair = source.name, target.name
                is_tenant_pod = target in tenants
                expected[pair] = target.allowed or (own is None and not is_tenant_pod)
                found[pair] = await _settled(town, source, target, wanted=expected[pair])
    _print(found, expected)
    wrong = {pair: found[pair] for pair in found if found[pair] is not expected[pair]}
    assert not wrong


async def test_linked_environments_reach_each_other_and_nothing_more(town: Town) -> None:
    environments = Environments(town.kube)
    first, second = town.first.environment, town.second.environment
    here = await town.tenant(town.first, "first")
    there = await town.tenant(town.second, "second")
    to_first, to_second = await town.address(town.first), await town.address(town.second)

    async def link(spec: EnvironmentSpec, *peers: EnvironmentSpec, generation: int) -> None:
        links = tuple(LinkedEnvironment(peer.namespace, peer.uid) for peer in peers)
        await environments.ensure(replace(spec, links=links, generation=generation))

    async def open_to(source: Source, host: str) -> bool:
        return await town.reaches(source, host)

    async def both() -> bool:
        return await open_to(here, to_second) and await open_to(there, to_first)

    async def neither() -> bool:
        return not (await open_to(here, to_second) or await open_to(there, to_first))

    await eventually(neither)
    await link(first, second, generation=2)
    assert await neither(), "one side alone must open nothing"
    await link(second, first, generation=2)
    await eventually(both)
    assert not await open_to(town.bystander, to_first)
    assert not await open_to(town.bystander, to_second)
    assert not await town.reaches(here, "kubernetes.default.svc.cluster.local", 443)

    # A deploy that was decided before the link does not take it away.
    await environments.ensure(replace(first, generation=1))
    assert await both()

    await link(first, generation=3)
    await link(second, generation=3)
    await eventually(neither)
    names = {
        policy["metadata"]["name"]
        for app in (town.first, town.second)
        for policy in await town.kube.list(
            "networking.k8s.io/v1", "NetworkPolicy", app.environment.namespace
        )
    }
    assert not [name for name in names if "link" in name]


async def test_a_tenants_pod_has_no_token_and_no_host(town: Town) -> None:
    pod = await town.pod(town.first)
    spec = pod["spec"]
    assert not spec.get("hostNetwork")
    assert not spec.get("hostPID")
    assert [v for v in spec.get("volumes", ()) if "hostPath" in v or "projected" in v] == []
    source = await town.tenant(town.first, "first")
    session = await town.kube.exec(
        *(source.namespace, source.pod, source.container),
        [
            *("sh", "-c"),
            "ls -d /var/run/secrets/kubernetes.io /run/containerd /var/run/docker.sock 2>/dev/null;"
            " ls /dev | grep -E '^(sd|vd|nvme|kvm|mem|kmsg)'; true",
        ],
    )
    printed = b"".join([data async for _, data in session.output()])
    await session.close()
    assert printed == b""


async def _platform(kube: KubeClient) -> list[Target]:
    """What belongs to the cluster and answers."""
    (node, *_) = await kube.list("v1", "Node")
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    targets = [
        Target("node: kubelet", address, 10250, allowed=False),
        Target("node: API server", address, 6443, allowed=False),
        Target("API server's service", "kubernetes.default.svc.cluster.local", 443, allowed=False),
    ]
    for name, namespace, selector, port, allowed in (
        ("name server: DNS", "kube-system", "k8s-app=kube-dns", 53, True),
        ("name server: metrics", "kube-system", "k8s-app=kube-dns", 9153, False),
        ("metrics server", "kube-system", "k8s-app=metrics-server", 10250, False),
        ("shared S3", "skerry-storage", "app.kubernetes.io/name=garage", 3900, True),
        ("S3 administration", "skerry-storage", "app.kubernetes.io/name=garage", 3903, False),
    ):
        pods = await kube.list("v1", "Pod", namespace, selector)
        targets += [
            Target(name, pod["status"]["podIP"], port, allowed)
            for pod in pods[:1]
            if pod["status"].get("phase") == "Running"
        ]
    return targets


async def _settled(town: Town, source: Source, target: Target, *, wanted: bool) -> bool:
    """Whether it is reached, once policies had time to take hold."""
    found = not wanted

    async def as_wanted() -> bool:
        nonlocal found
        found = await town.reaches(source, target.host, target.port)
        return found is wanted

    try:
        await eventually(as_wanted, within=60.0)
    except TimeoutError:
        return found
    return found


def _print(found: Mapping[tuple[str, str], bool], expected: Mapping[tuple[str, str], bool]) -> None:
    sources = list(dict.fromkeys(source for source, _ in found))
    targets = list(dict.fromkeys(target for _, target in found))
    lines = ["", "to \\ from".ljust(28) + "".join(source.ljust(12) for source in sources)]
    for target in targets:
        cells = []
        for source in sources:
            pair = source, target
            word = "allowed" if found[pair] else "refused"
            cells.append((word + ("" if found[pair] is expected[pair] else " !!")).ljust(12))
        lines.append(target.ljust(28) + "".join(cells))
    sys.stdout.write("\n".join(lines) + "\n")


async def _start(kube: KubeClient, source: Source) -> None:
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": source.pod, "namespace": source.namespace},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": source.container, "image": IMAGE, "command": ["sleep", "3600"]}
            ],
        },
    }

    async def accepted() -> bool:
        await kube.apply(pod, field_manager="test")
        return True

    async def runs() -> bool:
        found = await kube.get("v1", "Pod", source.pod, source.namespace)
        return found is not None and found["status"].get("phase") == "Running"

    await eventually(accepted)  # not before the namespace has its service account
    await eventually(runs)
