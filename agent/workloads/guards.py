"""What walls an environment off, as manifests: namespace labels, limits, quota, account, policies.

Pure. `environments` applies them; `guardian` sees to it that they stay. The record is the
environment's own description, kept beside them, so that they can be made again without the control
plane.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from agent.kube import Manifest
from agent.workloads.labels import (
    CLUSTER,
    ENVIRONMENT,
    ENVIRONMENT_UID,
    GUARD,
    MANAGED_BY,
    MANAGER,
    ORGANIZATION,
    PROJECT,
    is_ours,
    label,
)
from agent.workloads.model import EnvironmentSpec, LinkedEnvironment
from agent.workloads.policies import ClusterNetwork, link_policy, network_policies

log = structlog.get_logger(__name__)

QUOTA_NAME = "skerry"
RECORD_NAME = "skerry-environment"
LINK = "link"
"""Value of the guard label of policies that links make."""
_RECORD = "environment.json"
_PART = {
    "ConfigMap": "record",
    "LimitRange": "limits",
    "NetworkPolicy": "policy",
    "ResourceQuota": "quota",
    "ServiceAccount": "account",
}


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


def guards(
    spec: EnvironmentSpec, limits: EnvironmentLimits, network: ClusterNetwork, cluster: str
) -> list[Manifest]:
    """Everything inside the namespace, in the order of applying: limits come before the first pod,
    or pods without requests would be refused by the quota; the record comes last, so that an
    environment is known once all of it is there."""
    made = [
        limit_range(limits),
        quota(limits),
        default_service_account(),
        *network_policies(network),
        *(link_policy(link) for link in spec.links),
        record(spec, cluster),
    ]
    return [_marked(manifest, spec) for manifest in made]


def namespace_manifest(spec: EnvironmentSpec, cluster: str) -> Manifest:
    security = "pod-security.kubernetes.io"
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": spec.namespace,
            "labels": {
                MANAGED_BY: MANAGER,
                ORGANIZATION: spec.organization,
                PROJECT: spec.project,
                ENVIRONMENT: spec.environment,
                ENVIRONMENT_UID: spec.uid,
                CLUSTER: cluster,
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


def record(spec: EnvironmentSpec, cluster: str) -> Manifest:
    """The environment's description."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": RECORD_NAME, "labels": {CLUSTER: cluster}},
        "data": {_RECORD: json.dumps(asdict(spec), sort_keys=True)},
    }


def spec_in_record(config_map: Manifest) -> EnvironmentSpec | None:
    """The environment a record describes; None when it is not readable (edited by hand)."""
    namespace = str(config_map["metadata"].get("namespace", ""))
    try:
        content = json.loads(config_map["data"][_RECORD])
        if content["namespace"] != namespace:
            raise ValueError(f"it describes {content['namespace']}")
        return EnvironmentSpec(
            namespace=namespace,
            uid=str(content["uid"]),
            organization=str(content["organization"]),
            project=str(content["project"]),
            environment=str(content["environment"]),
            links=tuple(
                LinkedEnvironment(str(link["namespace"]), str(link["uid"]))
                for link in content["links"]
            ),
            generation=int(content["generation"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        log.warning("environment_record_unreadable", namespace=namespace, error=str(error))
        return None


def spec_in_labels(namespace: Manifest) -> EnvironmentSpec | None:
    """The environment a namespace's labels describe; links are not among them."""
    uid = label(namespace, ENVIRONMENT_UID)
    if not is_ours(namespace) or not uid:
        return None
    return EnvironmentSpec(
        namespace=str(namespace["metadata"]["name"]),
        uid=uid,
        organization=label(namespace, ORGANIZATION),
        project=label(namespace, PROJECT),
        environment=label(namespace, ENVIRONMENT),
    )


def excess(wanted: Manifest, live: Manifest) -> Manifest | None:
    """A merge patch that takes from a guard's spec what somebody added to it; None when there is
    nothing. Apply alone leaves fields that others own: a rule added to a policy that has none
    would stay."""
    if "spec" not in wanted:
        return None
    patch = _difference(wanted["spec"], live.get("spec") or {})
    return {"spec": patch} if patch else None


def _difference(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> Manifest:
    patch: Manifest = {}
    for key in {*wanted, *live}:
        if key not in wanted:
            patch[key] = None
        elif isinstance(wanted[key], Mapping) and (
            nested := _difference(wanted[key], live.get(key) or {})
        ):
            patch[key] = nested
    return patch


def _marked(manifest: Manifest, spec: EnvironmentSpec) -> Manifest:
    labels = {
        GUARD: _PART[manifest["kind"]],
        **manifest["metadata"].get("labels", {}),
        MANAGED_BY: MANAGER,
    }
    metadata = {**manifest["metadata"], "namespace": spec.namespace, "labels": labels}
    return {**manifest, "metadata": metadata}
