"""`scripts/devcluster status`: each component, whether it runs, and what is still being built.

`collect` gathers facts from files and the process table only, so it answers at once and as any user.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from devcluster import addons
from devcluster.addons import AddOn
from devcluster.builds import Recipe
from devcluster.cluster import BACKGROUND, Cluster
from devcluster.display import minutes

State = Literal["running", "stopped", "built", "building", "waiting", "failed", "missing", "ready"]

PROGRAMS = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "network-policy",
)


@dataclass(frozen=True, slots=True)
class Component:
    """`since`: seconds since the epoch, for what runs. `seconds_left`: for what is being built."""

    name: str
    kind: Literal["program", "build", "add-on"]
    state: State
    version: str = ""
    since: float | None = None
    seconds_left: float | None = None
    message: str = ""


def collect(cluster: Cluster) -> dict[str, Any]:
    """The whole status as a JSON-ready object."""
    remembered = cluster.remembered()
    components = [_program(cluster, name) for name in PROGRAMS]
    recipes = cluster.recipes
    components += [
        _build(cluster, one) for one in (recipes.tools, recipes.kubectl, recipes.kubernetes)
    ]
    components += [_addon(cluster, addon) for addon in addons.all_of(cluster)]
    kind = remembered.get("kind", "none")
    running = all(one.state == "running" for one in components if one.kind == "program")
    return {
        # A foreign cluster was reachable when `up` chose it; asking again is left to who uses it.
        "ready": kind in ("kubeconfig", "k3s") or (kind == "own" and running),
        "kind": kind,
        "kubeconfig": remembered.get("kubeconfig", ""),
        "node_ip": remembered.get("node_ip", ""),
        "api_port": remembered.get("api_port"),
        "components": [asdict(component) for component in components],
    }


def render(status: dict[str, Any], now: float) -> str:
    """The status as a table for people."""
    if status["kind"] in ("kubeconfig", "k3s"):
        return f"using {status['kubeconfig']} ({status['kind']}); nothing of ours runs\n"
    lines = []
    if status["kind"] == "own":
        lines += [f"kubeconfig  {status['kubeconfig']}", f"node        {status['node_ip']}", ""]
    else:
        lines += ["no cluster is up (scripts/devcluster up)", ""]
    rows = [("COMPONENT", "STATE", "VERSION", "")]
    rows += [
        (one["name"], one["state"], one["version"], _detail(one, now))
        for one in status["components"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join((*cells, row[3])).rstrip())
    return "\n".join(lines) + "\n"


def state_of(cluster: Cluster, name: str) -> tuple[bool, str]:
    """Whether the named program or add-on is ready for use, and why not if it will not be."""
    for addon in addons.all_of(cluster):
        if addon.name == name:
            outcome = addon.outcome(cluster)
            return outcome == "", outcome or ""
    return cluster.processes.find(name) is not None, ""


def _program(cluster: Cluster, name: str) -> Component:
    running = cluster.processes.find(name)
    if running is None:
        return Component(name, "program", "stopped")
    return Component(name, "program", "running", running.version, since=running.since)


def _addon(cluster: Cluster, addon: AddOn) -> Component:
    outcome = addon.outcome(cluster)
    version = addon.recipe.version
    if outcome is None:
        return replace(_build(cluster, addon.recipe), name=addon.name, kind="add-on")
    state: State = "failed" if outcome else "ready"
    return Component(addon.name, "add-on", state, version, message=outcome)


def _build(cluster: Cluster, recipe: Recipe) -> Component:
    name, version = f"{recipe.name} (build)", recipe.version
    if cluster.builds.find(recipe) is not None:
        return Component(name, "build", "built", version)
    progress = cluster.builds.progress(recipe.name)
    if progress is None:
        waiting = cluster.processes.find(BACKGROUND) is not None
        return Component(name, "build", "waiting" if waiting else "missing", version)
    if progress.state == "failed":
        return Component(name, "build", "failed", version, message=progress.error)
    left = progress.left(time.time())
    return Component(name, "build", "building", version, seconds_left=left)


def _detail(one: dict[str, Any], now: float) -> str:
    if one["since"] is not None:
        return f"for {minutes(now - one['since'])}"
    if one["seconds_left"] is not None:
        return f"about {minutes(one['seconds_left'])} left"
    return str(one["message"])
