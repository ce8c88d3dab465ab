"""Whether an object works, and if not why, in words. Pure; used by `observer`."""

from __future__ import annotations

from typing import Any

from agent.kube import Manifest, ObjectRef

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_MAX_MESSAGE = 300


def trouble(ref: ObjectRef, found: Manifest | None) -> str:
    """Empty when the object is there and works; otherwise what is missing."""
    if found is None:
        return f"{ref} is not there"
    spec, status = found.get("spec") or {}, found.get("status") or {}
    seen = status.get("observedGeneration", 0)
    if ref.kind in WORKLOADS and seen < found["metadata"].get("generation", 0):
        return f"{ref} waits for its controller"
    match ref.kind:
        case "Deployment":
            wanted = int(spec.get("replicas", 1))
            return _counted(
                ref, wanted, status.get("updatedReplicas"), status.get("availableReplicas")
            )
        case "StatefulSet":
            wanted = int(spec.get("replicas", 1))
            return _counted(ref, wanted, status.get("updatedReplicas"), status.get("readyReplicas"))
        case "DaemonSet":
            wanted = int(status.get("desiredNumberScheduled", 0))
            return _counted(
                ref, wanted, status.get("updatedNumberScheduled"), status.get("numberAvailable")
            )
        case "CustomResourceDefinition":
            return "" if _condition(found, "Established") else f"{ref} is not established"
        case "APIService":
            return "" if _condition(found, "Available") else f"{ref} does not answer"
        case _:
            return ""


def pod_trouble(pod: Manifest) -> str:
    """Why a pod does not run, empty when nothing speaks against it."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"pod {name} cannot be placed: {_short(condition.get('message', ''))}"
    for container in _container_statuses(pod):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        reason = waiting.get("reason", "")
        if reason == "CrashLoopBackOff":
            last = (container.get("lastState") or {}).get("terminated") or {}
            return f"pod {name} ends again and again (exit code {last.get('exitCode', 'unknown')})"
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            return f"pod {name}: {reason}: {_short(waiting.get('message', ''))}".rstrip(": ")
        if ended and ended.get("exitCode"):
            return f"pod {name} ended with exit code {ended['exitCode']}"
    return ""


def failed_container(pod: Manifest) -> tuple[str, bool] | None:
    """The container whose log tells why the pod fails, and whether it is the previous run's log."""
    for container in _container_statuses(pod):
        state = container.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode"):
            return container["name"], False
        last = (container.get("lastState") or {}).get("terminated") or {}
        if last.get("exitCode"):
            return container["name"], True
    return None


def _counted(ref: ObjectRef, wanted: int, updated: int | None, ready: int | None) -> str:
    if (updated or 0) < wanted:
        return f"{ref}: {updated or 0} of {wanted} pods are of the new version"
    if (ready or 0) < wanted:
        return f"{ref}: {ready or 0} of {wanted} pods are ready"
    return ""


def _condition(found: Manifest, kind: str) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def _container_statuses(pod: Manifest) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _short(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
