"""What tenants may not have: each with its code, on the merged and interpolated model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compose.security import refused_address
from tests.unit.compose.helpers import accepted, container, convert, errors, pod, service


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("privileged: true", "CMP311"),
        ("privileged: ${P:-true}", "CMP311"),
        ("cap_add: [NET_ADMIN]", "CMP310"),
        ("cap_add: [cap_sys_admin]", "CMP310"),
        ("cap_add: [ALL]", "CMP310"),
        ("security_opt: [seccomp=unconfined]", "CMP318"),
        ("security_opt: ['seccomp:unconfined']", "CMP318"),
        ("security_opt: [apparmor=unconfined]", "CMP318"),
        ("security_opt: ['label=type:x']", "CMP318"),
        ("security_opt: [systempaths=unconfined]", "CMP318"),
        ("devices: [/dev/kvm]", "CMP312"),
        ("device_cgroup_rules: ['c 1:3 mr']", "CMP312"),
        ("gpus: all", "CMP315"),
        ("deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}", "CMP315"),
        ("pid: host", "CMP313"),
        ("pid: container:x", "CMP313"),
        ("pid: service:web", "CMP142"),
        ("pid: service:nobody", "CMP141"),
        ("ipc: service:nobody", "CMP141"),
        ("ipc: host", "CMP313"),
        ("ipc: container:x", "CMP313"),
        ("uts: host", "CMP313"),
        ("userns_mode: host", "CMP313"),
        ("cgroup: host", "CMP313"),
        ("cgroup_parent: /x", "CMP316"),
        ("network_mode: host", "CMP301"),
        ("network_mode: container:x", "CMP301"),
        ("network_mode: macvlan0", "CMP301"),
        ("network_mode: service:web", "CMP142"),
        ("network_mode: service:nobody", "CMP141"),
        ("sysctls: {net.core.somaxconn: 1024}", "CMP314"),
        ("sysctls: [net.ipv4.ip_forward=1]", "CMP314"),
        ("volumes: ['/var/run/docker.sock:/var/run/docker.sock']", "CMP330"),
        ("volumes: ['/run/docker.sock:/s:ro']", "CMP330"),
        ("volumes: ['/:/host']", "CMP330"),
        ("volumes: ['/etc/localtime:/etc/localtime']", "CMP330"),
        ("volumes: ['~/x:/x']", "CMP330"),
        ("volumes: ['../x:/x']", "CMP330"),
        ("volumes: ['./a/../../x:/x']", "CMP330"),
        ("volumes: ['C:\\x:/x']", "CMP330"),
        ("volumes: [{type: bind, source: ./x, target: /x, content: text}]", "CMP163"),
        ("volumes: [{type: bind, source: ./x, target: /x, is_directory: true}]", "CMP163"),
        ("volumes: [{type: bind, source: ./x, target: /x, isDirectory: true}]", "CMP163"),
        ("volumes: [{type: bind, source: ./x, target: /x, mode: '0755'}]", "CMP163"),
        ("exclude_from_hc: true", "CMP163"),
        ("volumes: [{type: bind, source: /etc, target: /x}]", "CMP330"),
        ("volumes: [{type: bind, source: '${D:-/etc}', target: /x}]", "CMP330"),
        ("volumes: [{type: bind, target: /x}]", "CMP330"),
        ("volumes: ['./x:/x:rshared']", "CMP332"),
        ("volumes: [{type: npipe, source: x, target: /x}]", "CMP333"),
        ("volumes: [{type: cluster, source: x, target: /x}]", "CMP333"),
        ("volumes: [{type: image, source: 'a b', target: /x}]", "CMP204"),
        ("volumes: [{type: image, target: /x}]", "CMP204"),
        ("volumes: [{type: image, source: x, target: /x, image: {subpath: ../y}}]", "CMP340"),
        ("volumes: [{type: image, source: x, target: /x, image: {subpath: /y}}]", "CMP340"),
        ("use_api_socket: true", "CMP330"),
        ("runtime: nvidia", "CMP317"),
        ("credential_spec: {file: x}", "CMP317"),
        ("extra_hosts: ['h:host-gateway']", "CMP303"),
        ("extra_hosts: {h: 169.254.169.254}", "CMP303"),
        ("extra_hosts: [h=10.43.0.1]", "CMP303"),
        ("extra_hosts: ['h=[fd00::1]']", "CMP303"),
        ("extra_hosts: ['h=::ffff:10.0.0.1']", "CMP303"),
        ("dns: 10.0.0.1", "CMP303"),
        ("external_links: [other]", "CMP302"),
        ("volumes_from: ['container:x']", "CMP302"),
        ("pull_policy: never", "CMP319"),
        ("labels: {com.docker.compose.project: x}", "CMP321"),
        ("labels: [skerry.dev/app=other]", "CMP321"),
        ("post_start: [{command: x, privileged: true}]", "CMP311"),
        ("pre_stop: [{command: x, privileged: true}]", "CMP311"),
        ("pre_start: [{command: x, privileged: true}]", "CMP311"),
        ("pre_start: [{command: x, user: someone}]", "CMP361"),
        ("post_start: [{user: root}]", "CMP161"),
        ("pre_start: [{user: root}]", "CMP161"),
        ("stop_signal: quit now", "CMP004"),
        ("build: .", "CMP202"),
        ("user: someone", "CMP361"),
    ],
)
def test_refused(line: str, code: str) -> None:
    assert code in errors(service(line))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("networks: {n: {driver: host}}", "CMP301"),
        ("networks: {n: {driver: macvlan}}", "CMP301"),
        ("volumes: {v: {driver: rexray}}", "CMP331"),
        ("volumes: {v: {driver_opts: {type: none, o: bind, device: /x}}}", "CMP330"),
        ("volumes: {v: {driver_opts: {type: nfs, o: 'addr=1.2.3.4', device: ':/x'}}}", "CMP331"),
        ("volumes: {v: {driver_opts: {type: cifs, device: '//x/y'}}}", "CMP331"),
        ("secrets: {s: {driver: vault}}", "CMP333"),
        ("secrets: {s: {file: /etc/shadow}}", "CMP212"),
        ("configs: {c: {file: ../x}}", "CMP212"),
        ("models: {m: {model: x}}", "CMP160"),
    ],
)
def test_refused_at_the_top(text: str, code: str) -> None:
    assert code in errors(convert(f"services: {{web: {{image: a}}}}\n{text}"))


def test_a_rejected_plan_has_nothing_to_apply() -> None:
    result = service("privileged: true")
    assert result.waves == ()
    assert [one.name for one in result.services] == ["web"], "facts stay, for editors"


def test_everything_is_reported_at_once() -> None:
    result = service("privileged: true\npid: host\nfoo: 1\nports: [x]")
    assert sorted(errors(result)) == ["CMP002", "CMP231", "CMP311", "CMP313"]


def test_the_override_file_is_checked_too() -> None:
    result = convert("services: {web: {image: a}}", "services: {web: {privileged: true}}")
    assert [(d.file, d.code) for d in result.diagnostics] == [("override-1.yml", "CMP311")]


@pytest.mark.parametrize(
    "line",
    [
        "cap_add: [CAP_NET_BIND_SERVICE, chown]",
        "extra_hosts: ['h=1.2.3.4', 'l=127.0.0.1']",
        "dns: [1.1.1.1]",
        "sysctls: {net.ipv4.tcp_syncookies: 1}",
        "security_opt: ['no-new-privileges:true']",
        "ipc: shareable",
        "volumes: ['/etc/localtime:/etc/localtime:ro']",
    ],
)
def test_allowed(line: str) -> None:
    accepted(service(line))


def test_capabilities_are_written_as_kubernetes_does() -> None:
    security = container(service("cap_add: [cap_chown, KILL]\ncap_drop: [all]"))["securityContext"]
    assert security["capabilities"] == {"add": ["CHOWN", "KILL"], "drop": ["ALL"]}


def test_pods_have_no_token_no_service_links_and_the_runtime_profile() -> None:
    spec = pod(service("user: '10:20'"))
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"] == {
        "seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 10, "runAsGroup": 20,
    }  # fmt: skip


@given(st.text(max_size=40) | st.ip_addresses().map(str))
def test_any_address_is_judged(address: str) -> None:
    refused_address(address)


@given(st.ip_addresses(v=4, network="10.0.0.0/8").map(str))
def test_private_addresses_are_refused_in_every_spelling(address: str) -> None:
    assert refused_address(address)
    assert refused_address(f"::ffff:{address}")
