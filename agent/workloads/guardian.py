"""Sees to it that environments stay walled off, control plane or no control plane.

Watches namespaces, quotas, limits, policies, accounts and the environments' records in all
namespaces, and the cluster's own addresses. What was deleted or edited is put right at once and
told (`GuardStatus`); policies that somebody else made are told and left alone, for they may be
the operator's will. Owned by `app`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from agent.kube import Applied, KubeClient, Manifest, ObjectRef
from agent.kube.backoff import Backoff
from agent.kube.errors import KubeError, NamespaceTerminatingError
from agent.workloads.environments import FIELD_MANAGER, Environments
from agent.workloads.guards import RECORD_NAME, spec_in_labels, spec_in_record
from agent.workloads.labels import APP, CLUSTER, GUARD, MANAGED_SELECTOR, is_ours, label
from agent.workloads.model import EnvironmentSpec, GuardStatus
from agent.workloads.observe import Observation, Watched, observe
from agent.workloads.policies import ClusterNetwork

log = structlog.get_logger(__name__)

_GUARDS = ("ConfigMap", "LimitRange", "NetworkPolicy", "ResourceQuota", "ServiceAccount")
_WATCHED = (
    Watched("v1", "Namespace"),
    Watched("v1", "ConfigMap", f"{MANAGED_SELECTOR},{GUARD}"),
    Watched("v1", "LimitRange", f"{MANAGED_SELECTOR},{GUARD}"),
    Watched("v1", "ResourceQuota", f"{MANAGED_SELECTOR},{GUARD}"),
    Watched("v1", "ServiceAccount", f"{MANAGED_SELECTOR},{GUARD}"),
    Watched("networking.k8s.io/v1", "NetworkPolicy"),
)
_NETWORK = (
    Watched("v1", "Node"),
    Watched("v1", "Service", field_selector="metadata.name=kube-dns"),
    Watched("discovery.k8s.io/v1", "EndpointSlice", field_selector="metadata.name=kubernetes"),
)
_SERVICE_RANGES = Watched("networking.k8s.io/v1", "ServiceCIDR")  # since Kubernetes 1.33
_LABELS = ("skerry.dev/", "pod-security.kubernetes.io/", "app.kubernetes.io/managed-by")


@dataclass(frozen=True, slots=True)
class GuardPace:
    """In seconds."""

    settle: float = 0.1
    """Changes that come together are put right together."""
    interval: float = 1.0
    """Between two rounds: who fights over a policy does not get all of the API server."""
    look_again: float = 30.0
    """After which everything is compared anew without a change, and what failed is tried again."""


@dataclass(slots=True)
class _Watch:
    """What is known of one environment."""

    spec: EnvironmentSpec
    as_made: Mapping[ObjectRef, str]
    status: GuardStatus | None = None
    outdated: bool = False
    """Whether it was made for other cluster addresses: putting that right is no repair."""


class Guardian:
    """`publish` is told how an environment is guarded, `retract` the uid of one that is gone.

    Looks after the environments of `cluster` (see `Environments`); those of another control plane's agent in the
    same cluster are that one's.
    """

    def __init__(
        self,
        kube: KubeClient,
        environments: Environments,
        publish: Callable[[GuardStatus], None],
        retract: Callable[[str], None],
        *,
        cluster: str,
        clock: Callable[[], datetime],
        pace: GuardPace,
    ) -> None:
        self._kube = kube
        self._environments = environments
        self._publish = publish
        self._retract = retract
        self._cluster = cluster
        self._clock = clock
        self._pace = pace
        self._known: dict[str, _Watch] = {}

    async def run(self) -> None:
        """Runs until cancelled. A watch that is refused is tried again, and logged each time."""
        backoff = Backoff(first=1.0, longest=60.0)
        while True:
            try:
                watched = [*_WATCHED, *_NETWORK]
                if await self._kube.is_served(_SERVICE_RANGES.api_version, _SERVICE_RANGES.kind):
                    watched.append(_SERVICE_RANGES)
                async with observe(self._kube, watched) as picture:
                    backoff.reset()
                    await self._keep(picture)
            except KubeError as error:
                delay = backoff.next()
                log.warning("guard_watch_failed", error=error.message, retry_in=delay)
                await asyncio.sleep(delay)

    async def _keep(self, picture: Observation) -> None:
        network = await self._environments.network()
        everywhere = True
        touched: Sequence[Manifest] = ()
        while True:
            present = _environments(picture, self._known, self._cluster)
            marked = set(present) if everywhere else {_namespace_of(obj) for obj in touched}
            for namespace in sorted(set(self._known) - set(present)):
                self._forget(namespace)
            for namespace in sorted(marked & set(present)):
                await self._look(present[namespace], network, picture)
            await asyncio.sleep(self._pace.interval)
            touched = await picture.changed(within=self._pace.look_again)
            await asyncio.sleep(self._pace.settle)
            touched = [*touched, *await picture.changed(within=0)]
            everywhere = not touched
            if everywhere or any(obj["kind"] in _NETWORK_KINDS for obj in touched):
                former, network = network, await self._environments.network()
                if network != former:
                    log.info("cluster_addresses_changed", ranges=len(network.ranges))
                    everywhere = True
                    for known in self._known.values():
                        known.outdated = True

    async def _look(
        self, spec: EnvironmentSpec, network: ClusterNetwork, picture: Observation
    ) -> None:
        """Compare one environment with how it was made, and put it right where it differs."""
        known = self._known.setdefault(spec.namespace, _Watch(spec, {}))
        repaired: list[str] = []
        as_made = known.as_made
        if known.outdated or spec != known.spec or as_made != _fingerprints(spec, picture):
            try:
                applied = await self._environments.repair(spec, network)
            except NamespaceTerminatingError:
                return  # its deletion has begun; the watch will say so
            except KubeError as error:
                log.warning("guard_repair_failed", namespace=spec.namespace, error=error.message)
                self._tell(known, spec, (), failure=error.message)
                return
            if not known.outdated:
                repaired = [text for one in applied if (text := what_changed(one))]
            known.spec, known.outdated = spec, False
            known.as_made = {ObjectRef.of(one.obj): _fingerprint(one.obj) for one in applied}
        self._tell(known, spec, repaired, foreign=_foreign_policies(spec, picture))

    def _tell(
        self,
        known: _Watch,
        spec: EnvironmentSpec,
        repaired: Sequence[str],
        *,
        foreign: Sequence[str] = (),
        failure: str = "",
    ) -> None:
        former = known.status
        repairs = former.repairs if former else 0
        time = former.repair_time if former else None
        reason, message = "Guarded", ""
        if former is not None and former.repairs:  # what happened last stays to be read
            reason, message = "Repaired", former.message.partition(_AND)[0]
        if repaired:
            repairs, time = repairs + 1, self._clock()
            reason = "Repaired"
            message = f"{'; '.join(repaired)}: put right at {time:%Y-%m-%dT%H:%M:%SZ}"
            log.warning("environment_repaired", namespace=spec.namespace, what=repaired)
        if failure:
            reason, message = "RepairFailed", f"what guards it could not be put right: {failure}"
        elif foreign:
            names = ", ".join(foreign)
            text = (
                f"NetworkPolicy {names} is not Skerry's; policies only add up, so it may allow "
                "more than an environment should: delete it, or keep it knowingly"
            )
            reason, message = "ForeignPolicies", f"{message}{_AND if message else ''}{text}"
        known.status = GuardStatus(
            environment=spec,
            guarded=not failure and not foreign,
            reason=reason,
            message=message,
            repairs=repairs,
            repair_time=time,
        )
        if known.status != former:
            self._publish(known.status)

    def _forget(self, namespace: str) -> None:
        """Its namespace is gone or going: by command, or by somebody's hand, which shows."""
        known = self._known.pop(namespace)
        self._retract(known.spec.uid)
        log.info("environment_no_longer_guarded", namespace=namespace)


