"""Facts of the real cluster, and the network policy probe in it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.facts.probe import NetworkPolicyProbe, ProbePace
from agent.facts.reporter import FactsPace, FactsReporter
from agent.kube import EventType, KubeClient
from agent.link import ReportBoard

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(200)]

# Not the agent's own: one may run in the cluster and probe at the same time.
NAMESPACE = f"skerry-probe-{random.randrange(16**6):06x}"
IMAGE = "docker.io/library/busybox:1.36"
PACE = ProbePace(start=30, bite=8, poll=0.3, removal=90)
FACTS_PACE = FactsPace(resync=300, settle=0.1, unreachable=0.5)


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client


def probe(kube: KubeClient, image: str = IMAGE, pace: ProbePace = PACE) -> NetworkPolicyProbe:
    return NetworkPolicyProbe(kube, image, pace=pace, monotonic=time.monotonic, namespace=NAMESPACE)


def reporter(kube: KubeClient, board: ReportBoard, **options) -> FactsReporter:
    return FactsReporter(
        kube,
        board,
        options.get("probe"),
        clock=lambda: datetime.now(UTC),
        pace=FACTS_PACE,
    )


async def test_the_facts_of_the_cluster(kube):
    facts = await reporter(kube, ReportBoard()).collect()
    assert facts.kubernetes_version.startswith("v1.")
    assert facts.distribution in ("k3s", "kubernetes")
    assert [node.ready for node in facts.nodes] == [True] * len(facts.nodes)
    assert facts.nodes[0].cpu_millis > 0
    assert facts.nodes[0].memory_bytes > 1 << 30
    assert [c.is_default for c in facts.storage_classes].count(True) == 1
    assert not facts.HasField("network_policy_enforced")
    assert "switched off" in facts.network_policy_message


async def test_a_new_storage_class_is_reported_at_once(kube):
    board = ReportBoard()
    changed = asyncio.Event()
    board.subscribe(lambda report: changed.set())
    name = f"skerry-test-class-{random.randrange(16**6):06x}"
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "example.com/none",
    }

    async def until(present: bool) -> None:
        while True:
            report = board.snapshot().get("facts")
            names = {c.name for c in report.facts.storage_classes} if report else set()
            if report is not None and (name in names) is present:
                return
            changed.clear()
            await changed.wait()

    task = asyncio.create_task(reporter(kube, board).run())
    try:
        async with asyncio.timeout(60):
            await until(False)
            await kube.apply(storage_class, field_manager="test")
            await until(True)
            await kube.delete("storage.k8s.io/v1", "StorageClass", name)
            await until(False)
    finally:
        task.cancel()
        await kube.delete("storage.k8s.io/v1", "StorageClass", name)


async def test_the_probe_tells_whether_policies_are_enforced(kube):
    found = await probe(kube).run()
    assert found.enforced is not None, found.message
    if not found.enforced:
        assert "enforces network policies" in found.message
    namespace = await kube.get("v1", "Namespace", NAMESPACE)
    assert namespace is None or namespace["metadata"]["deletionTimestamp"]


async def test_an_image_that_cannot_be_pulled_leaves_it_open(kube):
    missing = "registry.invalid/none:1"
    found = await probe(kube, missing, ProbePace(start=15, bite=1, poll=0.3, removal=90)).run()
    assert found.enforced is None
    assert missing in found.message
    assert "Pull" in found.message


async def test_a_cancelled_probe_removes_its_namespace(kube):
    task = asyncio.create_task(probe(kube).run())
    async with asyncio.timeout(60):
        async with aclosing(kube.watch("v1", "Pod", NAMESPACE)) as events:
            async for event in events:
                if event.type is EventType.APPLIED:
                    break
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    namespace = await kube.get("v1", "Namespace", NAMESPACE)
    assert namespace is None or namespace["metadata"]["deletionTimestamp"]
