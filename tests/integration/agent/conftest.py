"""The agent's use cases on the real dev cluster, each test in a namespace of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.compose import plan
from agent.kube import KubeClient, Manifest
from agent.kube.errors import KubeError
from agent.workloads.conversion import ConversionSettings
from agent.workloads.deploy import Deployer, DeploySettings
from agent.workloads.environments import Environments
from agent.workloads.guards import EnvironmentLimits
from agent.workloads.model import (
    DeployProgress,
    DeployRequest,
    EnvironmentSpec,
    Outcome,
    Preview,
    RemoveRequest,
)
from agent.workloads.preview import Previewer
from agent.workloads.removal import Remover
from agent.workloads.rollout import RolloutPolicy
from agent.workloads.troubles import Reason

IMAGE = "docker.io/library/busybox:1.36"
CONVERSION = ConversionSettings(wait_image=IMAGE)
# Nothing can be pulled here: the first failure is final, so tests need not wait for a second one.
QUICK = RolloutPolicy(
    patience={
        Reason.IMAGE_NOT_FOUND: 0.5,
        Reason.CONFIG_ERROR: 0.5,
        Reason.QUOTA_EXCEEDED: 0.5,
        Reason.CREATE_FAILED: 0.5,
        Reason.POD_SECURITY: 0.5,
        Reason.JOB_FAILED: 0.0,
    },
    crash_restarts=1,
    steady=0.5,
    steady_after_crash=5.0,
)


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client


@pytest.fixture
async def environment(kube: KubeClient) -> AsyncIterator[EnvironmentSpec]:
    """An environment that does not exist yet and is gone afterwards."""
    name = f"test-agent-{random.randrange(16**6):06x}"
    yield EnvironmentSpec(name, f"uid-{name}", "default", "shop", "test")
    await kube.delete("v1", "Namespace", name)


@pytest.fixture
async def namespace(kube: KubeClient, environment: EnvironmentSpec) -> str:
    """A bare namespace, without an environment's guards."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": environment.namespace},
    }
    await kube.apply(manifest, field_manager="test")
    return environment.namespace


@dataclass
class App:
    """Drives one app through the use cases as the handlers do."""

    kube: KubeClient
    environment: EnvironmentSpec
    limits: EnvironmentLimits = field(default_factory=EnvironmentLimits)
    policy: RolloutPolicy = QUICK
    name: str = "demo"
    progress: list[tuple[str, DeployProgress | None]] = field(default_factory=list)
    _revision: int = 0

    @property
    def uid(self) -> str:
        """As in the control plane no other app's, so that what watches the whole cluster is not
        shown the app of a test that runs beside this one."""
        return f"uid-{self.environment.namespace}-{self.name}"

    @property
    def environments(self) -> Environments:
        return Environments(self.kube, self.limits)

    def request(self, compose: str, *, deadline: float = 60.0, **changes: Any) -> DeployRequest:
        self._revision += 1
        values: dict[str, Any] = {
            "environment": self.environment,
            "app": self.name,
            "app_uid": self.uid,
            "revision": self._revision,
            "deployment": f"deployment-{self._revision}",
            "compose_files": ("compose.yaml",),
            "files": {"compose.yaml": compose.encode()},
            "progress_deadline": deadline,
        }
        return DeployRequest(**{**values, **changes})

    async def deploy(self, compose: str, *, deadline: float = 60.0, **changes: Any) -> Outcome:
        return await self.run(self.request(compose, deadline=deadline, **changes))

    async def run(self, request: DeployRequest) -> Outcome:
        settings = DeploySettings(
            conversion=CONVERSION, rollout=self.policy, put_back_wait=30.0, room_wait=1.0
        )
        deployer = Deployer(self.kube, self.environments, plan, settings)
        self.progress.clear()
        return await deployer.deploy(request, lambda *told: self.progress.append(told))

    async def preview(self, compose: str) -> Preview:
        previewer = Previewer(self.kube, self.environments, plan, CONVERSION)
        return await previewer.preview(self.request(compose))

    async def remove(self, *, volumes: bool = False) -> Outcome:
        request = RemoveRequest(self.environment, self.name, self.uid, volumes)
        return await Remover(self.kube, self.environments).remove(request, lambda _: None)

    async def get(self, api_version: str, kind: str, name: str) -> Manifest | None:
        return await self.kube.get(api_version, kind, name, self.environment.namespace)

    async def pods(self, service: str) -> list[Manifest]:
        return await self.kube.list(
            "v1", "Pod", self.environment.namespace, f"skerry.dev/service={service}"
        )


@pytest.fixture
def app(kube: KubeClient, environment: EnvironmentSpec) -> App:
    return App(kube, environment)


async def eventually(
    look: Callable[[], Coroutine[Any, Any, bool]], *, within: float = 90.0
) -> None:
    """Wait until `look` says so; API errors on the way count as not yet."""
    async with asyncio.timeout(within):
        while True:
            try:
                if await look():
                    return
            except KubeError:
                pass
            await asyncio.sleep(0.1)
