"""What a first deploy does not need: each is built behind it and put to work when it is ready.

`up` activates what is built already; `background` builds the rest in this order and activates each. What
became of each is kept in `addons.json` for `status` and `wait`, until `down`. Activating again
changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from devcluster import versions
from devcluster.builds import Recipe
from devcluster.cluster import HELM_CONTROLLER, Cluster
from devcluster.process import Program


@dataclass(frozen=True, slots=True)
class AddOn:
    """One of them: the recipe it waits for, and what makes it run."""

    name: str
    recipe: Recipe
    start: Callable[[Cluster], None]
    # The process of the host that it is, for those that are one.
    program: str | None = None

    def activate(self, cluster: Cluster) -> None:
        """Put it to work and write that down. Raises DevClusterError."""
        self.start(cluster)
        _record(cluster, self.name, "")

    def fail(self, cluster: Cluster, reason: str) -> None:
        """Write down why it is not at work."""
        _record(cluster, self.name, reason)

    def outcome(self, cluster: Cluster) -> str | None:
        """Empty when it is at work, why not if it failed, None while neither is known."""
        outcome = _outcomes(cluster).get(self.name)
        if outcome == "" and self.program and cluster.processes.find(self.program) is None:
            return "it ended: see its log, and run `scripts/devcluster up` to start it again"
        return outcome


def all_of(cluster: Cluster) -> tuple[AddOn, ...]:
    recipes = cluster.recipes
    return (
        AddOn("helm-controller", recipes.helm, _start_helm_controller, HELM_CONTROLLER),
        AddOn("metrics-server", recipes.metrics_server, _apply_metrics_server),
        AddOn("grpcurl", recipes.grpcurl, _nothing_to_start),
        AddOn("garage", recipes.garage, _import_garage),
    )


def forget(cluster: Cluster) -> None:
    """Forget all outcomes: nothing is at work any more, or all is to be tried again."""
    (cluster.settings.state / "addons.json").unlink(missing_ok=True)


def _outcomes(cluster: Cluster) -> dict[str, str]:
    try:
        return dict(json.loads((cluster.settings.state / "addons.json").read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _record(cluster: Cluster, name: str, reason: str) -> None:
    temporary = cluster.settings.state / ".addons.json.tmp"
    temporary.write_text(json.dumps({**_outcomes(cluster), name: reason}))
    temporary.replace(cluster.settings.state / "addons.json")


def _start_helm_controller(cluster: Cluster) -> None:
    # A process of the host beside the API server, as in K3s, where it is compiled into it.
    cluster.import_images(["helm-job"])
    programs = cluster.builds.ensure(cluster.recipes.helm)
    settings = cluster.settings
    cluster.processes.start(
        Program(
            HELM_CONTROLLER,
            (
                str(programs / "helm-controller"),
                f"--kubeconfig={settings.state / 'kubeconfigs' / 'helm-controller'}",
                f"--default-job-image=skerry.local/helm-job:{versions.HELM}",
                f"--node-name={settings.node_name}",
            ),
            version=versions.HELM_CONTROLLER,
        )
    )


def _apply_metrics_server(cluster: Cluster) -> None:
    cluster.import_images(["metrics-server"])
    cluster.manifests(cluster.settings.kubeconfig).apply("metrics-server")


def _import_garage(cluster: Cluster) -> None:
    cluster.import_images(["garage"])


def _nothing_to_start(_: Cluster) -> None:
    """A program for people and tests: being built is all there is to it."""
