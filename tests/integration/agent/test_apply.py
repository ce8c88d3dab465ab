"""ApplyManifest against a real API server."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from agent.kube import KubeClient, Manifest
from agent.kube.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    NotServedError,
    UnreachableError,
)

pytestmark = pytest.mark.cluster


def config_map(namespace: str, **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": data,
    }


def crd(group: str) -> Manifest:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boats.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "properties": {"masts": {"type": "integer"}},
                                }
                            },
                        }
                    },
                }
            ],
        },
    }


async def test_the_first_apply_creates_and_the_second_changes_nothing(
    kube: KubeClient, namespace: str
) -> None:
    first = await kube.apply(config_map(namespace, a="1"), field_manager="one")
    second = await kube.apply(config_map(namespace, a="1"), field_manager="one")
    third = await kube.apply(config_map(namespace, a="2"), field_manager="one")
    assert (first.created, first.changed) == (True, True)
    assert (second.created, second.changed) == (False, False)
    assert (third.changed, third.obj["data"]) == (True, {"a": "2"})


async def test_a_conflict_names_the_owner_and_the_field(kube: KubeClient, namespace: str) -> None:
    await kube.apply(config_map(namespace, a="1"), field_manager="somebody")
    with pytest.raises(ConflictError) as caught:
        await kube.apply(config_map(namespace, a="2"), field_manager="me")
    assert caught.value.owner == "somebody"
    assert caught.value.fields == (".data.a",)
    assert "somebody" in str(caught.value)


async def test_force_takes_the_field_over(kube: KubeClient, namespace: str) -> None:
    await kube.apply(config_map(namespace, a="1"), field_manager="somebody")
    taken = await kube.apply(config_map(namespace, a="2"), field_manager="me", force=True)
    assert taken.obj["data"] == {"a": "2"}


async def test_a_field_no_longer_applied_goes_away(kube: KubeClient, namespace: str) -> None:
    await kube.apply(config_map(namespace, a="1", b="2"), field_manager="one")
    applied = await kube.apply(config_map(namespace, a="1"), field_manager="one")
    assert applied.obj["data"] == {"a": "1"}


async def test_an_unknown_field_is_refused_by_name(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(InvalidError, match="dataa"):
        await kube.apply({**config_map(namespace), "dataa": {}}, field_manager="one")
    assert await kube.get("v1", "ConfigMap", "settings", namespace) is None


async def test_a_secrets_value_is_not_in_the_error(kube: KubeClient, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": namespace},
        "stringData": {"key": {"hunter2": 1}},
    }
    with pytest.raises(InvalidError) as caught:
        await kube.apply(secret, field_manager="one")
    assert "hunter2" not in str(caught.value)


async def test_a_dry_run_applies_nothing(kube: KubeClient, namespace: str) -> None:
    applied = await kube.apply(config_map(namespace, a="1"), field_manager="one", dry_run=True)
    assert applied.changed
    assert await kube.get("v1", "ConfigMap", "settings", namespace) is None


async def test_a_namespace_that_is_not_there_is_not_found(kube: KubeClient) -> None:
    with pytest.raises(NotFoundError, match="no-such-namespace"):
        await kube.apply(config_map("no-such-namespace"), field_manager="one")


async def test_a_kind_that_is_not_served_says_so(kube: KubeClient, namespace: str) -> None:
    boat = {
        "apiVersion": "nowhere.example.com/v1",
        "kind": "Boat",
        "metadata": {"name": "b", "namespace": namespace},
    }
    with pytest.raises(NotServedError, match="Boat"):
        await kube.apply(boat, field_manager="one")


async def test_a_crd_that_comes_late_is_waited_for(kube: KubeClient, namespace: str) -> None:
    group = f"t{random.randrange(16**6):06x}.example.com"
    boat = {
        "apiVersion": f"{group}/v1",
        "kind": "Boat",
        "metadata": {"name": "b", "namespace": namespace},
        "spec": {"masts": 3},
    }
    try:
        late = asyncio.create_task(kube.apply(boat, field_manager="one", served_within=90))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(late), 0.5)
        await kube.apply(crd(group), field_manager="one")
        applied = await late
        assert applied.obj["spec"] == {"masts": 3}
    finally:
        await kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"boats.{group}")


async def test_an_api_server_that_is_away_is_unreachable(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
    )
    async with KubeClient(config) as client:
        with pytest.raises(UnreachableError, match="no answer"):
            await client.version()
