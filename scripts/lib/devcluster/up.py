"""`scripts/devcluster up`: from nothing, or from anything in between, to a node that takes a first deploy.

The compiler is the longest path, so everything that does not need its result happens beside it: packages,
the datastore and containerd, images made of Debian packages. What a first deploy does not need is left
to `background`.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from devcluster import addons, background, dns, existing, host, hostpackages, locks, teardown
from devcluster.cluster import BACKGROUND, Cluster, free_port, k3s_store
from devcluster.errors import DevClusterError, NotReadyError
from devcluster.existing import Existing
from devcluster.image.store import ImageStore
from devcluster.policy.launch import program as policy_program
from devcluster.process import Program
from devcluster.programs import Node

# Images of packages alone: made while the compiler runs. The others carry what it makes.
PACKAGE_IMAGES = ("busybox", "python", "postgres")
COMPILED_IMAGES = ("pause", "coredns", "local-path-provisioner")
API_PATIENCE = 120.0


def up(cluster: Cluster) -> Path:
    """Bring a cluster up; return the kubeconfig to use. Raises DevClusterError."""
    lock = cluster.settings.state / "lock"
    with locks.held(
        lock,
        lambda pid: cluster.display.line(f"waiting for another devcluster command (pid {pid})"),
    ):
        found = existing.find(cluster.settings, cluster.kubectl(), cluster.display.line)
        if found is not None:
            return _use(cluster, found)
        host.require_root()
        host.require_no_other_node(cluster.processes.pids())
        return _run_own(cluster)


def _use(cluster: Cluster, found: Existing) -> Path:
    store = k3s_store() if found.kind == "k3s" else None
    if store is not None:
        _import(cluster, ["python", "postgres"], store)
    cluster.remember(kind=found.kind, kubeconfig=str(found.kubeconfig), version=found.version)
    where = "the K3s on this machine" if found.kind == "k3s" else f"KUBECONFIG={found.kubeconfig}"
    cluster.display.line(f"using {where} ({found.version}); nothing is built or started")
    return found.kubeconfig


def _run_own(cluster: Cluster) -> Path:
    if installed := hostpackages.ensure():
        cluster.display.line(f"installed {', '.join(installed)}")
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="up") as pool:
        compiled = pool.submit(cluster.builds.ensure, cluster.recipes.kubernetes)
        node = pool.submit(_prepare_node, cluster)
        # The first failure is raised at once; the pool then waits for the other, which is stopped by
        # nothing but its own end, so its result is at least cached.
        _first_failure(compiled, node)
        programs, prepared = compiled.result(), node.result()
    _start(cluster, prepared, programs)
    _leave_the_rest(cluster)
    return cluster.settings.kubeconfig


def _first_failure(*futures: Future[Path] | Future[Node]) -> None:
    pending = list(futures)
    while pending:
        for future in [one for one in pending if one.done()]:
            if error := future.exception():
                raise error
            pending.remove(future)
        time.sleep(0.1)


def _prepare_node(cluster: Cluster) -> Node:
    """Everything that needs no compiled program, up to a containerd holding the images of packages."""
    tools = cluster.builds.ensure(cluster.recipes.tools)
    settings = cluster.settings
    address = host.node_address(settings)
    # The folder of the compiled programs is known before they are.
    node = Node(settings, address, _api_port(cluster), Path("/nonexistent"), tools)
    if cluster.processes.find("containerd") is None:
        # Whoever keeps rules or pods would not notice that they are taken away: they start afresh, too.
        for name in ("kubelet", "kube-proxy", "network-policy"):
            cluster.processes.stop(name)
        teardown.remove_leftovers(settings, tools / "usr/lib/cni")
    made = node.prepare(dt.datetime.now(dt.UTC))
    if made:
        cluster.display.line(f"made certificates: {', '.join(made)}")
    host.ensure_sysctls(settings)
    host.ensure_cgroup(settings)
    host.ensure_masquerade(settings)
    host.ensure_service_route(settings, address)
    for program in node.datastore_and_runtime():
        _start_one(cluster, program)
    _wait_for_containerd(cluster)
    _import(cluster, PACKAGE_IMAGES, cluster.image_store())
    return node


def _start(cluster: Cluster, prepared: Node, programs: Path) -> None:
    node = Node(prepared.settings, prepared.address, prepared.api_port, programs, prepared.tools)
    settings = cluster.settings
    _start_one(cluster, node.api_server())
    _import(cluster, COMPILED_IMAGES, cluster.image_store())
    _wait_for_api(cluster, node)
    cluster.remember(
        kind="own",
        kubeconfig=str(settings.kubeconfig),
        node_ip=node.address,
        api_port=node.api_port,
    )
    *others, proxy = node.others()
    for program in others:
        _start_one(cluster, program)
    manifests = cluster.manifests(settings.kubeconfig)
    for name in ("network-policy", "coredns", "local-path"):
        manifests.apply(name)
    _start_one(cluster, policy_program(settings, node.api_port))
    manifests.wait_available("node", settings.node_name, "Ready", 90)
    # kube-proxy ends itself when the node's addresses change, as they do while the node is registered.
    _start_one(cluster, proxy)
    manifests.wait_available("deployment", "coredns", "Available", 90)
    manifests.wait_available("deployment", "local-path-provisioner", "Available", 90)
    name = f"kubernetes.default.svc.{settings.cluster_domain}"
    dns.wait_for_answer(settings.dns_service_ip, name, 60)
    _see_that_all_run(cluster, [node.api_server(), *others, proxy])
    cluster.display.line(
        f"node {settings.node_name} is Ready at {node.address}, API on port {node.api_port}"
    )


def _see_that_all_run(cluster: Cluster, programs: list[Program]) -> None:
    for program in programs:
        if cluster.processes.find(program.name) is None:
            raise _not_ready(program.name, "it ended")


def _leave_the_rest(cluster: Cluster) -> None:
    if cluster.processes.find(BACKGROUND) is None:
        addons.forget(cluster)  # what failed last time is tried again
    unbuilt = []
    for addon in addons.all_of(cluster):
        if cluster.builds.find(addon.recipe) is None:
            unbuilt.append(addon.name)
        else:
            addon.activate(cluster)
    if unbuilt:
        cluster.processes.start(background.program())
        cluster.display.line(
            f"building behind this: {', '.join(unbuilt)} (`scripts/devcluster status` shows how far)"
        )


def _api_port(cluster: Cluster) -> int:
    """The port of last time while our API server has it, else the wanted one, else a free one."""
    remembered = cluster.remembered()
    if cluster.processes.find("kube-apiserver") is not None and "api_port" in remembered:
        return int(remembered["api_port"])
    wanted = cluster.settings.api_port
    port = free_port(wanted, range(16443, 16463))
    if port != wanted:
        cluster.display.line(f"port {wanted} is taken; the API listens on {port}")
    return port


def _start_one(cluster: Cluster, program: Program) -> None:
    before = cluster.processes.find(program.name)
    pid = cluster.processes.start(program)
    if before is None or before.pid != pid:
        cluster.display.line(f"started {program.name} (pid {pid})")


def _import(cluster: Cluster, names: tuple[str, ...] | list[str], store: ImageStore) -> None:
    imported = cluster.import_images(names, store)
    if imported:
        cluster.display.line(f"imported images: {', '.join(imported)}")


def _wait_for_containerd(cluster: Cluster) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            cluster.image_store().list()
        except DevClusterError as error:
            if time.monotonic() > deadline:
                raise _not_ready("containerd", str(error)) from error
            time.sleep(0.1)
        else:
            return


def _wait_for_api(cluster: Cluster, node: Node) -> None:
    # The controllers give up when they start before the API server has made its own roles, so
    # `/readyz`, which waits for those, must come first.
    pki = cluster.settings.state / "pki"
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
    deadline = time.monotonic() + API_PATIENCE
    last = "no answer"
    while time.monotonic() < deadline:
        if cluster.processes.find("kube-apiserver") is None:
            raise _not_ready("kube-apiserver", "it ended")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", node.api_port, timeout=5, context=context
        )
        try:
            connection.request("GET", "/readyz?verbose")
            response = connection.getresponse()
            last = response.read().decode(errors="replace")
            if response.status == 200:
                return
        except OSError as error:
            last = str(error)
        finally:
            connection.close()
        time.sleep(0.2)
    raise _not_ready("kube-apiserver", json.dumps(last[-300:]))


def _not_ready(name: str, why: str) -> NotReadyError:
    return NotReadyError(
        f"{name} did not become ready: {why}; see `scripts/devcluster logs {name}`"
    )
