"""The agent itself runs under the strictest Pod Security level: asked of a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent.kube import KubeClient
from agent.kube.errors import PodSecurityError
from agent.workloads.rehearsal import pod_of

pytestmark = pytest.mark.cluster

DEPLOYMENT = Path(__file__).parents[3] / "deploy" / "agent" / "deployment.yaml"


async def test_the_agents_pod_is_admitted_as_restricted(kube: KubeClient, namespace: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": labels},
        },
        field_manager="test",
    )
    found = [d for d in yaml.safe_load_all(DEPLOYMENT.read_text()) if d["kind"] == "Deployment"]
    (deployment,) = found
    deployment["metadata"]["namespace"] = namespace
    pod = pod_of(deployment)
    assert pod is not None
    pod["spec"].pop("serviceAccountName")  # its account is in another namespace
    await kube.apply(pod, field_manager="test", dry_run=True)
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(PodSecurityError):
        await kube.apply(pod, field_manager="test", dry_run=True)
