"""The second check: manifests tampered with by hand, one kind of host access after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from agent.compose import Manifest
from agent.compose.diagnostics import Report
from agent.compose.verify import verify
from tests.unit.compose.helpers import accepted, convert, service

FULL = """
services:
  web:
    image: a
    init: true
    user: "10:20"
    group_add: [30]
    volumes: ["d:/d", "./x:/x:ro", "/anon", {type: image, source: i, target: /i}]
    tmpfs: /t
    shm_size: 1m
    environment: {A: b}
    ports: ["80"]
    cap_add: [CHOWN]
    cap_drop: [ALL]
    read_only: true
    security_opt: [no-new-privileges]
    sysctls: {net.ipv4.tcp_syncookies: 1}
    extra_hosts: [a=1.2.3.4]
    dns: 1.1.1.1
    hostname: h
    platform: linux/amd64
    stop_grace_period: 5s
    stop_signal: SIGINT
    healthcheck: {test: x}
    x-skerry: {liveness: true}
    pre_start: [{command: a, environment: {X: y}}]
    post_start: [{command: a}]
    depends_on: {job: {condition: service_completed_successfully}, my_db: {condition: service_started}}
    configs: [c]
    secrets: [s]
    networks: [front]
    tty: true
    stdin_open: true
    working_dir: /w
    command: a
    entrypoint: b
    pull_policy: always
  my_db: {image: redis, volumes: ["d:/d"], networks: [back, front]}
  job: {image: b}
  cron: {image: b, x-skerry: {cron: "@daily"}}
