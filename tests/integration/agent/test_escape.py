"""What would let a tenant out is stopped by the agent and, where it can tell, by the API server again."""

from __future__ import annotations

import pytest

from agent.kube import KubeClient, Manifest, ObjectRef
from agent.kube.errors import ForbiddenError, InvalidError
from agent.workloads.errors import RefusedError
from agent.workloads.inventory import Inventories
from agent.workloads.model import EnvironmentSpec
from agent.workloads.objects import Objects
from agent.workloads.rehearsal import pod_of
from tests.integration.agent.conftest import IMAGE, App
from tests.unit.agent.workloads.tampering import REFUSED_HERE, REFUSED_TWICE, good, one, pod

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


async def asked(kube: KubeClient, manifest: Manifest) -> None:
    """What the API server says, past the agent. Raises its refusal."""
    found = pod_of(manifest)
    await kube.apply(found or manifest, field_manager="test", dry_run=True, strict=False)


async def test_tampered_manifests_are_stopped_twice(
    app: App, kube: KubeClient, environment: EnvironmentSpec
) -> None:
    await app.environments.ensure(environment)
    objects = Objects(kube, environment, "demo")
    for manifest in good(environment):
        await objects.apply(manifest, dry_run=True)
    taken = []
    for name, (kind, change) in REFUSED_TWICE.items():
        manifest = one(good(environment), kind)
        change(manifest)
        with pytest.raises(RefusedError):
            await objects.apply(manifest, dry_run=True)
        try:
            await asked(kube, manifest)
        except (ForbiddenError, InvalidError):
            continue
        taken.append(name)
    assert taken == []


async def test_what_the_api_server_would_take_is_stopped_by_the_agent(
    app: App, kube: KubeClient, environment: EnvironmentSpec
) -> None:
    await app.environments.ensure(environment)
    objects = Objects(kube, environment, "demo")
    for kind, change in REFUSED_HERE.values():
        manifest = one(good(environment), kind)
        change(manifest)
        with pytest.raises(RefusedError):
            await objects.apply(manifest)
    assert await kube.list("apps/v1", "Deployment", environment.namespace) == []


async def test_an_earlier_revision_changed_in_the_cluster_does_not_come_back(
    app: App, kube: KubeClient, environment: EnvironmentSpec
) -> None:
    """A failed rollout puts back manifests that were kept in a Secret of the namespace."""
    fine = f"services: {{web: {{image: '{IMAGE}', command: sleep 3600, stop_grace_period: 0s}}}}"
    assert (await app.deploy(fine)).code == 0
    inventories = Inventories(kube)
    kept = await inventories.load_last_good(environment.namespace, "demo")
    deployment = one([m for wave in kept for m in wave], "Deployment")
    pod(deployment)["automountServiceAccountToken"] = True
    await inventories.save_last_good(environment.namespace, "demo", kept)
    failed = await app.deploy(fine.replace("sleep 3600", "false"))
    assert failed.code != 0
    assert "could not be put back" in failed.message
    assert "automountServiceAccountToken" in failed.message
    ref = ObjectRef.of(deployment)
    live = await kube.get(ref.api_version, ref.kind, ref.name, environment.namespace)
    assert live is not None
    assert pod(live)["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    "line",
    [
        "privileged: true",
        "network_mode: host",
        "pid: host",
        "volumes: ['/:/host']",
        "volumes: ['/var/run/docker.sock:/s']",
        "cap_add: [SYS_ADMIN]",
    ],
)
async def test_a_compose_file_that_wants_out_touches_nothing(
    app: App, kube: KubeClient, environment: EnvironmentSpec, line: str
) -> None:
    outcome = await app.deploy(f"services:\n  web:\n    image: {IMAGE}\n    {line}\n")
    assert outcome.reason == "COMPOSE_REJECTED"
    assert await kube.get("v1", "Namespace", environment.namespace) is None
