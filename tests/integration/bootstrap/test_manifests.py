"""Plain-manifest add-ons: the shipped Garage, run for real, in a namespace of the test's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent.bootstrap.addon import AddOn, GeneratedSecret, ManifestSource, Sign
from agent.bootstrap.catalog import CatalogOptions, load
from agent.kube import KubeClient, ObjectRef, OutputChannel
from tests.integration.bootstrap.conftest import Board, World

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture
async def garage(world: World) -> AddOn:
    """The add-on as shipped, but elsewhere, so that the cluster's own store is not touched."""
    shipped = next(add_on for add_on in load(CatalogOptions()) if add_on.name == "garage")
    assert isinstance(shipped.source, ManifestSource)
    image = f"docker.io/dxflrs/garage:v{shipped.version}"
    nodes = await world.kube.list("v1", "Node")
    images = [one for node in nodes for one in node["status"].get("images") or ()]
    names = [name for one in images for name in one.get("names") or ()]
    if image not in names:
        pytest.skip(f"{image} is not on the node yet")
    return moved(shipped, world.targets[0])


def moved(add_on: AddOn, namespace: str) -> AddOn:
    def elsewhere(manifests: Sequence[object]) -> tuple[dict[str, object], ...]:
        text = json.dumps(list(manifests)).replace("skerry-storage", namespace)
        return tuple(json.loads(text))

    assert isinstance(add_on.source, ManifestSource)
    return replace(
        add_on,
        namespaces=elsewhere(add_on.namespaces),
        source=ManifestSource(elsewhere(add_on.source.manifests)),
        secrets=tuple(GeneratedSecret(namespace, s.name, s.keys) for s in add_on.secrets),
        ready=tuple(ObjectRef(r.api_version, r.kind, r.name, namespace) for r in add_on.ready),
        signs=tuple(replace(sign, namespace=namespace) for sign in add_on.signs),
    )


async def garage_says(kube: KubeClient, namespace: str, *command: str) -> str:
    session = await kube.exec(namespace, "garage-0", "garage", ["/garage", *command])
    try:
        said = b"".join(
            [data async for channel, data in session.output() if channel is OutputChannel.STDOUT]
        )
        assert session.result.exit_code == 0, session.result
    finally:
        await session.close()
    return said.decode()


async def test_garage_runs_and_is_healthy(world, garage):
    board = Board()
    world.start([garage], board)
    await board.until_state("garage", "READY", 120)
    namespace = world.targets[0]
    assert "HEALTHY NODES" in await garage_says(world.kube, namespace, "status")
    health = json.loads(await garage_says(world.kube, namespace, "json-api", "GetClusterHealth"))
    assert health["status"] == "healthy"
    assert health["partitionsQuorum"] == 256


async def test_its_secrets_are_made_once(world, garage):
    board = Board()
    world.start([garage], board)
    await board.until_state("garage", "READY", 120)
    before = await world.kube.get("v1", "Secret", "garage", world.targets[0])
    await world.kill()
    changed = replace(garage, version="another", timeout_seconds=601)
    board = Board()
    world.start([changed], board)
    await board.until_state("garage", "READY", 120)
    assert board.states[0] == "INSTALLING"
    after = await world.kube.get("v1", "Secret", "garage", world.targets[0])
    assert len(before["data"]) == 3
    assert after["data"] == before["data"]


async def test_a_store_that_somebody_installed_is_left_alone(world, garage):
    namespace = world.targets[0]
    await world.kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        field_manager="by-hand",
    )
    mine = next(m for m in garage.source.manifests if m["kind"] == "StatefulSet")
    mine = json.loads(json.dumps(mine))
    mine["metadata"]["name"] = "my-garage"
    mine["spec"]["replicas"] = 0
    await world.kube.apply(mine, field_manager="by-hand")
    board = Board()
    world.start([replace(garage, signs=(*garage.signs, Sign("v1", "Nothing", name="x")))], board)
    status = await board.until_state("garage", "EXTERNAL")
    assert "my-garage" in status.message
    assert await world.kube.get("apps/v1", "StatefulSet", "garage", namespace) is None


async def test_a_store_that_cannot_start_says_why_and_heals(world, garage):
    text = json.dumps(list(garage.source.manifests))
    wrong = json.loads(text.replace("replication_factor = 1", "replication_factor = 3"))
    broken = replace(garage, source=ManifestSource(tuple(wrong)), timeout_seconds=25)
    board = Board()
    world.start([broken], board)
    failed = await board.until_state("garage", "FAILED")
    assert "0 of 1 pods are ready" in failed.message
    assert "replication_factor" in failed.log_tail
    await world.kill()
    board = Board()
    world.start([garage], board)
    await board.until_state("garage", "READY", 150)


async def test_a_conflict_with_another_manager_is_told_with_its_name(world, garage):
    board = Board()
    world.start([garage], board)
    await board.until_state("garage", "READY", 120)
    await world.kill()
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "garage", "namespace": world.targets[0]},
        "data": {"garage.toml": "mine"},
    }
    await world.kube.apply(theirs, field_manager="somebody", force=True)
    board = Board()
    world.start([replace(garage, version="another")], board)
    failed = await board.until_state("garage", "FAILED")
    assert "somebody" in failed.message
    assert "ConfigMap garage" in failed.message
