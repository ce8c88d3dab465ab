"""Every way out of the tenant's walls that a compose file has: each is refused, and nothing is left to apply.

The list is complete on purpose, one line a way, also where another test looks at the code or the words of the refusal.
"""

from __future__ import annotations

import pytest

from agent.compose import Plan
from tests.unit.compose.helpers import convert, errors, service

SERVICE = [
    "privileged: true",
    *(
        f"cap_add: [{name}]"
        for name in ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_RAW", "ALL")
    ),
    *(
        f"security_opt: ['{option}']"
        for option in ("seccomp=unconfined", "apparmor=unconfined", "label=disable")
    ),
    "devices: [/dev/kmsg]",
    "device_cgroup_rules: ['c 1:3 mr']",
    "gpus: all",
    *(f"pid: {mode}" for mode in ("host", "'container:x'")),
    *(f"ipc: {mode}" for mode in ("host", "'container:x'")),
    "uts: host",
    "cgroup: host",
    "userns_mode: host",
    *(f"network_mode: {mode}" for mode in ("host", "'container:x'")),
    "sysctls: {kernel.core_pattern: x}",
    "sysctls: {net.ipv4.ip_forward: 1}",
    *(
        f"volumes: ['{source}:/x']"
        for source in ("/", "/etc", "~/x", "../x", "./a/../../x", "/var/run/docker.sock")
    ),
    "volumes: [{type: bind, source: /etc, target: /x}]",
    "volumes: [{type: bind, source: ./x, target: /x, bind: {propagation: shared}}]",
    "volumes: [{type: bind, source: ./x, target: /x, bind: {propagation: rslave}}]",
    "volumes: [{type: npipe, source: x, target: /x}]",
    "volumes: [{type: cluster, source: x, target: /x}]",
    "use_api_socket: true",
    "runtime: nvidia",
    "credential_spec: {file: x}",
    *(
        f"extra_hosts: ['h={address}']"
        for address in ("host-gateway", "10.0.0.1", "169.254.169.254", "192.168.1.1", "fd00::1")
    ),
    "dns: 10.43.0.10",
    "dns: 169.254.169.254",
    "external_links: [other]",
    "volumes_from: ['container:x']",
    *(
        f"{hook}: [{{command: x, privileged: true}}]"
        for hook in ("post_start", "pre_stop", "pre_start")
    ),
    "build: {context: ., privileged: true}",
    "build: {context: ., entitlements: [security.insecure]}",
    "build: {context: ., network: host}",
    "build: {context: ., ssh: [default]}",
    "env_file: /etc/shadow",
    "env_file: ../x",
    "extends: {file: ../x.yml, service: web}",
    "extends: {file: 'https://x.example/x.yml', service: web}",
    "label_file: ../x",
    "pull_policy: never",
    "labels: {com.docker.compose.project: x}",
    "labels: {skerry.dev/app: other}",
    "annotations: {skerry.dev/guard: link}",
]
TOP = [
    *(f"networks: {{n: {{driver: {driver}}}}}" for driver in ("host", "macvlan", "ipvlan")),
    "volumes: {v: {driver_opts: {type: none, o: bind, device: /x}}}",
    "volumes: {v: {driver_opts: {type: nfs, o: 'addr=1.2.3.4', device: ':/x'}}}",
    "volumes: {v: {driver_opts: {type: cifs, device: '//x/y'}}}",
    "secrets: {s: {file: /etc/shadow}}",
    "secrets: {s: {file: ../x}}",
    "configs: {c: {file: /etc/passwd}}",
    "include: [../x.yml]",
    "include: ['https://x.example/x.yml']",
    "include: ['oci://x.example/x']",
]


def stopped(result: Plan) -> bool:
    return bool(errors(result)) and result.waves == ()


@pytest.mark.parametrize("line", SERVICE)
def test_a_service_does_not_get_out(line: str) -> None:
    assert stopped(service(line))


@pytest.mark.parametrize("line", SERVICE[:12])
def test_nor_by_a_variable_or_an_override(line: str) -> None:
    assert stopped(convert("services: {web: {image: a}}", f"services:\n  web:\n    {line}\n"))


@pytest.mark.parametrize("text", TOP)
def test_a_file_does_not_get_out(text: str) -> None:
    assert stopped(convert(f"services: {{web: {{image: a}}}}\n{text}"))


@pytest.mark.parametrize(
    "label",
    [
        "kompose.service.type: nodeport",
        "kompose.service.nodeport.port: 30080",
        "kompose.volume.type: hostPath",
        "kompose.serviceaccount-name: skerry-agent",
        "kompose.controller.port.expose: true",
    ],
)
def test_labels_of_kompose_open_nothing(label: str) -> None:
    """They may be taken as hints or left out, but nothing of the host comes of them."""
    result = service(f"ports: ['80']\nvolumes: ['d:/d']\nlabels: {{{label}}}")
    text = str(result.manifests)
    for word in ("NodePort", "hostPath", "hostPort", "LoadBalancer", "serviceAccountName"):
        assert word not in text
