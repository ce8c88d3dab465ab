"""From Kubernetes objects to `ClusterFacts`. Pure; called by `reporter`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from skerry.agent.v1 import report_pb2

from agent.kube import Manifest
from agent.workloads.quantity import parse_quantity

DEFAULT_CLASS_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
CONTROLLER_ANNOTATION = "helmcharts.cattle.io/managed-by"
ANSWERS_WITHIN = timedelta(seconds=60)


def distribution(git_version: str) -> str:
    """`k3s` or `kubernetes`, from the server's version (`v1.36.4+k3s1`)."""
    return "k3s" if "+k3s" in git_version else "kubernetes"


def node_facts(node: Manifest) -> report_pb2.NodeFacts:
    """One machine. A node that is cordoned does not take pods, so it is not ready here."""
    status = node.get("status") or {}
    info, allocatable = status.get("nodeInfo") or {}, status.get("allocatable") or {}
    ready = any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    return report_pb2.NodeFacts(
        name=node["metadata"]["name"],
        ready=ready and not cordoned,
        kubelet_version=info.get("kubeletVersion", ""),
        architecture=info.get("architecture", ""),
        cpu_millis=round(parse_quantity(allocatable.get("cpu", "0")) * 1000),
        memory_bytes=int(parse_quantity(allocatable.get("memory", "0"))),
        addresses=[f"{a['type']}={a['address']}" for a in status.get("addresses") or ()],
    )


def storage_class_facts(storage_class: Manifest) -> report_pb2.StorageClassFacts:
    """One storage class."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return report_pb2.StorageClassFacts(
        name=storage_class["metadata"]["name"],
        provisioner=storage_class.get("provisioner", ""),
        is_default=any(annotations.get(key) == "true" for key in DEFAULT_CLASS_ANNOTATIONS),
    )


def helm_controller_answers(charts: Sequence[Manifest], now: datetime) -> bool | None:
    """Whether a controller is at work, told by the mark it leaves on every HelmChart it takes up.

    None while no HelmChart is old enough to tell.
    """
    if any(CONTROLLER_ANNOTATION in (c["metadata"].get("annotations") or {}) for c in charts):
        return True
    made = [c["metadata"].get("creationTimestamp") for c in charts]
    old = [m for m in made if m and now - datetime.fromisoformat(m) > ANSWERS_WITHIN]
    return False if old else None
