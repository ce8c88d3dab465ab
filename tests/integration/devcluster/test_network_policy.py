"""Isolation with real pods: what a NetworkPolicy says is what packets meet."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[3]
IMAGE = "skerry.local/python:3.11"
API = "10.43.0.1"
# Rules follow a change within this many seconds; probing once takes a good part of one.
PATIENCE = 60.0


@dataclass(frozen=True)
class Site:
    """Two namespaces: `home` with a server and a client, `abroad` with another client."""

    kubeconfig: str
    home: str
    abroad: str

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        argv = [ROOT / "scripts" / "devcluster", "kubectl", *arguments]
        done = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def address(self, namespace: str, pod: str) -> str:
        return self.kubectl("-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")

    def reaches(self, namespace: str, pod: str, host: str, port: int) -> bool:
        """Whether a TCP connection from the pod is accepted."""
        return self.succeeds(namespace, pod, f"socket.create_connection(({host!r}, {port}), 2)")

    def resolves(self, namespace: str, pod: str, name: str) -> bool:
        return self.succeeds(namespace, pod, f"socket.getaddrinfo({name!r}, 80)")

    def succeeds(self, namespace: str, pod: str, statement: str) -> bool:
        script = f"import socket\ntry: {statement}\nexcept OSError: print('no')\nelse: print('yes')"
        answer = self.kubectl("-n", namespace, "exec", pod, "--", "python3", "-c", script).strip()
        assert answer in ("yes", "no")
        return answer == "yes"


SERVER = """
import socketserver, threading, time
class Ticker(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            self.request.sendall(b"tick\\n")
            time.sleep(0.1)
class Web(socketserver.StreamRequestHandler):
    def handle(self):
        if self.rfile.readline():
            self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
socketserver.ThreadingTCPServer.daemon_threads = True
for port, handler in ((8080, Web), (8081, Web), (9090, Ticker)):
    made = socketserver.ThreadingTCPServer(("0.0.0.0", port), handler)
    threading.Thread(target=made.serve_forever).start()
"""
LISTENER = """
import socket, sys
with socket.create_connection((sys.argv[1], 9090)) as ticker, open("/tmp/heard", "wb", 0) as file:
    while data := ticker.recv(100):
        file.write(data)
"""


def pod(
    namespace: str, name: str, labels: dict[str, str], script: str = "import time; time.sleep(3600)"
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "command": ["python3", "-c", script],
                    "ports": [{"name": "web", "containerPort": 8080}],
                }
            ],
        },
    }


def server(namespace: str) -> dict[str, Any]:
    made = pod(namespace, "server", {"app": "server"}, SERVER)
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    made["spec"]["containers"][0]["readinessProbe"] = probe
    return made


def policy(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"p-{uuid.uuid4().hex[:8]}", "namespace": namespace},
        "spec": {"podSelector": {}, **spec},
    }


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if check():
            return True
    return False


@pytest.fixture(scope="module")
def site(kubeconfig: str) -> Iterator[Site]:
    mark = uuid.uuid4().hex[:6]
    made = Site(kubeconfig, f"np-home-{mark}", f"np-abroad-{mark}")
    made.apply(
        *(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            for name, labels in ((made.home, {"team": "home"}), (made.abroad, {"team": "abroad"}))
        )
    )
    try:
        made.apply(
            server(made.home),
            pod(made.home, "client", {"app": "client"}),
            pod(made.abroad, "client", {"app": "client", "tier": "front"}),
        )
        for namespace in (made.home, made.abroad):
            ready = ("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
            made.kubectl("-n", namespace, *ready)
        yield made
    finally:
        made.kubectl("delete", "namespace", made.home, made.abroad, "--wait=false")


@pytest.fixture(autouse=True)
def without_policies(site: Site) -> Iterator[None]:
    yield
    for namespace in (site.home, site.abroad):
        site.kubectl("-n", namespace, "delete", "networkpolicy", "--all")
    target = site.address(site.home, "server")
    assert eventually(lambda: site.reaches(site.abroad, "client", target, 8080))


@pytest.fixture
def target(site: Site) -> str:
    return site.address(site.home, "server")


def test_without_policies_everybody_reaches_everybody(site: Site, target: str) -> None:
    assert site.reaches(site.home, "client", target, 8080)
    assert site.reaches(site.abroad, "client", target, 8080)
    assert site.reaches(site.home, "client", API, 443)


def test_default_deny_closes_both_directions_but_not_the_kubelets_probes(
    site: Site, target: str
) -> None:
    site.apply(policy(site.home, policyTypes=["Ingress", "Egress"]))
    assert eventually(lambda: not site.reaches(site.home, "client", target, 8080))
    assert not site.reaches(site.abroad, "client", target, 8080)
    assert not site.reaches(site.home, "client", API, 443)
    assert not site.resolves(site.home, "client", "kubernetes.default.svc.cluster.local")
    condition = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    assert site.kubectl("-n", site.home, "get", "pod", "server", "-o", condition) == "True"


def test_the_own_namespace_may_be_let_in(site: Site, target: str) -> None:
    site.apply(
        policy(site.home, policyTypes=["Ingress"]),
        policy(site.home, ingress=[{"from": [{"podSelector": {}}]}]),
    )
    assert eventually(lambda: not site.reaches(site.abroad, "client", target, 8080))
    assert site.reaches(site.home, "client", target, 8080)


def test_dns_alone_may_be_let_out(site: Site, target: str) -> None:
    dns = {
        "to": [
            {
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                },
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    }
    site.apply(policy(site.home, policyTypes=["Egress"], egress=[dns]))
    assert eventually(lambda: not site.reaches(site.home, "client", target, 8080))
    assert site.resolves(site.home, "client", "kubernetes.default.svc.cluster.local")
    assert not site.reaches(site.home, "client", API, 443)


def test_selectors_and_ports_are_all_asked(site: Site, target: str) -> None:
    rule = {
        "from": [
            {
                "namespaceSelector": {
                    "matchExpressions": [{"key": "team", "operator": "In", "values": ["abroad"]}]
                },
                "podSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            }
        ],
        "ports": [{"port": "web"}],
    }
    site.apply(policy(site.home, podSelector={"matchLabels": {"app": "server"}}, ingress=[rule]))
    assert eventually(lambda: not site.reaches(site.home, "client", target, 8080))
    assert site.reaches(site.abroad, "client", target, 8080)
    assert not site.reaches(site.abroad, "client", target, 8081)


def test_a_port_range_is_a_range(site: Site, target: str) -> None:
    rule = {"ports": [{"port": 8081, "endPort": 9100, "protocol": "TCP"}]}
    site.apply(policy(site.home, ingress=[rule]))
    assert eventually(lambda: not site.reaches(site.abroad, "client", target, 8080))
    assert site.reaches(site.abroad, "client", target, 8081)
    assert site.reaches(site.abroad, "client", target, 9090)


def test_a_block_with_an_exception_is_judged_after_service_translation(
    site: Site, target: str
) -> None:
    # The API's service address leads to the node, and it is the node that is excepted.
    endpoint = site.kubectl(
        "-n", "default", "get", "endpointslices", "-l", "kubernetes.io/service-name=kubernetes",
        "-o", "jsonpath={.items[0].endpoints[0].addresses[0]}",
    )  # fmt: skip
    block = {"cidr": "0.0.0.0/0", "except": [f"{endpoint}/32"]}
    site.apply(policy(site.home, policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}]))
    assert eventually(lambda: not site.reaches(site.home, "client", API, 443))
    assert site.reaches(site.home, "client", target, 8080)
    assert site.resolves(site.home, "client", "kubernetes.default.svc.cluster.local")


def test_open_connections_outlive_a_new_policy(site: Site, target: str) -> None:
    inside = ("-n", site.abroad, "exec", "client", "--")
    start = f"python3 -c '{LISTENER}' {target} >/dev/null 2>&1 </dev/null &"
    site.kubectl(*inside, "sh", "-c", start)

    def heard() -> int:
        return int(site.kubectl(*inside, "sh", "-c", "wc -l < /tmp/heard || echo 0").split()[-1])

    assert eventually(lambda: heard() > 0)
    site.apply(policy(site.home, policyTypes=["Ingress"]))
    assert eventually(lambda: not site.reaches(site.abroad, "client", target, 9090))
    before = heard()
    assert eventually(lambda: heard() > before)


def test_a_pod_that_comes_later_is_held_too(site: Site, target: str) -> None:
    site.apply(
        policy(site.home, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "late"}}}]}])
    )
    assert eventually(lambda: not site.reaches(site.home, "client", target, 8080))
    site.apply(pod(site.home, "late", {"app": "late"}))
    site.kubectl("-n", site.home, "wait", "--for=condition=Ready", "pod/late", "--timeout=60s")
    assert eventually(lambda: site.reaches(site.home, "late", target, 8080))
    site.kubectl("-n", site.home, "label", "pod", "late", "app=other", "--overwrite")
    assert eventually(lambda: not site.reaches(site.home, "late", target, 8080))
