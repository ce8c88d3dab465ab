"""What an app has in the cluster, kept in the cluster: the memory that outlives the agent.

Two objects in the app's namespace. A small ConfigMap lists every object that may exist and how the
last deploy ended; it is what prune deletes from and what status starts from. A Secret (manifests
hold secrets) keeps the manifests of the last revision that became ready, compressed, so that a
failed rollout can put it back.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial

import structlog

from agent.kube import KubeClient, Manifest, ObjectRef
from agent.kube.backoff import retry_transient
from agent.workloads.labels import APP, INVENTORY, MANAGED_BY, MANAGER, belongs_to

log = structlog.get_logger(__name__)

FIELD_MANAGER = "skerry-deploy"
_RECORD = "inventory.json"
_MANIFESTS = "manifests.json.gz"
_SECRET_LIMIT = 1_000_000
_API_TIMEOUT = 60.0


class Stage(StrEnum):
    """How far the last deploy came."""

    APPLYING = "applying"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Failed:
    """How the last deploy failed: told again when the same command comes again."""

    revision: int
    code: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """One app's record."""

    app: str
    app_uid: str
    revision: int
    """The last revision that became ready; 0 before the first."""
    deployment: str
    """The last deployment that was begun."""
    compose_hash: str
    stage: Stage
    objects: tuple[ObjectRef, ...]
    """Every object of the app that may exist, in the order of applying."""
    failed: Failed | None = None


def inventory_name(app: str) -> str:
    return f"skerry-inventory-{app}"


def manifests_name(app: str) -> str:
    return f"skerry-manifests-{app}"


def to_manifest(record: Inventory) -> Manifest:
    """The ConfigMap of a record, without a namespace."""
    content = asdict(record)
    content["objects"] = [[ref.api_version, ref.kind, ref.name] for ref in record.objects]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": inventory_name(record.app),
            "labels": {MANAGED_BY: MANAGER, APP: record.app, INVENTORY: "true"},
        },
        "data": {_RECORD: json.dumps(content)},
    }


def from_manifest(config_map: Manifest) -> Inventory | None:
    """The record in a ConfigMap; None when it is not readable (edited by hand)."""
    namespace = config_map["metadata"].get("namespace", "")
    try:
        content = json.loads(config_map["data"][_RECORD])
        failed = content["failed"]
        return Inventory(
            app=str(content["app"]),
            app_uid=str(content["app_uid"]),
            revision=int(content["revision"]),
            deployment=str(content["deployment"]),
            compose_hash=str(content["compose_hash"]),
            stage=Stage(content["stage"]),
            objects=tuple(
                ObjectRef(api_version, kind, name, namespace)
                for api_version, kind, name in content["objects"]
            ),
            failed=Failed(**failed) if failed else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        log.warning(
            "inventory_unreadable",
            namespace=namespace,
            name=config_map["metadata"].get("name"),
            error=str(error),
        )
        return None


class Inventories:
    """Reads and writes records of one cluster."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def load(self, namespace: str, app: str) -> Inventory | None:
        found = await retry_transient(
            partial(self._kube.get, "v1", "ConfigMap", inventory_name(app), namespace),
            within=_API_TIMEOUT,
        )
        return from_manifest(found) if found is not None and belongs_to(found, app) else None

    async def save(self, namespace: str, record: Inventory) -> None:
        await self._apply(namespace, to_manifest(record))

    async def load_last_good(self, namespace: str, app: str) -> list[list[Manifest]]:
        """The waves of the last revision that became ready; empty when there is none."""
        found = await self._kube.get("v1", "Secret", manifests_name(app), namespace)
        packed = (found or {}).get("data", {}).get(_MANIFESTS)
        if not packed:
            return []
        waves: list[list[Manifest]] = json.loads(gzip.decompress(base64.b64decode(packed)))
        return waves

    async def save_last_good(
        self, namespace: str, app: str, waves: Sequence[Sequence[Manifest]]
    ) -> None:
        """Keep them for a way back. Too many for one Secret (1 MiB compressed) are not kept, and
        a later failed rollout then has none."""
        packed = gzip.compress(json.dumps(waves).encode(), mtime=0)
        encoded = base64.b64encode(packed).decode()
        fits = len(packed) < _SECRET_LIMIT
        if not fits:
            log.warning("last_good_too_large", app=app, namespace=namespace, bytes=len(packed))
        secret: Manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": manifests_name(app),
                "labels": {MANAGED_BY: MANAGER, APP: app},
            },
            "type": "skerry.dev/manifests",
            "data": {_MANIFESTS: encoded} if fits else {},
        }
        await self._apply(namespace, secret)

    async def forget(self, namespace: str, app: str) -> None:
        """Take both objects away."""
        await self._kube.delete("v1", "Secret", manifests_name(app), namespace)
        await self._kube.delete("v1", "ConfigMap", inventory_name(app), namespace)

    async def _apply(self, namespace: str, manifest: Manifest) -> None:
        await retry_transient(
            partial(
                self._kube.apply,
                manifest,
                field_manager=FIELD_MANAGER,
                namespace=namespace,
                force=True,  # the record is this system's alone
            ),
            within=_API_TIMEOUT,
        )


def union(first: Iterable[ObjectRef], second: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    """Both, each once, in order."""
    return tuple(dict.fromkeys((*first, *second)))


def to_prune(former: Iterable[ObjectRef], wanted: Iterable[ObjectRef]) -> list[ObjectRef]:
    """What a deploy leaves behind and must delete, last applied first. Never volumes.

    An object that only moved to another apiVersion of its group is the same object.
    """
    keep = {(ref.group, ref.kind, ref.name) for ref in wanted}
    gone = [
        ref
        for ref in dict.fromkeys(former)
        if (ref.group, ref.kind, ref.name) not in keep and ref.kind != "PersistentVolumeClaim"
    ]
    return gone[::-1]