networks: {front: , back: {internal: true}}
volumes: {d: }
configs: {c: {content: x}}
secrets: {s: {content: x}}
"""


def full() -> tuple[Manifest, ...]:
    result = convert(FULL, network_isolation=True, files={"x/a": b"1"})
    return accepted(result).manifests


def found(manifests: list[Manifest]) -> list[str]:
    report = Report()
    verify(manifests, "ns", report)
    assert {d.code for d in report.result([])} <= {"CMP399"}
    return [d.message for d in report.result([])]


def test_everything_the_converter_makes_is_accepted() -> None:
    assert found(list(full())) == []
    assert {m["kind"] for m in full()} == {
        *("Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Deployment", "Job"),
        *("CronJob", "NetworkPolicy"),
    }


def in_pod(**change: Any) -> Callable[[Manifest], None]:
    return lambda spec: spec.update(change)


def in_pod_security(**change: Any) -> Callable[[Manifest], None]:
    return lambda spec: spec["securityContext"].update(change)


def in_container(**change: Any) -> Callable[[Manifest], None]:
    return lambda spec: spec["containers"][0].update(change)


def in_init(**change: Any) -> Callable[[Manifest], None]:
    return lambda spec: spec["initContainers"][0].update(change)


def in_security(**change: Any) -> Callable[[Manifest], None]:
    return lambda spec: spec["containers"][0]["securityContext"].update(change)


HTTP = {"httpGet": {"host": "169.254.169.254", "port": 80}}
POD_CHANGES = {
    "node network": in_pod(hostNetwork=True),
    "node processes": in_pod(hostPID=True),
    "node memory": in_pod(hostIPC=True),
    "node users": in_pod(hostUsers=True),
    "node by name": in_pod(nodeName="n"),
    "node by label": in_pod(nodeSelector={"node-role.kubernetes.io/control-plane": "true"}),
    "node by affinity": in_pod(affinity={"nodeAffinity": {}}),
    "tainted nodes": in_pod(tolerations=[{"operator": "Exists"}]),
    "scheduler": in_pod(schedulerName="s"),
    "priority": in_pod(priorityClassName="system-node-critical"),
    "runtime": in_pod(runtimeClassName="x"),
    "token": in_pod(automountServiceAccountToken=True),
    "service account": in_pod(serviceAccountName="x"),
    "old service account": in_pod(serviceAccount="x"),
    "image credentials": in_pod(imagePullSecrets=[{"name": "x"}]),
    "host name of the node": in_pod(setHostnameAsFQDN=True),
    "dns of the node": in_pod(dnsPolicy="Default"),
    "ephemeral containers": in_pod(ephemeralContainers=[]),
    "devices": in_pod(resourceClaims=[{"name": "x"}]),
    "host path": in_pod(volumes=[{"name": "x", "hostPath": {"path": "/"}}]),
    "projected token": in_pod(volumes=[{"name": "x", "projected": {}}]),
    "csi": in_pod(volumes=[{"name": "x", "csi": {}}]),
    "nfs": in_pod(volumes=[{"name": "x", "nfs": {}}]),
    "downward api": in_pod(volumes=[{"name": "x", "downwardAPI": {}}]),
    "metadata address": in_pod(hostAliases=[{"ip": "169.254.169.254", "hostnames": ["x"]}]),
    "cluster address": in_pod(hostAliases=[{"ip": "10.43.0.1", "hostnames": ["x"]}]),
    "name server": in_pod(dnsConfig={"nameservers": ["10.0.0.1"]}),
    "sysctl": in_pod_security(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "seccomp": in_pod_security(seccompProfile={"type": "Unconfined"}),
    "apparmor": in_pod_security(appArmorProfile={"type": "Unconfined"}),
    "selinux": in_pod_security(seLinuxOptions={"type": "spc_t"}),
    "windows": in_pod_security(windowsOptions={"hostProcess": True}),
    "privileged": in_security(privileged=True),
    "capability": in_security(capabilities={"add": ["NET_RAW"]}),
    "proc": in_security(procMount="Unmasked"),
    "container seccomp": in_security(seccompProfile={"type": "Unconfined"}),
    "container selinux": in_security(seLinuxOptions={"type": "spc_t"}),
    "container windows": in_security(windowsOptions={"hostProcess": True}),
    "host port": in_container(ports=[{"containerPort": 1, "hostPort": 1}]),
    "host ip": in_container(ports=[{"containerPort": 1, "hostIP": "1.2.3.4"}]),
    "block device": in_container(volumeDevices=[{"name": "x", "devicePath": "/dev/x"}]),
    "propagation": in_container(
        volumeMounts=[{"name": "x", "mountPath": "/x", "mountPropagation": "Bidirectional"}]
    ),
    "probe from the node": in_container(readinessProbe=HTTP),
    "startup probe from the node": in_container(startupProbe={"tcpSocket": {"port": 1}}),
    "liveness probe from the node": in_container(livenessProbe={"grpc": {"port": 1}}),
    "request from the node": in_container(lifecycle={"preStop": HTTP}),
    "variable of the node": in_container(
        env=[{"name": "x", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
    ),
    "other variables": in_container(envFrom=[{"configMapRef": {"name": "x"}}]),
    "privileged init": in_init(securityContext={"privileged": True}),
    "init host port": in_init(ports=[{"containerPort": 1, "hostPort": 1}]),
    "sidecar": in_init(restartPolicy="Always"),
}


@pytest.mark.parametrize("kind", ["Deployment", "Job", "CronJob"])
@pytest.mark.parametrize("change", POD_CHANGES.values(), ids=POD_CHANGES)
def test_a_pod_that_reaches_the_host(kind: str, change: Callable[[Manifest], None]) -> None:
    manifest = copy.deepcopy(next(m for m in full() if m["kind"] == kind))
    spec = manifest["spec"].get("jobTemplate", manifest)["spec"]["template"]["spec"]
    spec["containers"][0].setdefault("securityContext", {})
    spec.setdefault("initContainers", [{"name": "i", "image": "i"}])
    assert found([manifest]) == []
    change(spec)
    assert len(found([manifest])) == 1


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Service", {"type": "NodePort"}),
        ("Service", {"type": "LoadBalancer"}),
        ("Service", {"externalIPs": ["1.2.3.4"]}),
        ("Service", {"externalName": "x"}),
        ("Service", {"selector": {}}),
        ("Service", {"loadBalancerIP": "1.2.3.4"}),
        ("Service", {"ports": [{"port": 80, "nodePort": 30080}]}),
        ("PersistentVolumeClaim", {"volumeName": "pv"}),
        ("PersistentVolumeClaim", {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}),
        ("NetworkPolicy", {"egress": [{}]}),
        ("NetworkPolicy", {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
        ("NetworkPolicy", {"ingress": [{"from": [{"namespaceSelector": {}}]}]}),
    ],
)
def test_other_objects_that_reach_further(kind: str, change: dict[str, Any]) -> None:
    manifest = copy.deepcopy(next(m for m in full() if m["kind"] == kind))
    manifest["spec"].update(change)
    assert len(found([manifest])) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        {"labels": {"mine": "x"}},
        {"annotations": {"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}},
        {"annotations": {"io.kubernetes.cri": "x", "node.k8s.io/x": "y"}},
        {"ownerReferences": [{}]},
        {"finalizers": ["x"]},
    ],
)
def test_metadata_that_means_something_to_others(change: dict[str, Any]) -> None:
    manifest = copy.deepcopy(next(m for m in full() if m["kind"] == "Deployment"))
    for metadata in (manifest["metadata"], manifest["spec"]["template"]["metadata"]):
        before = copy.deepcopy(metadata)
        metadata.update(change)
        assert found([manifest])
        metadata.clear()
        metadata.update(before)
    assert found([manifest]) == []


@pytest.mark.parametrize(
    "change", [{"metadata": {"name": "x", "namespace": "kube-system"}}, {"kind": "DaemonSet"}, {"kind": "Pod"}, {"kind": "Secret", "type": "kubernetes.io/service-account-token"}]
)  # fmt: skip
def test_other_kinds(change: dict[str, Any]) -> None:
    manifest = copy.deepcopy(next(m for m in full() if m["kind"] == "ConfigMap"))
    manifest.update(change)
    assert len(found([manifest])) == 1


def test_two_objects_of_one_name_collide() -> None:
    report = Report()
    manifests = service("").manifests
    verify([*manifests, manifests[0]], "ns", report)
    assert [d.code for d in report.result([])] == ["CMP130"]
