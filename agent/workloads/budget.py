"""Whether an app fits into what its environment has left, with the numbers, before anything is applied.

The API server counts objects one by one, and a workload's pods only when its controller makes them: a
Deployment that can never run is taken without a word. Pure; called by `environments` for deploys and
previews.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from agent.kube import Manifest
from agent.workloads.guards import EnvironmentLimits
from agent.workloads.quantity import parse_quantity

_COUNTED = {
    "ConfigMap": ("configmaps",),
    "Deployment": ("count/deployments.apps",),
    "Job": ("count/jobs.batch",),
    "PersistentVolumeClaim": ("persistentvolumeclaims",),
    "Secret": ("secrets",),
    "Service": ("services",),
}
_BYTES = ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))


def needs(manifests: Iterable[Manifest], limits: EnvironmentLimits) -> dict[str, float]:
    """What these objects take of a quota when all their pods run; the names are the quota's."""
    total: defaultdict[str, float] = defaultdict(float)
    for manifest in manifests:
        kind, spec = manifest["kind"], manifest.get("spec") or {}
        for name in _COUNTED.get(kind, ()):
            total[name] += 1
        if kind == "PersistentVolumeClaim":
            asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
            total["requests.storage"] += parse_quantity(str(asked))
        elif kind in ("Deployment", "Job"):
            count = spec.get("replicas" if kind == "Deployment" else "parallelism")
            pods = 1 if count is None else int(count)
            total["pods"] += pods
            for name, amount in _pod(spec["template"]["spec"], limits).items():
                total[name] += amount * pods
    return dict(total)


def shortage(wanted: Mapping[str, float], own: Mapping[str, float], quota: Manifest) -> list[str]:
    """What does not fit, for people. `own` is what the app has now and gives back."""
    status = quota.get("status") or {}
    hard = status.get("hard") or quota["spec"]["hard"]
    used = status.get("used") or {}
    found = []
    for name, text in sorted(hard.items()):
        most, asked = parse_quantity(str(text)), wanted.get(name, 0)
        others = max(0.0, parse_quantity(str(used.get(name, "0"))) - own.get(name, 0))
        if asked > most - others and asked > own.get(name, 0):
            found.append(
                f"{name}: {_shown(name, asked)} wanted, {_shown(name, max(0.0, most - others))} "
                f"left ({_shown(name, most)} in all, {_shown(name, others)} used by others)"
            )
    return found


def _pod(spec: Manifest, limits: EnvironmentLimits) -> dict[str, float]:
    """As the scheduler and the quota count: containers together, or one init container alone."""
    result: defaultdict[str, float] = defaultdict(float)
    for container in spec.get("containers") or ():
        for name, amount in _container(container, limits).items():
            result[name] += amount
    for container in spec.get("initContainers") or ():
        for name, amount in _container(container, limits).items():
            result[name] = max(result[name], amount)
    return dict(result)


def _container(container: Mapping[str, Any], limits: EnvironmentLimits) -> dict[str, float]:
    """With what the LimitRange gives to a container that does not say; a limit without a request
    is the request, too (the API server's default, before the LimitRange's)."""
    resources = container.get("resources") or {}
    given: Mapping[str, Any] = resources.get("limits") or {}
    most = {**limits.default_limits, **given}
    asked = {**limits.default_requests, **given, **(resources.get("requests") or {})}
    return {
        **{f"limits.{name}": parse_quantity(str(value)) for name, value in most.items()},
        **{f"requests.{name}": parse_quantity(str(value)) for name, value in asked.items()},
    }


def _shown(name: str, amount: float) -> str:
    if name.endswith((".memory", "storage")):
        for size, unit in _BYTES:
            if amount >= size:
                return f"{amount / size:.4g}{unit}"
    return f"{amount:.4g}"