_AND = " | "
_NETWORK_KINDS = frozenset({one.kind for one in (*_NETWORK, _SERVICE_RANGES)})


def what_changed(applied: Applied) -> str:
    """What was wrong with a guard before it was applied, for people; empty when nothing was."""
    kind, name = applied.obj["kind"], applied.obj["metadata"]["name"]
    if applied.previous is None:
        return f"{kind} {name} was missing"
    if not applied.changed:
        return ""
    entries = [
        entry
        for entry in applied.previous["metadata"].get("managedFields") or ()
        if entry.get("manager") not in (FIELD_MANAGER, None) and entry.get("subresource") is None
    ]
    entries.sort(key=lambda entry: str(entry.get("time", "")))
    by = f" by {entries[-1]['manager']}" if entries else ""
    return f"{kind} {name} was changed{by}"


def _environments(
    picture: Observation, known: Mapping[str, _Watch], cluster: str
) -> dict[str, EnvironmentSpec]:
    """The environments that are there, by namespace: as their records say, else as they were known
    (a record deleted by hand), else as the labels say (made by an older agent)."""
    records = {
        obj["metadata"]["namespace"]: obj
        for obj in picture.of("ConfigMap")
        if obj["metadata"]["name"] == RECORD_NAME and label(obj, CLUSTER) == cluster
    }
    found = {}
    for namespace in picture.of("Namespace"):
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" in namespace["metadata"]:
            continue
        spec = spec_in_record(records[name]) if name in records else None
        if name in known and (spec is None or spec.generation <= known[name].spec.generation):
            spec = known[name].spec
        if spec is None and label(namespace, CLUSTER) == cluster:
            spec = spec_in_labels(namespace)
        if spec is not None:
            found[name] = spec
    return found


def _fingerprints(spec: EnvironmentSpec, picture: Observation) -> dict[ObjectRef, str]:
    """Everything that guards one environment now."""
    namespace, found = spec.namespace, {}
    for obj in picture.of("Namespace"):
        if obj["metadata"]["name"] == namespace:
            found[ObjectRef.of(obj)] = _fingerprint(obj)
    for kind in _GUARDS:
        for obj in picture.of(kind):
            if obj["metadata"]["namespace"] == namespace and is_ours(obj) and label(obj, GUARD):
                found[ObjectRef.of(obj)] = _fingerprint(obj)
    return found


def _fingerprint(obj: Manifest) -> str:
    """What of a guard must stay as it was made. Counters in its status change all the time."""
    labels: Mapping[str, Any] = obj["metadata"].get("labels") or {}
    kept = {key: value for key, value in labels.items() if key.startswith(_LABELS)}
    parts = [kept, *(obj.get(key) for key in ("data", "automountServiceAccountToken"))]
    if obj["kind"] != "Namespace":  # its spec is the API server's
        parts.append(obj.get("spec"))
    return json.dumps(parts, sort_keys=True)


def _foreign_policies(spec: EnvironmentSpec, picture: Observation) -> list[str]:
    return sorted(
        obj["metadata"]["name"]
        for obj in picture.of("NetworkPolicy")
        if obj["metadata"]["namespace"] == spec.namespace
        and not (is_ours(obj) and (label(obj, GUARD) or label(obj, APP)))
    )


def _namespace_of(obj: Manifest) -> str:
    metadata = obj["metadata"]
    return str(metadata["name"] if obj["kind"] == "Namespace" else metadata.get("namespace", ""))
