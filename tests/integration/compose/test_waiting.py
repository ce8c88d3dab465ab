"""Pods start in the order in which Docker would start the services."""

from __future__ import annotations

from datetime import datetime

from agent.compose import Context, Manifest, SourceFile, plan
from agent.kube import KubeClient
from tests.integration.compose.test_meaning import IMAGE, deploy, kube, namespace, pytestmark

__all__ = ["kube", "namespace", "pytestmark"]

# Longer than a started dependency alone is waited for.
COMPOSE = f"""
x-stay: &stay {{image: {IMAGE}, command: sleep 3600, stop_grace_period: 0s}}
services:
  web: {{<<: *stay, depends_on: [api]}}
  api: {{<<: *stay, depends_on: {{db: {{condition: service_healthy}}}}}}
  db:
    <<: *stay
    command: sh -c 'sleep 40; touch /tmp/ready; exec sleep 3600'
    healthcheck: {{test: test -e /tmp/ready, start_period: 120s, start_interval: 1s}}
"""


async def test_a_started_dependency_brings_its_own_dependencies_along(
    kube: KubeClient, namespace: str
) -> None:
    context = Context(app="order", namespace=namespace, wait_image=IMAGE)
    result = plan([SourceFile("compose.yml", COMPOSE.encode())], context)
    assert not result.rejected, [str(d) for d in result.diagnostics]
    await deploy(kube, result)
    pods = {
        pod["metadata"]["labels"]["skerry.dev/service"]: pod
        for pod in await kube.list("v1", "Pod", namespace)
    }
    assert _became_ready(pods["db"]) <= _started(pods["api"]) <= _started(pods["web"])


def _started(pod: Manifest) -> datetime:
    (container,) = pod["status"]["containerStatuses"]
    return datetime.fromisoformat(container["state"]["running"]["startedAt"])


def _became_ready(pod: Manifest) -> datetime:
    (ready,) = (c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    return datetime.fromisoformat(ready["lastTransitionTime"])
