"""The agent's own namespace, where HelmCharts and records live. Made when it is missing, also later on:
somebody may delete it while the agent runs. Used by `record` and `installer`."""

from __future__ import annotations

from agent.bootstrap.addon import MANAGED_BY, MANAGED_BY_LABEL
from agent.kube import KubeClient

FIELD_MANAGER = "skerry-addons"


class OwnNamespace:
    """One namespace of a cluster."""

    def __init__(self, kube: KubeClient, name: str) -> None:
        self._kube = kube
        self.name = name

    async def ensure(self) -> None:
        """Make it if it is not there; one that is there is left as it is. Raises KubeError."""
        if await self._kube.get("v1", "Namespace", self.name) is None:
            await self._kube.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": self.name, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
                },
                field_manager=FIELD_MANAGER,
            )
