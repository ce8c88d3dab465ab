"""Up, down, up again: on a second node in namespaces of its own, so that nobody's cluster is touched.

The node gets its own network and mounts (as of a host with no address at all), its own state and run
folders and its own cgroup. What is left after `down` is compared with what was there before.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[3]
# A pod that leaves more than others: a host port, a volume of each kind.
GUEST = Path(__file__).with_name("guest.yaml")
# Left by any Kubernetes node at places that cannot be chosen; hidden behind folders of the test's own.
HIDDEN = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/containerd")


@dataclass(frozen=True)
class Machine:
    """Something like a machine of its own: namespaces kept alive by a process."""

    holder: int
    state: Path
    run_folder: Path
    cgroup: str

    def run(self, *argv: str, check: bool = True) -> str:
        environment = {
            **os.environ,
            "SKERRY_STATE": str(self.state),
            "SKERRY_DEVCLUSTER_RUN": str(self.run_folder),
            "SKERRY_DEVCLUSTER_CGROUP": self.cgroup,
        }
        environment.pop("KUBECONFIG", None)
        enter = ["nsenter", "--target", str(self.holder), "--net", "--mount", f"--wd={ROOT}"]
        done = subprocess.run(
            [*enter, *argv], text=True, capture_output=True, env=environment, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def devcluster(self, *arguments: str) -> str:
        return self.run("scripts/devcluster", *arguments)

    def kubectl(self, *arguments: str) -> str:
        return self.devcluster("kubectl", *arguments)

    def pids(self) -> dict[str, int]:
        files = (self.state / "devcluster" / "pids").glob("*.json")
        return {file.stem: json.loads(file.read_text())["pid"] for file in files}

    def traces(self) -> dict[str, str]:
        """Everything that a node could leave behind, by kind."""
        mounts = self.run("cat", "/proc/self/mountinfo").splitlines()
        ours = str(self.run_folder), str(self.state)
        processes = [
            entry.name
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and any(one in command_line(entry) for one in ours)
        ]
        return {
            "interfaces": self.run("ip", "-o", "link"),
            "addresses": self.run("ip", "-4", "-o", "address"),
            "routes": self.run("ip", "route", "show", "table", "all"),
            "rules": self.run("nft", "list", "ruleset"),
            # Mounts of the other cluster on this machine come and go; they are no concern here.
            "mounts": str([line.split()[4] for line in mounts if line.split()[4].startswith(ours)]),
            "processes": str(processes),
            "cgroups": str(sorted(map(str, Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}")))),
            "files": self.run("find", *HIDDEN),
            "run": str(self.run_folder.exists()),
            "forwarding": self.run("cat", "/proc/sys/net/ipv4/ip_forward"),
        }


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def machine(kubeconfig: str) -> Iterator[Machine]:
    del kubeconfig  # asked for so that everything is built; this node is another one
    if os.geteuid() != 0:
        pytest.skip("a node needs root")
    mark = uuid.uuid4().hex[:6]
    hide = "; ".join(f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in HIDDEN)
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec",
         f"ip link set lo up; {hide}; echo ready; exec sleep 3600"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    made = Machine(
        holder.pid, Path(f"/var/lib/skerry-{mark}"), Path(f"/run/skerry-{mark}"), f"skerry-{mark}"
    )
    try:
        yield made
    finally:
        made.run("scripts/devcluster", "down", "--purge", check=False)
        holder.kill()
        holder.wait()
        holder.stdout.close()
        shutil.rmtree(made.state, ignore_errors=True)


def test_a_node_comes_goes_and_leaves_nothing(machine: Machine) -> None:
    before = machine.traces()

    machine.devcluster("up")
    machine.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    machine.kubectl("apply", "-f", str(GUEST))
    machine.kubectl("wait", "--for=condition=Ready", "pod/guest", "--timeout=60s")
    during = machine.traces()
    assert all(during[kind] != before[kind] for kind in ("rules", "mounts", "processes", "cgroups"))

    pids = machine.pids()
    started = time.monotonic()
    machine.devcluster("up")
    assert time.monotonic() - started < 30
    assert machine.pids() == pids  # what runs is not started again

    machine.devcluster("down")
    assert machine.traces() == before

    started = time.monotonic()
    machine.devcluster("up")
    assert time.monotonic() - started < 60
    assert machine.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"


def test_what_died_is_started_again_and_the_rest_left_alone(machine: Machine) -> None:
    machine.devcluster("up")
    before = machine.pids()
    for name in ("kube-controller-manager", "kubelet"):
        os.kill(before[name], signal.SIGKILL)
    machine.devcluster("up")
    after = machine.pids()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"kube-controller-manager", "kubelet"}


def test_a_node_whose_every_process_was_killed_heals(machine: Machine) -> None:
    machine.devcluster("up")
    for pid in machine.pids().values():
        os.kill(pid, signal.SIGKILL)
    machine.devcluster("up")
    status = json.loads(machine.devcluster("status", "-o", "json"))
    assert status["ready"]


def test_purge_deletes_the_data(machine: Machine) -> None:
    machine.devcluster("up")
    machine.devcluster("down", "--purge")
    assert not (machine.state / "devcluster").exists()
