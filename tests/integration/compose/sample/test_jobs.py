"""Real apps with jobs that other services wait for, and volumes shared with them."""

from __future__ import annotations

import pytest

from agent.kube import KubeClient
from tests.integration.compose.sample.meaning import findings
from tests.unit.compose.corpus.files import needs_corpus

APPS = (
    *("dokploy/filerun", "dokploy/thingsboard", "dokploy/affinepro", "dokploy/hoppscotch"),
    *("dokploy/sim", "dokploy/shopware"),
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), needs_corpus]


async def test_apps_with_jobs_mean_what_compose_means(kube: KubeClient) -> None:
    assert await findings(kube, APPS) == []
