"""An environment is a namespace that is safe to put strangers' containers into.

`Environments.ensure` is called before every deploy and by its own command; it applies everything
each time, so that what drifted is put right. `delete` waits until nothing is left.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from agent.kube import Applied, EventType, KubeClient, Live, Manifest, ObjectRef
from agent.kube.backoff import Backoff, retry_transient
from agent.kube.errors import InvalidError, NotServedError
from agent.workloads.budget import needs, shortage
from agent.workloads.concurrent import run_all
from agent.workloads.errors import (
    DEADLINE_EXCEEDED,
    RESOURCE_EXHAUSTED,
    UNAVAILABLE,
    OwnedElsewhereError,
    RefusedError,
    WorkloadError,
)
from agent.workloads.guards import (
    LINK,
    QUOTA_NAME,
    RECORD_NAME,
    EnvironmentLimits,
    excess,
    guards,
    namespace_manifest,
    quota,
    spec_in_record,
)
from agent.workloads.labels import ENVIRONMENT_UID, GUARD, MANAGED_SELECTOR, is_ours, label
from agent.workloads.model import EnvironmentSpec
from agent.workloads.policies import (
    ClusterNetwork,
    cluster_network,
    endpoint_addresses,
    name_servers,
)

FIELD_MANAGER = "skerry-environment"


class Environments:
    """One for all: what makes an environment and what repairs it must not meet in one namespace."""

    def __init__(
        self, kube: KubeClient, limits: EnvironmentLimits | None = None, *, cluster: str = ""
    ) -> None:
        """`cluster` is the uid under which the control plane knows this cluster."""
        self._kube = kube
        self._cluster = cluster
        self._limits = limits or EnvironmentLimits()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, spec: EnvironmentSpec) -> None:
        """Make the namespace and everything that guards it; doing it again changes nothing.

        Raises OwnedElsewhereError when a namespace of that name is not this environment's, and
        KubeError.
        """
        async with self._locks[spec.namespace]:
            await self._check_owner(spec, self._limits.api_timeout)
            # Whether anything changed is not asked, which saves reading each guard first.
            await self._guard(await self._newest(spec), await self.network(), Live(None))
        await self._quota_counted(spec.namespace)

    async def repair(self, spec: EnvironmentSpec, network: ClusterNetwork) -> list[Applied]:
        """As `ensure`, for an environment known to be there whatever its labels say by now; every
        guard as it was before and as it is. Raises KubeError (NamespaceTerminatingError, ...)."""
        async with self._locks[spec.namespace]:
            return await self._guard(await self._newest(spec), network)

    async def network(self) -> ClusterNetwork:
        """The cluster's own addresses as they are now. Raises KubeError."""
        slices = "discovery.k8s.io/v1", "EndpointSlice"
        nodes, services, api_server, api_service, dns, dns_slices = await asyncio.gather(
            self._kube.list("v1", "Node"),
            self._service_ranges(),
            self._kube.list(
                *slices, "default", label_selector="kubernetes.io/service-name=kubernetes"
            ),
            self._kube.get("v1", "Service", "kubernetes", "default"),
            self._kube.get("v1", "Service", "kube-dns", "kube-system"),
            self._kube.list(
                *slices, "kube-system", label_selector="kubernetes.io/service-name=kube-dns"
            ),
        )
        own = (api_service or {}).get("spec", {}).get("clusterIPs") or ()
        return cluster_network(
            nodes,
            services,
            (*endpoint_addresses(api_server), *own),
            name_servers(dns, dns_slices),
        )

    async def exists(self, spec: EnvironmentSpec, *, patient: bool = True) -> bool:
        """Whether the namespace is there and takes new objects. Raises OwnedElsewhereError and,
        at once unless `patient`, UnreachableError."""
        found = await self._check_owner(spec, self._limits.api_timeout if patient else 0.0)
        return found is not None and "deletionTimestamp" not in found["metadata"]

    async def check_room(
        self,
        spec: EnvironmentSpec,
        wanted: Sequence[Manifest],
        live: Iterable[Manifest],
        *,
        within: float = 10.0,
    ) -> None:
        """Raises RefusedError (RESOURCE_EXHAUSTED) with the numbers when an app does not fit. `live` are its objects
        that exist. Pods that are about to end are waited for, for `within` seconds."""
        asked, own = needs(wanted, self._limits), needs(live, self._limits)
        backoff = Backoff(first=0.2, longest=2.0)
        short: list[str] = []
        try:
            async with asyncio.timeout(within):
                while True:
                    found = await self._kube.get("v1", "ResourceQuota", QUOTA_NAME, spec.namespace)
                    short = shortage(asked, own, found or quota(self._limits))
                    if not short:
                        return
                    await asyncio.sleep(backoff.next())
        except TimeoutError as error:
            raise RefusedError(
                RESOURCE_EXHAUSTED,
                "QUOTA_EXCEEDED",
                f"the environment has no room for it, nothing was applied: {'; '.join(short)}. "
                "Ask for less, or delete what is not needed",
            ) from error

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

    async def _guard(
        self, spec: EnvironmentSpec, network: ClusterNetwork, live: Live | None = None
    ) -> list[Applied]:
        namespace = await self._put(namespace_manifest(spec, self._cluster), live)
        first, *rest, record = guards(spec, self._limits, network, self._cluster)
        limits = await self._put(first, live)
        others = await run_all([partial(self._put, manifest, live) for manifest in rest])
        await self._end_links(rest, spec.namespace)
        return [namespace, limits, *others, await self._put(record, live)]

    async def _newest(self, spec: EnvironmentSpec) -> EnvironmentSpec:
        """The environment with its links as the newest command said, which the record remembers."""
        found = await retry_transient(
            lambda: self._kube.get("v1", "ConfigMap", RECORD_NAME, spec.namespace),
            within=self._limits.api_timeout,
        )
        noted = spec_in_record(found) if found is not None else None
        if noted is None or noted.uid != spec.uid or noted.generation <= spec.generation:
            return spec
        return replace(spec, links=noted.links, generation=noted.generation)

    async def _end_links(self, wanted: Sequence[Manifest], namespace: str) -> None:
        """Delete the policies of links that are no more."""
        names = {manifest["metadata"]["name"] for manifest in wanted}
        found = await self._kube.list(
            *("networking.k8s.io/v1", "NetworkPolicy", namespace),
            label_selector=f"{MANAGED_SELECTOR},{GUARD}={LINK}",
        )
        for policy in found:
            if policy["metadata"]["name"] not in names:
                await self._kube.delete(
                    *("networking.k8s.io/v1", "NetworkPolicy", policy["metadata"]["name"]),
                    namespace,
                    uid=policy["metadata"]["uid"],
                )

    async def _put(self, manifest: Manifest, live: Live | None) -> Applied:
        """Make one guard exactly as it must be. `live` as in `KubeClient.apply`."""
        ref = ObjectRef.of(manifest)

        async def apply() -> Applied:
            # Forced: these fields are this system's alone, and a change by hand is drift.
            return await self._kube.apply(
                manifest, field_manager=FIELD_MANAGER, force=True, live=live
            )

        within = self._limits.api_timeout
        try:
            applied = await retry_transient(apply, within=within)
            patch = excess(manifest, applied.obj)
            if patch is None:
                return applied
            corrected = await retry_transient(
                lambda: self._kube.patch(ref, patch, field_manager=FIELD_MANAGER), within=within
            )
            return Applied(corrected, changed=True, previous=applied.previous)
        except InvalidError as error:
            if not error.immutable:
                raise
            # Made anew by somebody with what cannot be changed (a quota's scopes).
            await self._kube.delete(ref.api_version, ref.kind, ref.name, ref.namespace)
            made = await retry_transient(apply, within=within)
            return Applied(made.obj, changed=True, previous=made.previous or made.obj)

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


def what_remains(namespace: Manifest) -> str:
    """What keeps a namespace from going, in the namespace controller's words; empty if nothing."""
    conditions = namespace.get("status", {}).get("conditions") or ()
    return "; ".join(
        str(condition.get("message", ""))
        for condition in conditions
        if condition.get("status") == "True" and condition.get("message")
    )
