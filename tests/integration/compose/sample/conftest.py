"""What the tests of real apps on the cluster share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.kube import KubeClient


@pytest.fixture
async def kube(kubeconfig: str) -> AsyncIterator[KubeClient]:
    async with KubeClient(Path(kubeconfig)) as client:
        yield client
