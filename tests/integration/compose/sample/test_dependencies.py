"""Real apps with healthy and started dependencies, shared volumes and replicas."""

from __future__ import annotations

import pytest

from agent.kube import KubeClient
from tests.integration.compose.sample.meaning import findings
from tests.unit.compose.corpus.files import needs_corpus

APPS = (
    *("dokploy/habitica", "dokploy/automatisch", "dokploy/zabbix", "dokploy/n8n-queue"),
    *("dokploy/miniflux", "dokploy/stack-auth", "dokploy/immich"),
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), needs_corpus]


async def test_apps_with_dependencies_mean_what_compose_means(kube: KubeClient) -> None:
    assert await findings(kube, APPS) == []
