"""Which objects concern which add-on, and the watches that wake them. Used by `service`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from agent.bootstrap import helm
from agent.bootstrap.addon import AddOn, HelmSource
from agent.kube import EventType, KubeClient
from agent.kube.errors import KubeError, NotServedError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one watch follows. `namespace` is None for objects without one."""

    api_version: str
    kind: str
    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""


def scopes(add_ons: Iterable[AddOn], helm_namespace: str) -> Mapping[Scope, tuple[str, ...]]:
    """The watches, and the names of the add-ons that each wakes."""
    found: dict[Scope, list[str]] = {}

    def add(scope: Scope, name: str) -> None:
        names = found.setdefault(scope, [])
        if name not in names:
            names.append(name)

    for add_on in add_ons:
        if not add_on.enabled:
            continue
        if isinstance(add_on.source, HelmSource):
            add(
                Scope(
                    "apiextensions.k8s.io/v1",
                    "CustomResourceDefinition",
                    field_selector="metadata.name=helmcharts.helm.cattle.io",
                ),
                add_on.name,
            )
            add(Scope(helm.API_VERSION, helm.KIND, helm_namespace), add_on.name)
            for api_version, kind in (("batch/v1", "Job"), ("v1", "Pod")):
                add(Scope(api_version, kind, helm_namespace, helm.CHART_LABEL), add_on.name)
        for ref in add_on.ready:
            one = "" if ref.namespace else f"metadata.name={ref.name}"
            add(
                Scope(ref.api_version, ref.kind, ref.namespace or None, field_selector=one),
                add_on.name,
            )
    return {scope: tuple(names) for scope, names in found.items()}


async def follow(kube: KubeClient, scope: Scope, wake: Callable[[], None], pause: float) -> None:
    """Wake for every change in the scope, for ever. What cannot be watched is tried again after
    `pause` seconds: the rounds' own resync covers it meanwhile."""
    while True:
        try:
            events = kube.watch(
                scope.api_version,
                scope.kind,
                scope.namespace,
                scope.label_selector,
                scope.field_selector,
            )
            async with aclosing(events) as stream:
                async for event in stream:
                    if event.type is not EventType.SYNCED:
                        wake()
        except NotServedError:
            log.debug("watch_not_served", kind=scope.kind)
        except KubeError as error:
            log.warning(
                "watch_failed", kind=scope.kind, namespace=scope.namespace, error=str(error)
            )
        await asyncio.sleep(pause)
