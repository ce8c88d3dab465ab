"""Manifests as an attacker would change them between the plan and the API server. Shared by the test of the agent's gate
and the one that asks a real API server."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from agent.compose import Context, SourceFile, plan
from agent.kube import Manifest
from agent.workloads.model import EnvironmentSpec
from agent.workloads.objects import owned

COMPOSE = b"""
services:
  web:
    image: docker.io/library/busybox:1.36
    command: sleep 3600
    ports: ["8080:8080"]
    environment: {A: b}
    volumes: ["data:/data"]
volumes: {data: }
"""


def good(environment: EnvironmentSpec, app: str = "demo") -> list[Manifest]:
    """The manifests of a plain app, as a deploy has them in hand before it applies."""
    result = plan(
        [SourceFile("compose.yml", COMPOSE)],
        Context(
            app=app,
            namespace=environment.namespace,
            project=environment.project,
            environment=environment.environment,
            network_isolation=True,
        ),
    )
    return [owned(copy.deepcopy(manifest), app, environment) for manifest in result.manifests]


def one(manifests: list[Manifest], kind: str) -> Manifest:
    return next(manifest for manifest in manifests if manifest["kind"] == kind)


def pod(manifest: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def container(manifest: Manifest) -> dict[str, Any]:
    first: dict[str, Any] = pod(manifest)["containers"][0]
    return first


Change = Callable[[Manifest], object]

# What Pod Security `baseline`, the quota or the API server itself refuses too, when it is asked after the agent.
REFUSED_TWICE: dict[str, tuple[str, Change]] = {
    "hostPath": (
        "Deployment",
        lambda m: pod(m).setdefault("volumes", []).append({"name": "h", "hostPath": {"path": "/"}}),
    ),
    "hostNetwork": ("Deployment", lambda m: pod(m).update(hostNetwork=True)),
    "hostPID": ("Deployment", lambda m: pod(m).update(hostPID=True)),
    "hostIPC": ("Deployment", lambda m: pod(m).update(hostIPC=True)),
    "hostPort": (
        "Deployment",
        lambda m: container(m).update(ports=[{"containerPort": 80, "hostPort": 80}]),
    ),
    "privileged": (
        "Deployment",
        lambda m: container(m).update(securityContext={"privileged": True}),
    ),
    "capability": (
        "Deployment",
        lambda m: container(m).update(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
    ),
    "procMount": (
        "Deployment",
        lambda m: container(m).update(securityContext={"procMount": "Unmasked"}),
    ),
    "unconfined": (
        "Deployment",
        lambda m: pod(m).update(securityContext={"seccompProfile": {"type": "Unconfined"}}),
    ),
    "unsafe sysctl": (
        "Deployment",
        lambda m: pod(m)["securityContext"].update(
            sysctls=[{"name": "kernel.msgmax", "value": "1"}]
        ),
    ),
    "init container": (
        "Deployment",
        lambda m: pod(m).update(
            initContainers=[
                {"name": "i", "image": "busybox", "securityContext": {"privileged": True}}
            ]
        ),
    ),
    "NodePort": ("Service", lambda m: m["spec"].update(type="NodePort", clusterIP="")),
    "LoadBalancer": ("Service", lambda m: m["spec"].update(type="LoadBalancer", clusterIP="")),
}

# What the API server would take: the agent alone stands before it.
REFUSED_HERE: dict[str, tuple[str, Change]] = {
    "token": ("Deployment", lambda m: pod(m).update(automountServiceAccountToken=True)),
    "token by default": ("Deployment", lambda m: pod(m).pop("automountServiceAccountToken")),
    "projected token": (
        "Deployment",
        lambda m: pod(m)["volumes"].append(
            {
                "name": "t",
                "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
            }
        ),
    ),
    "image volume that is not pulled": (
        "Deployment",
        lambda m: pod(m)["volumes"].append(
            {"name": "i", "image": {"reference": "a", "pullPolicy": "Never"}}
        ),
    ),
    "service account": ("Deployment", lambda m: pod(m).update(serviceAccountName="skerry-agent")),
    "old service account": ("Deployment", lambda m: pod(m).update(serviceAccount="skerry-agent")),
    "node name": ("Deployment", lambda m: pod(m).update(nodeName="one")),
    "tolerations": ("Deployment", lambda m: pod(m).update(tolerations=[{"operator": "Exists"}])),
    "priority": (
        "Deployment",
        lambda m: pod(m).update(priorityClassName="system-node-critical"),
    ),
    "ephemeral container": ("Deployment", lambda m: pod(m).update(ephemeralContainers=[])),
    "device": ("Deployment", lambda m: container(m).update(volumeDevices=[])),
    "mount propagation": (
        "Deployment",
        lambda m: container(m)["volumeMounts"][0].update(mountPropagation="Bidirectional"),
    ),
    "network probe": (
        "Deployment",
        lambda m: container(m).update(
            readinessProbe={"httpGet": {"host": "169.254.169.254", "port": 80}}
        ),
    ),
    "network hook": (
        "Deployment",
        lambda m: container(m).update(
            lifecycle={"postStart": {"tcpSocket": {"host": "10.43.0.1", "port": 443}}}
        ),
    ),
    "downward API": (
        "Deployment",
        lambda m: container(m).update(
            env=[{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
        ),
    ),
    "another app's pods": (
        "Deployment",
        lambda m: m["spec"]["template"]["metadata"]["labels"].update({"skerry.dev/app": "other"}),
    ),
    "another app's label": (
        "Deployment",
        lambda m: m["metadata"]["labels"].update({"skerry.dev/app": "other"}),
    ),
    "nobody's label": (
        "Secret",
        lambda m: m["metadata"]["labels"].pop("app.kubernetes.io/managed-by"),
    ),
    "a guard's label": (
        "Secret",
        lambda m: m["metadata"]["labels"].update({"skerry.dev/guard": "link"}),
    ),
    "owner": ("Secret", lambda m: m["metadata"].update(ownerReferences=[])),
    "finalizer": ("Secret", lambda m: m["metadata"].update(finalizers=["a.b/c"])),
    "other namespace": ("Secret", lambda m: m["metadata"].update(namespace="kube-system")),
    "token secret": (
        "Secret",
        lambda m: m.update(type="kubernetes.io/service-account-token"),
    ),
    "the record's name": ("Secret", lambda m: m["metadata"].update(name="skerry-environment")),
    "external addresses": ("Service", lambda m: m["spec"].update(externalIPs=["203.0.113.7"])),
    "external name": (
        "Service",
        lambda m: m["spec"].update(type="ExternalName", externalName="kubernetes.default"),
    ),
    "no selector": ("Service", lambda m: m["spec"].pop("selector")),
    "another app's traffic": (
        "Service",
        lambda m: m["spec"]["selector"].update({"skerry.dev/app": "other"}),
    ),
    "a given volume": ("PersistentVolumeClaim", lambda m: m["spec"].update(volumeName="pv-1")),
    "ClusterRole": (
        "Secret",
        lambda m: m.update(apiVersion="rbac.authorization.k8s.io/v1", kind="ClusterRole"),
    ),
    "RoleBinding": (
        "Secret",
        lambda m: m.update(apiVersion="rbac.authorization.k8s.io/v1", kind="RoleBinding"),
    ),
    "HelmChart": ("Secret", lambda m: m.update(apiVersion="helm.cattle.io/v1", kind="HelmChart")),
    "DaemonSet": ("Deployment", lambda m: m.update(kind="DaemonSet")),
    "Pod": ("Deployment", lambda m: m.update(apiVersion="v1", kind="Pod")),
    "Namespace": ("Secret", lambda m: m.update(kind="Namespace")),
    "ServiceAccount": ("Secret", lambda m: m.update(kind="ServiceAccount")),
    "quota": ("Secret", lambda m: m.update(kind="ResourceQuota")),
    "nothing at all": ("Secret", lambda m: m.clear()),
}
