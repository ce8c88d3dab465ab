"""An environment is a namespace that is safe to put strangers' containers into.

`Environments.ensure` is called before every deploy and by its own command; it applies everything
each time, so that what drifted is put right. `delete` waits until nothing is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

import structlog

from agent.kube import EventType, KubeClient, Live, Manifest
from agent.kube.backoff import Backoff, retry_transient
from agent.kube.errors import NotServedError
from agent.workloads.concurrent import run_all
from agent.workloads.errors import (
    DEADLINE_EXCEEDED,
    UNAVAILABLE,
    OwnedElsewhereError,
    WorkloadError,
)
from agent.workloads.labels import (
    ENVIRONMENT,
    ENVIRONMENT_UID,
    MANAGED_BY,
    MANAGER,
    ORGANIZATION,
    PROJECT,
    is_ours,
    label,
)
from agent.workloads.model import EnvironmentSpec
from agent.workloads.policies import cluster_network, network_policies

log = structlog.get_logger(__name__)

FIELD_MANAGER = "skerry-environment"
QUOTA_NAME = "skerry"


def _default_quota() -> Mapping[str, str]:
    return {
        "requests.cpu": "4",
        "requests.memory": "8Gi",
        "limits.cpu": "16",
        "limits.memory": "16Gi",
        "pods": "60",
        "persistentvolumeclaims": "20",
        "requests.storage": "100Gi",
        "services": "60",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        "secrets": "300",
        "configmaps": "300",
        "count/deployments.apps": "60",
        "count/jobs.batch": "100",
    }


@dataclass(frozen=True, slots=True)
class EnvironmentLimits:
    """Numbers of one environment, in Kubernetes quantities."""

    quota: Mapping[str, str] = field(default_factory=_default_quota)
    default_limits: Mapping[str, str] = field(
        default_factory=lambda: {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "2Gi"}
    )
    """Of a container that sets none."""
    default_requests: Mapping[str, str] = field(
        default_factory=lambda: {"cpu": "25m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
    )
    max_limits: Mapping[str, str] = field(default_factory=lambda: {"cpu": "8", "memory": "8Gi"})
    """Of one container."""
    max_volume: str = "50Gi"
    api_timeout: float = 30.0
    """Seconds to wait out an API server that is away."""
    delete_timeout: float = 600.0
    """Seconds to wait for a namespace to be gone."""


class Environments:
    def __init__(self, kube: KubeClient, limits: EnvironmentLimits | None = None) -> None:
        self._kube = kube
        self._limits = limits or EnvironmentLimits()

    async def ensure(self, spec: EnvironmentSpec) -> None:
        """Make the namespace and everything that guards it; doing it again changes nothing.

        Raises OwnedElsewhereError when a namespace of that name is not this environment's, and
        KubeError.
        """
        await self._check_owner(spec, self._limits.api_timeout)
        await self._apply(namespace_manifest(spec), None)
        # Limits come before the first pod, or pods without requests would be refused by the quota.
        await self._apply(limit_range(self._limits), spec)
        network = cluster_network(await self._kube.list("v1", "Node"), await self._service_ranges())
        guards = [quota(self._limits), default_service_account(), *network_policies(network)]
        await run_all([partial(self._apply, manifest, spec) for manifest in guards])
        await self._quota_counted(spec.namespace)

    async def exists(self, spec: EnvironmentSpec, *, patient: bool = True) -> bool:
        """Whether the namespace is there and takes new objects. Raises OwnedElsewhereError and,
        at once unless `patient`, UnreachableError."""
        found = await self._check_owner(spec, self._limits.api_timeout if patient else 0.0)
        return found is not None and "deletionTimestamp" not in found["metadata"]

    async def delete(self, spec: EnvironmentSpec, tell: Callable[[str], None]) -> None:
        """Delete the namespace with all in it and return when it is gone.

        `tell` hears what is still there. Raises OwnedElsewhereError; WorkloadError
        (DEADLINE_EXCEEDED) naming what holds the namespace back.
        """
        if await self._check_owner(spec, self._limits.api_timeout) is None:
            return
        await self._kube.delete("v1", "Namespace", spec.namespace)
        events = self._kube.watch(
            "v1", "Namespace", field_selector=f"metadata.name={spec.namespace}"
        )
        tell(f"namespace {spec.namespace} is being deleted")
        remaining = ""
        try:
            async with asyncio.timeout(self._limits.delete_timeout), aclosing(events):
                known = False
                async for event in events:
                    if event.type is EventType.DELETED:
                        return
                    if event.type is EventType.SYNCED and not known:
                        return
                    known = True
                    remaining = what_remains(event.obj)
                    if remaining:
                        tell(f"namespace {spec.namespace} is being deleted: {remaining}")
        except TimeoutError as error:
            raise WorkloadError(
                DEADLINE_EXCEEDED,
                "DEADLINE_EXCEEDED",
                f"namespace {spec.namespace} is still being deleted after "
                f"{self._limits.delete_timeout:.0f} s: {remaining or 'the cluster does not say why'}"
                ". Remove the finalizers that nobody works on, and delete it again",
            ) from error

    async def _check_owner(self, spec: EnvironmentSpec, within: float) -> Manifest | None:
        """The namespace as it is. Raises OwnedElsewhereError."""
        found = await retry_transient(
            lambda: self._kube.get("v1", "Namespace", spec.namespace), within=within
        )
        if found is not None and label(found, ENVIRONMENT_UID) != spec.uid:
            owner = "another environment" if is_ours(found) else "somebody else"
            raise OwnedElsewhereError(
                f"namespace {spec.namespace} belongs to {owner} and is left alone; "
                "delete it or use another environment"
            )
        return found

    async def _apply(self, manifest: Manifest, spec: EnvironmentSpec | None) -> None:
        metadata = {
            **manifest["metadata"],
            "labels": {MANAGED_BY: MANAGER, **manifest["metadata"].get("labels", {})},
        }
        await retry_transient(
            lambda: self._kube.apply(
                {**manifest, "metadata": metadata},
                field_manager=FIELD_MANAGER,
                namespace=spec.namespace if spec else None,
                force=True,  # these fields are this system's alone: a change by hand is drift
                live=Live(None),  # whether anything changed is not asked
            ),
            within=self._limits.api_timeout,
        )

    async def _service_ranges(self) -> list[str]:
        """What the cluster says of its service ranges; nothing before Kubernetes 1.33."""
        try:
            found = await self._kube.list("networking.k8s.io/v1", "ServiceCIDR")
        except NotServedError:
            return []
        return [cidr for item in found for cidr in item.get("spec", {}).get("cidrs") or ()]

    async def _quota_counted(self, namespace: str) -> None:
        """Until a new quota is counted once, the API server refuses whatever it covers."""
        backoff = Backoff(first=0.02, longest=0.5)
        try:
            async with asyncio.timeout(self._limits.api_timeout):
                while True:
                    found = await self._kube.get("v1", "ResourceQuota", QUOTA_NAME, namespace)
                    if found is not None and found.get("status", {}).get("hard"):
                        return
                    await asyncio.sleep(backoff.next())
        except TimeoutError as error:
            raise WorkloadError(
                UNAVAILABLE,
                "CLUSTER_API_ERROR",
                f"the quota of {namespace} is not counted after {self._limits.api_timeout:.0f} s; "
                "see whether the cluster's controller manager runs",
            ) from error


def namespace_manifest(spec: EnvironmentSpec) -> Manifest:
    security = "pod-security.kubernetes.io"
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": spec.namespace,
            "labels": {
                ORGANIZATION: spec.organization,
                PROJECT: spec.project,
                ENVIRONMENT: spec.environment,
                ENVIRONMENT_UID: spec.uid,
                f"{security}/enforce": "baseline",
                f"{security}/enforce-version": "latest",
                f"{security}/warn": "restricted",
                f"{security}/warn-version": "latest",
            },
        },
    }


def limit_range(limits: EnvironmentLimits) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "skerry"},
        "spec": {
            "limits": [
                {
                    "type": "Container",
                    "default": dict(limits.default_limits),
                    "defaultRequest": dict(limits.default_requests),
                    "max": dict(limits.max_limits),
                },
                {"type": "PersistentVolumeClaim", "max": {"storage": limits.max_volume}},
            ]
        },
    }


def quota(limits: EnvironmentLimits) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA_NAME},
        "spec": {"hard": dict(limits.quota)},
    }


def default_service_account() -> Manifest:
    """Pods get no token for the API server unless they ask for one."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default"},
        "automountServiceAccountToken": False,
    }


def what_remains(namespace: Manifest) -> str:
    """What keeps a namespace from going, in the namespace controller's words; empty if nothing."""
    conditions = namespace.get("status", {}).get("conditions") or ()
    return "; ".join(
        str(condition.get("message", ""))
        for condition in conditions
        if condition.get("status") == "True" and condition.get("message")
    )
