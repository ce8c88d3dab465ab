"""What the converter makes is accepted by a real API server under Pod Security `baseline`.

Every object goes through a strict server-side dry run, and every pod template also as a Pod, which
is where Pod Security admission looks.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from agent.bundle import FolderBundle
from agent.compose import Context, Manifest, Plan, SourceFile, plan
from agent.kube import KubeClient
from agent.kube.errors import KubeError

ROOT = Path(__file__).parents[3]
CORPUS = ROOT.parent / "shared/corpus"
AT_ONCE = 16

# Values that are accepted by grammar and could still be refused by the API server.
ODD_VALUES = (
    "working_dir: rel",
    f"hostname: {'h' * 90}",
    "hostname: '---'",
    f"container_name: {'c' * 200}",
    "sysctls: {net.ipv4.tcp_syncookies: ''}",
    "tmpfs: ['/a:size=0', '/b:c']",
    "volumes: [{type: tmpfs, target: '/a:b'}]",
    "volumes: [{type: image, source: 'a/b:1', target: /i, image: {subpath: x/./y}}, "
    "{type: image, source: 'a/b:1', target: /j}]\n    pull_policy: daily",
    "volumes: ['./x:/a/../b', './a b/c:/x', '/', './x:/x\u00e9 y']",
    f"volumes: ['./{'p' * 300}:/x']",
    "dns_opt: ['', 'a b:c']",
    "dns_search: ['', 'a..b']",
    "ports: [{target: 80, app_protocol: 'My Proto!'}]",
    "ports: ['1-100']",
    "expose: [53/udp, 53/sctp, 53]",
    "cap_drop: ['a b']",
    "shm_size: 1",
    "mem_limit: 7m\n    cpus: 0.0001",
    "environment: {'-': x, '.a': y, 'a-b.c': z, '1': ''}",
    "stop_grace_period: 0s",
    "healthcheck: {test: [CMD, ''], timeout: 1ms, interval: 1ms, start_interval: 1ms}",
    "healthcheck: {test: x, interval: 450w, retries: 999999999, start_period: 400w}",
    "entrypoint: ['']",
    "extra_hosts: ['x:1.2.3.4', 'x:1.2.3.5', 'a_b:1.2.3.4', 'X.Y:1.2.3.4']",
    "networks: {default: {aliases: [-x, x-, 1x, 'a b', X_Y, a.b]}}",
    "deploy: {update_config: {parallelism: 0, delay: 3w}, replicas: 0}",
    "deploy: {update_config: {parallelism: -5, order: start-first}}",
    "x-skerry: {cron: '*/5 1-3,7 * JAN mon-fri'}",
    "pull_policy: every_5h",
    "platform: linux/arm/v7",
    "labels: {a/b: c, 'x y': z, kompose.cronjob.schedule: '@daily', kompose.volume.subpath: a/b}",
    "annotations: {a/b: c, prometheus.io/scrape: 'true'}\n    volumes: [/x]\n    deploy: "
    "{labels: {traefik.http.routers.x.rule: 'Host(`a`)'}}",
    "storage_opt: {size: 1g}\n    cpu_quota: 5\n    cpu_shares: 2",
    "init: true\n    stop_signal: SIGQUIT",
    "stop_signal: 3\n    pre_stop: [{command: a}, {command: b, working_dir: /x}]",
    "pre_start: [{command: 'a $$(X)', environment: {a.b: '$$(Y)'}, user: root}, {image: b}]",
    "post_start: [{command: a}]\n  side: {image: b, network_mode: 'service:web', user: '5', "
    "tmpfs: /x, dns: 9.9.9.9, extra_hosts: [a=1.2.3.4], shm_size: 1m}",
    "shm_size: 1m\n  side: {image: b, pid: 'service:web', tmpfs: /x, platform: linux/amd64}",
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client


@pytest.fixture
async def namespace(kube: KubeClient) -> AsyncIterator[str]:
    """A namespace that enforces `baseline`."""
    name = f"test-compose-{random.randrange(16**6):06x}"
    labels = {
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    metadata = {"name": name, "labels": labels}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    await kube.apply(manifest, field_manager="test")
    yield name
    await kube.delete("v1", "Namespace", name)


def convert(path: Path, namespace: str) -> Plan:
    context = Context(
        app="app",
        namespace=namespace,
        project="p",
        environment="e",
        revision="7",
        files=FolderBundle(path.parent),
        variables={"DB_PASSWORD": "x"},
    )
    return plan([SourceFile(path.name, path.read_bytes())], context)


def with_pods(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The manifests and a Pod for each pod template."""
    found: list[Manifest] = []
    for manifest in manifests:
        found.append(manifest)
        if manifest["kind"] in ("Deployment", "Job"):
            template = copy.deepcopy(manifest["spec"]["template"])
            metadata = {
                **template["metadata"],
                "name": manifest["metadata"]["name"],
                "namespace": manifest["metadata"]["namespace"],
            }
            found.append(
                {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
            )
    return found


async def refusals(kube: KubeClient, manifests: Iterable[Manifest]) -> list[str]:
    """What the API server says against the manifests."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def attempt(manifest: Manifest) -> str:
        async with gate:
            try:
                await kube.apply(manifest, field_manager="test", dry_run=True, strict=True)
            except KubeError as error:
                return f"{manifest['kind']} {manifest['metadata']['name']}: {error}"
        return ""

    return [text for text in await asyncio.gather(*map(attempt, manifests)) if text]


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "tests/golden/compose").glob("*/compose.yml"))
    + sorted((ROOT / "examples").glob("*/docker-compose.yml")),
    ids=lambda path: path.parent.name,
)
async def test_own_files(kube: KubeClient, namespace: str, path: Path) -> None:
    result = convert(path, namespace)
    assert not result.rejected, [str(d) for d in result.diagnostics]
    assert await refusals(kube, with_pods(result.manifests)) == []


async def test_a_pod_that_reaches_the_host_would_be_refused(
    kube: KubeClient, namespace: str
) -> None:
    """The other tests could not fail if the namespace let everything in."""
    (path,) = (ROOT / "examples").glob("static-site/docker-compose.yml")
    pod = next(m for m in with_pods(convert(path, namespace).manifests) if m["kind"] == "Pod")
    pod["spec"]["hostNetwork"] = True
    (refusal,) = await refusals(kube, [pod])
    assert "PodSecurity" in refusal


async def test_odd_values(kube: KubeClient, namespace: str) -> None:
    bad: list[str] = []
    for line in ODD_VALUES:
        text = f"services:\n  web:\n    image: app\n    {line}\n"
        result = plan(
            [SourceFile("compose.yml", text.encode())], Context(app="app", namespace=namespace)
        )
        assert not result.rejected, [str(d) for d in result.diagnostics]
        bad += [f"{line}: {text}" for text in await refusals(kube, with_pods(result.manifests))]
    assert bad == []


@pytest.mark.parametrize("folder", ["awesome", "dokploy", "kompose"])
async def test_every_accepted_real_file(kube: KubeClient, namespace: str, folder: str) -> None:
    paths = sorted((CORPUS / folder).glob("**/*.y*ml"))
    if not paths:
        pytest.skip(f"no corpus of compose files at {CORPUS}")
    bad: list[str] = []
    for path in paths:
        result = convert(path, namespace)
        found = await refusals(kube, with_pods(result.manifests))
        bad += [f"{path.relative_to(CORPUS)}: {text}" for text in found]
    assert bad == []
