"""What an add-on is, as data. Made by `catalog`, read by everything else here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.kube import Manifest, ObjectRef

ADD_ON_LABEL = "skerry.dev/add-on"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "skerry"
SPEC_HASH_ANNOTATION = "skerry.dev/spec-hash"


@dataclass(frozen=True, slots=True)
class Sign:
    """What tells that somebody else installed the same thing: any object of this shape not ours.

    With `name` that object, otherwise any with `labels`; in `namespace`, or in all when empty.
    """

    api_version: str
    kind: str
    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GeneratedSecret:
    """A Secret whose values are made once, in the cluster, and never changed afterwards.

    `keys` maps each key to how many random bytes it has; they are written in hexadecimal.
    """

    namespace: str
    name: str
    keys: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HelmSource:
    """A chart, installed by K3s' helm-controller.

    `values` is YAML text, which every version of the controller understands. A `backoff_limit` of 2
    is about a minute of the kubelet's own crash back-off; the spread-out tries are ours.
    """

    release: str
    chart: str
    version: str
    repository: str
    target_namespace: str
    values: str = ""
    timeout_seconds: int = 300
    backoff_limit: int = 2
    failure_policy: str = "abort"
    job_image: str = ""


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """Plain manifests, applied in this order."""

    manifests: tuple[Manifest, ...]


@dataclass(frozen=True, slots=True)
class AddOn:
    """One piece of infrastructure, ready to install: placeholders filled, mirrors applied."""

    name: str
    version: str
    source: HelmSource | ManifestSource
    enabled: bool = True
    depends_on: tuple[str, ...] = ()
    namespaces: tuple[Manifest, ...] = ()
    secrets: tuple[GeneratedSecret, ...] = ()
    ready: tuple[ObjectRef, ...] = ()
    signs: tuple[Sign, ...] = ()
    timeout_seconds: int = 900

    @property
    def spec_hash(self) -> str:
        """Names this exact configuration: another version, value or mirror gives another hash."""
        source: object
        if isinstance(self.source, HelmSource):
            source = [getattr(self.source, name) for name in self.source.__slots__]
        else:
            source = list(self.source.manifests)
        text = json.dumps([self.version, source, list(self.namespaces)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def labels(self) -> dict[str, str]:
        """What marks an object as put there for this add-on."""
        return {MANAGED_BY_LABEL: MANAGED_BY, ADD_ON_LABEL: self.name}
