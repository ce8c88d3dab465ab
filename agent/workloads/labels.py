"""Labels by which the agent knows its objects, and who owns what. One list, used everywhere."""

from __future__ import annotations

from agent.kube import Manifest

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "skerry"
ORGANIZATION = "skerry.dev/organization"
PROJECT = "skerry.dev/project"
ENVIRONMENT = "skerry.dev/environment"
ENVIRONMENT_UID = "skerry.dev/environment-uid"
APP = "skerry.dev/app"
SERVICE = "skerry.dev/service"
INVENTORY = "skerry.dev/inventory"
COMPOSE_NAME = "skerry.dev/compose-name"  # annotation: the name before it was made a DNS name
EXPOSED = "skerry.dev/exposed"
ISOLATED = "skerry.dev/isolated"
"""On pods of an app that keeps its services apart by policies of its own."""
INTERNAL = "skerry.dev/internal"
"""On pods that may not reach the internet."""
CLUSTER = "skerry.dev/cluster"
"""The uid under which a control plane knows the cluster: whose agent looks after an environment, where
more than one is at work."""
GUARD = "skerry.dev/guard"
"""On what walls an environment off; its value says which part it is."""

MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGER}"


def app_selector(app: str) -> str:
    """Selects everything of one app inside its namespace."""
    return f"{MANAGED_SELECTOR},{APP}={app}"


def label(obj: Manifest, name: str) -> str:
    """A label's value, empty when it is not set."""
    return str((obj.get("metadata", {}).get("labels") or {}).get(name, ""))


def is_ours(obj: Manifest) -> bool:
    """Whether this system made the object."""
    return label(obj, MANAGED_BY) == MANAGER


def belongs_to(obj: Manifest, app: str) -> bool:
    """Whether the object is one of this app's (in whatever namespace it is)."""
    return is_ours(obj) and label(obj, APP) == app


def service_name(workload: Manifest) -> str:
    """The compose service behind a workload, as its author wrote it."""
    metadata = workload["metadata"]
    original = (metadata.get("annotations") or {}).get(COMPOSE_NAME)
    return str(original or label(workload, SERVICE) or metadata["name"])
