"""What walls an environment off stays in place on a real cluster, whoever's hand touches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.kube import KubeClient, Manifest, ObjectRef
from agent.workloads.environments import Environments
from agent.workloads.guardian import Guardian, GuardPace
from agent.workloads.model import EnvironmentSpec, GuardStatus
from tests.integration.agent.conftest import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

REPAIR_WITHIN = 60.0
POLICY = "networking.k8s.io/v1", "NetworkPolicy"


class Board:
    """What the guardian told, by environment."""

    def __init__(self) -> None:
        self.told: dict[str, list[GuardStatus]] = {}
        self.gone: set[str] = set()
        self._news = asyncio.Event()

    def publish(self, status: GuardStatus) -> None:
        self.told.setdefault(status.environment.uid, []).append(status)
        self._news.set()

    def retract(self, uid: str) -> None:
        self.gone.add(uid)
        self._news.set()

    async def until(self, look: Callable[[], bool], within: float = REPAIR_WITHIN) -> None:
        async with asyncio.timeout(within):
            while not look():
                self._news.clear()
                await self._news.wait()

    def last(self, spec: EnvironmentSpec) -> GuardStatus | None:
        return self.told.get(spec.uid, [None])[-1]


class Scene:
    """A guarded environment."""

    def __init__(self, kube: KubeClient, spec: EnvironmentSpec, board: Board) -> None:
        self.kube, self.spec, self.board = kube, spec, board

    async def get(self, api_version: str, kind: str, name: str) -> Manifest | None:
        return await self.kube.get(api_version, kind, name, self.spec.namespace)

    async def edit(self, api_version: str, kind: str, name: str, patch: Manifest) -> None:
        namespace = "" if kind == "Namespace" else self.spec.namespace
        ref = ObjectRef(api_version, kind, name, namespace)
        await self.kube.patch(ref, patch, field_manager="by-hand")

    async def repaired(self, word: str) -> str:
        """Wait until a repair that names the word was told; its message."""

        def told() -> bool:
            last = self.board.last(self.spec)
            return last is not None and last.reason == "Repaired" and word in last.message

        await self.board.until(told)
        last = self.board.last(self.spec)
        assert last is not None
        assert last.guarded
        return last.message


@pytest.fixture
async def scene(kube: KubeClient, environment: EnvironmentSpec) -> AsyncIterator[Scene]:
    cluster = environment.namespace  # nobody else's guardian looks after it
    environments, board = Environments(kube, cluster=cluster), Board()
    await environments.ensure(environment)
    guardian = Guardian(
        *(kube, environments, board.publish, board.retract),
        cluster=cluster,
        clock=lambda: datetime.now(UTC),
        pace=GuardPace(settle=0.02, interval=0.1),
    )
    running = asyncio.create_task(guardian.run())
    await board.until(lambda: board.last(environment) is not None)
    yield Scene(kube, environment, board)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_new_environment_is_guarded_and_nothing_is_put_right(scene: Scene) -> None:
    (status,) = scene.board.told[scene.spec.uid]
    assert (status.guarded, status.reason, status.repairs) == (True, "Guarded", 0)


@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        (*POLICY, "skerry-default-deny"),
        (*POLICY, "skerry-internet"),
        ("v1", "ResourceQuota", "skerry"),
        ("v1", "LimitRange", "skerry"),
        ("v1", "ConfigMap", "skerry-environment"),
    ],
)
async def test_what_is_deleted_by_hand_comes_back(
    scene: Scene, api_version: str, kind: str, name: str
) -> None:
    before = await scene.get(api_version, kind, name)
    assert before is not None
    await scene.kube.delete(api_version, kind, name, scene.spec.namespace)
    assert f"{kind} {name} was missing" in await scene.repaired(name)
    after = await scene.get(api_version, kind, name)
    assert after is not None
    assert (after.get("spec"), after.get("data")) == (before.get("spec"), before.get("data"))


ALLOW_ALL: Manifest = {"spec": {"ingress": [{}]}}


@pytest.mark.parametrize(
    ("api_version", "kind", "name", "patch"),
    [
        (*POLICY, "skerry-default-deny", ALLOW_ALL),
        (*POLICY, "skerry-default-deny", {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}),
        (*POLICY, "skerry-default-deny", {"spec": {"policyTypes": ["Ingress"]}}),
        (*POLICY, "skerry-internet", {"spec": {"egress": [{}]}}),
        (*POLICY, "skerry-dns", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}),
        ("v1", "ResourceQuota", "skerry", {"spec": {"hard": {"pods": "9999"}}}),
        ("v1", "ResourceQuota", "skerry", {"spec": {"hard": {"services.nodeports": None}}}),
        ("v1", "LimitRange", "skerry", {"spec": {"limits": [{"type": "Pod"}]}}),
        ("v1", "ServiceAccount", "default", {"automountServiceAccountToken": True}),
        (
            *("v1", "ConfigMap", "skerry-environment"),
            {"data": {"environment.json": '{"namespace": "kube-system"}'}},
        ),
    ],
)
async def test_what_is_edited_by_hand_is_put_back(
    scene: Scene, api_version: str, kind: str, name: str, patch: Manifest
) -> None:
    before = await scene.get(api_version, kind, name)
    assert before is not None
    await scene.edit(api_version, kind, name, patch)
    assert f"{kind} {name} was changed" in await scene.repaired(name)
    after = await scene.get(api_version, kind, name)
    assert after is not None
    assert _content(after) == _content(before)


@pytest.mark.parametrize(
    "labels",
    [
        {"pod-security.kubernetes.io/enforce": "privileged"},
        {"pod-security.kubernetes.io/enforce": None},
        {"skerry.dev/environment-uid": "somebody-else"},
        {"app.kubernetes.io/managed-by": None},
    ],
)
async def test_labels_of_the_namespace_are_put_back(
    scene: Scene, labels: dict[str, str | None]
) -> None:
    await scene.edit("v1", "Namespace", scene.spec.namespace, {"metadata": {"labels": labels}})
    await scene.repaired(f"Namespace {scene.spec.namespace}")
    after = await scene.kube.get("v1", "Namespace", scene.spec.namespace)
    assert after is not None
    found = after["metadata"]["labels"]
    assert found["pod-security.kubernetes.io/enforce"] == "baseline"
    assert found["skerry.dev/environment-uid"] == scene.spec.uid
    assert found["app.kubernetes.io/managed-by"] == "skerry"


async def test_a_policy_of_somebody_else_is_told_and_left_alone(scene: Scene) -> None:
    policy = {
        "apiVersion": POLICY[0],
        "kind": POLICY[1],
        "metadata": {"name": "allow-all", "namespace": scene.spec.namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]},
    }
    await scene.kube.apply(policy, field_manager="by-hand")
    await scene.board.until(lambda: not _last(scene).guarded)
    assert _last(scene).reason == "ForeignPolicies"
    assert "allow-all" in _last(scene).message
    assert await scene.get(*POLICY, "allow-all") is not None
    await scene.kube.delete(*POLICY, "allow-all", scene.spec.namespace)
    await scene.board.until(lambda: _last(scene).guarded)


async def test_a_deleted_environment_is_let_go(scene: Scene) -> None:
    await scene.kube.delete("v1", "Namespace", scene.spec.namespace)
    await scene.board.until(lambda: scene.spec.uid in scene.board.gone)

    async def gone() -> bool:
        return await scene.kube.get("v1", "Namespace", scene.spec.namespace) is None

    await eventually(gone, within=REPAIR_WITHIN)


def _last(scene: Scene) -> GuardStatus:
    status = scene.board.last(scene.spec)
    assert status is not None
    return status


def _content(obj: Manifest) -> dict[str, Any]:
    content = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    return {**content, "labels": obj["metadata"].get("labels")}
